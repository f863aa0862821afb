"""Contents can be taken out of sealed rows: what they were is told by their digests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table of the rows whose contents are gone."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "erasures",
        sa.Column("seq", number, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("of", sa.Text(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("how", "before", "kept", "after")),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_erasures_row", "erasures", ["of", "row"])
