"""`backhaul migrate`: the ledger's tables."""

from __future__ import annotations

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli


@click.command("migrate")
@pass_cli
def migrate_command(cli: Cli) -> None:
    """Make or update the ledger's tables. `up` does it too; with several machines do it once, before they start."""
    name = bootstrap.ledger_name(bootstrap.database_url(cli.settings))
    before = bootstrap.migrate(cli.settings)
    click.echo(f"{name}: {'up to date' if before == 'current' else 'made' if before == 'empty' else 'updated'}")
