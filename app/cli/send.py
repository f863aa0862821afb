"""`backhaul send`: a message as the vendor would send it."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.errors import HubError


@click.command("send")
@click.argument("connection")
@click.argument("fixture")
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change the message: data.id=s-2, or data.n:=3."
)
@click.option("--url", help="The hub's address (else the one running here).")
@pass_cli
def send_command(cli: Cli, connection: str, fixture: str, settings: tuple[str, ...], url: str | None) -> None:
    """Send a FIXTURE to the hub as CONNECTION's vendor would, signed with the connection's first secret.

    FIXTURE is a file, or the name of one in the connector's fixtures.
    """
    from app.cli.payload import find_fixture, read_with
    from app.core.signatures import sign

    site = cli.site()
    known = site.connections.get(connection)
    if known is None:
        raise click.BadParameter(f"no connection {connection!r}; there are {', '.join(sorted(site.connections))}")
    if known.connector.inbound is None or not known.connector.inbound.webhooks:
        raise click.BadParameter(f"connector {known.connector.name} receives nothing")
    body = read_with(find_fixture(fixture, known.connector, cli.settings.site), settings)
    hub = bootstrap.running_hub(cli.settings.var_dir)
    base = url or (hub.url if hub else f"http://{site.hub.host}:{site.hub.port}")
    headers = {"Content-Type": "application/json", **sign(known.verify, body, datetime.now(UTC))}
    said = bootstrap.client().ask("POST", f"{base.rstrip('/')}/webhooks/{connection}", body=body, headers=headers)
    event = said.body.get("event") if isinstance(said.body, dict) else None
    if said.status >= 300 or not event:
        raise HubError(f"the hub answered {said.status}: {said.body}")
    click.echo(f"{said.status} {event}")
