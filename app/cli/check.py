"""`backhaul check`: every problem in the site's files at once."""

from __future__ import annotations

import click

from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, print_json
from app.errors import ConfigError
from app.model import Problem


@click.command("check")
@json_option
@pass_cli
def check_command(cli: Cli, as_json: bool) -> None:
    """Check all files of the site: one line a problem, `file:line:column what, what to do`. Ends with 2 for any."""
    folder = cli.settings.site
    found: tuple[Problem, ...] = ()
    try:
        site = cli.site(whole=True)
    except ConfigError as error:
        found = error.problems
    if as_json:
        fields = ("file", "line", "column", "what", "todo", "code")
        print_json([{field: getattr(problem, field) for field in fields} for problem in found])
    else:
        for problem in found:
            click.echo(str(problem))
    if found:
        if not as_json:
            click.echo(f"{len(found)} problem{'s' if len(found) > 1 else ''}", err=True)
        raise click.exceptions.Exit(2)
    if not as_json:
        click.echo(
            f"{folder}: {len(site.connectors)} connectors, {len(site.connections)} connections, "
            f"{len(site.mappings)} mappings, {len(site.references)} references, {len(site.routes)} routes: no problems"
        )
