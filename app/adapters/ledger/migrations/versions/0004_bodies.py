"""What came lies apart from its event, so that a change of the event's state writes no body anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Move headers and bodies into a table of their own."""
    op.create_table(
        "event_bodies",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.execute("INSERT INTO event_bodies (seq, headers, body) SELECT seq, headers, body FROM events ORDER BY seq")
    for name in ("body", "headers"):
        op.drop_column("events", name)
