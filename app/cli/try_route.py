"""`backhaul try`: the options of a dry run."""

from __future__ import annotations

from typing import Any

import click

from app.cli.context import Cli, pass_cli


@click.command("try")
@click.argument("route_name", metavar="ROUTE")
@click.option("--fixture", required=True, help="A vendor's message, or a return document; by path or by name.")
@click.option("--detail", help="What the connector's fetch would bring (else the fixture of that name, if any).")
@click.option("--before", help="The picture known before, as a fixture; without it nothing was known.")
@click.option("--source", help="The connection that it comes from (else the route's).")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change the fixture: data.id=s-2.")
@click.option(
    "--ref", "refs", multiple=True, metavar="KIND=VALUE", help="A number: order=0000012E4, order:A-1=0000012E4."
)
@click.option(
    "--answer", "answers", multiple=True, metavar="FIXTURE", help="What the first call is answered, then the next …"
)
@pass_cli
def try_command(cli: Cli, /, **options: Any) -> None:
    """Print the exact requests that ROUTE would make for a fixture, or a bridge of that name for a question.

    Sends nothing and asks nobody.

    References come from tables, `derive` and --ref; where somebody would be asked, it says so.
    """
    from app.cli.dry_bridge import show_bridge
    from app.cli.dry_run import show

    site = cli.site(allow_missing_env=True, whole=True)
    bridge = next((bridge for bridge in site.bridges if bridge.name == options["route_name"]), None)
    if bridge is not None and all(route.name != bridge.name for route in site.routes):
        given = {name: options[name] for name in ("fixture", "settings", "refs", "answers")}
        show_bridge(cli, site, bridge, **given)
        return

    show(cli, **options)
