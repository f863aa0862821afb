"""What Alembic runs: the connection comes from `ledger.migrate`, which also holds the transaction."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
