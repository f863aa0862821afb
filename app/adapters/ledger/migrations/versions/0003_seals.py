"""Attempts are numbered, and sealed together with what was done by hand."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = (
    *("id", "event_id", "delivery_id", "step", "kind", "number", "at", "took_ms", "connection", "operation", "outcome"),
    *("because", "fault", "status", "retry_after_s", "request", "response"),
)


def upgrade() -> None:
    """Number the attempts in the order in which they were written, and add the table of seals."""
    if op.get_bind().dialect.name == "sqlite":
        _renew_on_sqlite()
    else:
        op.execute("ALTER TABLE attempts DROP CONSTRAINT attempts_pkey")
        op.execute("ALTER TABLE attempts ADD COLUMN seq BIGSERIAL PRIMARY KEY")
        op.create_unique_constraint("uq_attempts_id", "attempts", ["id"])
    op.create_table(
        "seals",
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("of", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_seals_of", "seals", ["of", "seq"])


def _renew_on_sqlite() -> None:
    """SQLite cannot give a table another key: a new one takes the rows over."""
    op.rename_table("attempts", "attempts_before")
    for name in ("event_id", "delivery_id"):
        op.drop_index(f"ix_attempts_{name}", "attempts_before")
    text = {"id", "kind", "connection", "operation", "outcome", "because", "request", "response"}
    empty = {"event_id", "delivery_id", "fault", "status", "retry_after_s"}
    types: dict[str, sa.types.TypeEngine[Any]] = {"at": sa.BigInteger(), "retry_after_s": sa.Float()}
    types |= dict.fromkeys(("step", "number", "took_ms", "status"), sa.Integer())
    assert text | empty | types.keys() == set(_COLUMNS)
    op.create_table(
        "attempts",
        sa.Column("seq", sa.Integer(), nullable=False),
        *(sa.Column(name, types.get(name, sa.Text()), nullable=name in empty) for name in _COLUMNS),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id", name="uq_attempts_id"),
    )
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    op.execute(f"INSERT INTO attempts ({names}) SELECT {names} FROM attempts_before ORDER BY rowid")
    op.drop_table("attempts_before")
    for name in ("event_id", "delivery_id"):
        where = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_attempts_{name}", "attempts", [name], sqlite_where=where, postgresql_where=where)
