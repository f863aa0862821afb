"""`backhaul prepare`: what `up` has done by a child before it starts anything, so that it stays small itself."""

from __future__ import annotations

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.core.jsontext import dump_text


@click.command("prepare", hidden=True)
@pass_cli
def prepare_command(cli: Cli) -> None:
    """Check the site, migrate the ledger, and print what `up` must know as JSON."""
    site = cli.site()
    bootstrap.migrate(cli.settings)
    cli.ledger.keep_site_version(site.stamp, site.files)
    facts = bootstrap.ledger_facts(cli.settings)
    told = {
        "root": str(cli.settings.site),
        "var": str(cli.settings.var_dir),
        "stamp": site.stamp,
        "connections": len(site.connections),
        "routes": len(site.routes),
        "host": site.hub.host,
        "port": int(cli.env.get("PORT") or site.hub.port),
        "workers": site.hub.workers,
        "web_threads": site.hub.web_threads,
        "ledger": facts.what,
        "ledger_warning": facts.warning,
        "own_redis": not cli.env.get("REDIS_URL"),
        "api": bool(site.hub.api_token),
    }
    click.echo(dump_text(told))
