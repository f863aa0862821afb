"""When it was said until when a connection is not called: what a clock said that was put back since is mended by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; what was said before this is not mended."""
    op.add_column("lanes", sa.Column("shut_at", sa.BigInteger(), nullable=True))
