"""What a bridge would ask for a question, worked out and printed without asking anybody: a part of `backhaul try`."""

from __future__ import annotations

from collections.abc import Collection

import click

from app import bootstrap
from app.cli.context import Cli
from app.cli.dry_run import answers_of, references_of, show_call
from app.cli.output import hide, pretty
from app.cli.payload import find_fixture, read_with
from app.core.bridges import Bridge
from app.core.jsontext import loads
from app.core.site import Site
from app.pipeline.bridge_rehearse import rehearse_bridge


def show_bridge(
    cli: Cli,
    site: Site,
    bridge: Bridge,
    *,
    fixture: str,
    settings: tuple[str, ...],
    refs: tuple[str, ...],
    answers: tuple[str, ...],
) -> None:
    """Print the requests that the question leads to, and its answer when all answers of the calls are given."""
    asking = site.connections[bridge.source].connector
    request = loads(read_with(find_fixture(fixture, asking, cli.settings.site), settings))
    given = references_of(site, bridge.calls, refs)
    bootstrap.quiet_log()
    click.echo(f"{bridge.name}: POST /bridge/{bridge.source}/{bridge.path}")
    made = rehearse_bridge(site, bridge, request, given, answers_of(cli, site, bridge.calls, answers, "the bridge"))
    secrets: Collection[str] = {one for connection in site.connections.values() for one in connection.secret_values}
    for call in made.calls:
        show_call(site, call, secrets)
    if made.complete:
        click.echo(f"\nthe answer, by mapping {bridge.answer}\n\n{hide(pretty(made.answer), secrets)}")
    else:
        click.echo("\nnote: say with --answer what the calls are answered, and the answer is shown too")
    if any(call.faults for call in made.calls):
        raise click.exceptions.Exit(1)
