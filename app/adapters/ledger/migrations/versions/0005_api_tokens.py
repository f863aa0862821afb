"""Tokens of people and machines that use the API; only their digests are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "api_tokens",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "name", "role", "digest")),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in ("expires_at", "used_at", "revoked_at")),
        sa.Column("revoked_by", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id", name="uq_api_tokens_id"),
    )
    where = sa.text("revoked_at IS NULL")
    op.create_index(
        "ix_api_tokens_name", "api_tokens", ["name"], unique=True, sqlite_where=where, postgresql_where=where
    )
