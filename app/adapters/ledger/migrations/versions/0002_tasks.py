"""What waits for a person, where polls stand, and what bridges answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(*names: str, empty: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=empty) for name in names]


def _millis(*names: str, empty: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=empty) for name in names]


def _index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "tasks",
        sa.Column("seq", _COUNTER, nullable=False),
        *_text("id"),
        *_millis("at"),
        *_text("kind", "object_kind", "connection", "object_id", "key", "because", "data", "state"),
        *_millis("closed_at", empty=True),
        *_text("closed_by", "note", empty=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id", name="uq_tasks_id"),
        sa.UniqueConstraint("object_kind", "connection", "object_id", "key", name="uq_tasks_key"),
    )
    _index("ix_tasks_open", "tasks", "seq", "state = 'open'")
    op.create_table(
        "polls",
        *_text("connection", "name"),
        sa.Column("active", sa.Boolean(), nullable=False),
        *_millis("due_at"),
        *_millis("cursor_ms", "read_at", "good_at", empty=True),
        *_text("token", "fault", empty=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("attempts", "deaths", "found", "brought")),
        *_text("because"),
        *_millis("created_at", "updated_at"),
        sa.PrimaryKeyConstraint("connection", "name", name="pk_polls"),
    )
    op.create_table(
        "bridge_answers",
        *_text("id", "bridge", "connection", "state"),
        *_text("key", "token", "answer", empty=True),
        *_millis("due_at", empty=True),
        *_millis("created_at", "updated_at"),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer()),
        *_text("because", "calls", "request"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("bridge", "key", name="uq_bridge_answers_key"),
        sa.CheckConstraint("(state = 'running') = (due_at IS NOT NULL)", name="ck_bridge_answers_due_at"),
    )
    _index("ix_bridge_answers_open", "bridge_answers", "created_at", "state IN ('running', 'waiting', 'in_doubt')")
