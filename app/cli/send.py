"""`backhaul send`: a message, or a question for a bridge, as the vendor would send it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.errors import HubError

if TYPE_CHECKING:
    from app.core.bridges import Bridge
    from app.core.connectors import Connection
    from app.core.site import Site

#: An answer may take all of a bridge's deadline; so much longer is waited for it.
_MARGIN_S = 5.0


@click.command("send")
@click.argument("connection")
@click.argument("what", nargs=-1, required=True, metavar="[BRIDGE] FIXTURE")
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change the message: data.id=s-2, or data.n:=3."
)
@click.option("--url", help="The hub's address (else the one running here).")
@pass_cli
def send_command(cli: Cli, connection: str, what: tuple[str, ...], settings: tuple[str, ...], url: str | None) -> None:
    """Send a FIXTURE to the hub as CONNECTION's vendor would, with the proof that CONNECTION is set up with.

    FIXTURE is a file, or the name of one in the connector's fixtures. With BRIDGE, a path such as get-purchases or the
    bridge's name, it is a question: the status and the answer are printed, and 4xx and 5xx end with 1.
    """
    from app.cli.payload import find_fixture, read_with

    site = cli.site()
    known = site.connections.get(connection)
    if known is None:
        raise click.BadParameter(f"no connection {connection!r}; there are {', '.join(sorted(site.connections))}")
    if len(what) > 2:
        raise click.BadParameter(f"{' '.join(what)!r}: write [BRIDGE] FIXTURE")
    bridge = _bridge(site, known, what[0]) if len(what) == 2 else None
    if bridge is None and (known.connector.inbound is None or not known.connector.inbound.webhooks):
        paths = ", ".join(one.path for one in site.bridges if one.source == connection)
        hint = f"; name the bridge that shall be asked: {paths}" if paths else ""
        raise click.BadParameter(f"connector {known.connector.name} receives nothing{hint}")
    body = read_with(
        find_fixture(what[-1], known.connector, cli.settings.site, bridge.path if bridge else ""), settings
    )
    hub = bootstrap.running_hub(cli.settings.var_dir)
    base = (url or (hub.url if hub else f"http://{site.hub.host}:{site.hub.port}")).rstrip("/")
    if bridge is None:
        _tell(f"{base}/webhooks/{connection}", known, body)
    else:
        _ask(f"{base}/bridge/{connection}/{bridge.path}", known, bridge, body)


def _bridge(site: Site, known: Connection, named: str) -> Bridge:
    asks = [one for one in site.bridges if one.source == known.name]
    for one in asks:
        if named.strip("/") in (one.path, one.name):
            return one
    there = f"there are {', '.join(one.path for one in asks)}" if asks else "it asks none"
    raise click.BadParameter(f"{known.name} asks no bridge {named!r}; {there}")


def _tell(url: str, known: Connection, body: bytes) -> None:
    from app.core.signatures import sign

    headers = {"Content-Type": "application/json", **sign(known.verify, body, datetime.now(UTC))}
    said = bootstrap.client().ask("POST", url, body=body, headers=headers)
    event = said.body.get("event") if isinstance(said.body, dict) else None
    if said.status >= 300 or not event:
        raise HubError(f"the hub answered {said.status}: {said.body}")
    click.echo(f"{said.status} {event}")


def _ask(url: str, known: Connection, bridge: Bridge, body: bytes) -> None:
    from app.core.jsontext import dump_text
    from app.core.signatures import sign

    headers = {"Content-Type": "application/json", **sign(known.bridge_verify, body, datetime.now(UTC))}
    timeout_s = bridge.deadline_s + _MARGIN_S
    said = bootstrap.client().ask("POST", url, body=body, headers=headers, timeout_s=timeout_s)
    answer = said.body if isinstance(said.body, str) else dump_text(said.body)
    click.echo(f"{said.status} {answer}".rstrip())
    if said.status >= 400:
        raise click.exceptions.Exit(1)
