"""What a route would send, worked out and printed without sending it: the work of `backhaul try`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import click

from app import bootstrap
from app.cli.context import Cli
from app.cli.output import hide, pretty
from app.cli.payload import find_fixture, read_with
from app.core.jsontext import loads
from app.core.outcomes import may_repeat
from app.core.routing import RouteCall
from app.core.site import Site
from app.errors import DataError
from app.model import Json
from app.pipeline.rehearse import Rehearsed, change_of, read_event, rehearse


def show(
    cli: Cli,
    *,
    route_name: str,
    fixture: str,
    detail: str | None,
    before: str | None,
    source: str | None,
    settings: tuple[str, ...],
    refs: tuple[str, ...],
    answers: tuple[str, ...] = (),
) -> None:
    """Print the requests that the route would make for the fixture, and what is wrong with them."""
    site = cli.site(allow_missing_env=True, whole=True)
    route = next((route for route in site.routes if route.name == route_name), None)
    if route is None:
        known = ", ".join(route.name for route in site.routes)
        raise click.BadParameter(f"no route {route_name!r}; there are {known}")
    given = references_of(site, route.calls, refs)
    origin = source or route.source or _only_source(site, fixture)
    bootstrap.quiet_log()
    body = _document(cli, site, origin, fixture, detail, settings)
    known_before = _document(cli, site, origin, before, None, ()) if before else None
    change = change_of(route, known_before, body, origin)
    key = f" ({change.key})" if change.key != change.name else ""
    click.echo(f"{route.name}: {change.name}{key} from {origin}")
    secrets = {secret for connection in site.connections.values() for secret in connection.secret_values}
    faulty = False
    for call in rehearse(site, route, body, change, origin, given, answers_of(cli, site, route.calls, answers)):
        show_call(site, call, secrets)
        faulty = faulty or bool(call.faults)
    if faulty:
        raise click.exceptions.Exit(1)


def _document(cli: Cli, site: Site, origin: str, fixture: str, detail: str | None, settings: tuple[str, ...]) -> Json:
    connection = site.connections.get(origin)
    if connection is None:
        raise click.BadParameter(f"no connection {origin!r}; there are {', '.join(sorted(site.connections))}")
    path = find_fixture(fixture, connection.connector, cli.settings.site)
    value = loads(read_with(path, settings))
    if isinstance(value, dict) and {"id", "source"} <= value.keys():
        return value
    inbound = connection.connector.inbound
    fetched: Json = None
    if inbound and inbound.fetch:
        beside = _beside(path, inbound.fetch.operation)
        operation = inbound.fetch.operation
        found = find_fixture(detail, connection.connector, cli.settings.site, operation) if detail else beside
        if found:
            fetched = loads(found.read_bytes())
            click.echo(f"{origin}.{operation} answers as in {found}")
    message = read_event(site, connection, value, fetched)
    if message.read.state != "received":
        raise DataError(f"the message ends as {message.read.state}: {message.read.because}")
    if message.body is None:
        raise DataError("the message is completed by a fetch", todo="say what it would bring with --detail FIXTURE")
    if message.faults:
        raise DataError("the document is not valid: " + "; ".join(message.faults))
    return message.body


def answers_of(
    cli: Cli, site: Site, calls: Sequence[RouteCall], given: tuple[str, ...], who: str = "the route"
) -> list[Json]:
    """What the first calls are answered: the fixtures of `--answer`, in the order of the calls."""
    if len(given) > len(calls):
        raise click.BadParameter(f"{who} makes {len(calls)} calls, and --answer is given {len(given)} times")
    found: list[Json] = []
    for name, call in zip(given, calls, strict=False):
        connector = site.connections[call.connection].connector
        path = find_fixture(name, connector, cli.settings.site, call.operation)
        click.echo(f"{call.connection}.{call.operation} answers as in {path}")
        found.append(loads(path.read_bytes()))
    return found


def _beside(path: Path, operation: str) -> Path | None:
    """The fetch's answer that belongs to an event: `get_order__x.json` beside `label.created__x.json`."""
    _, sign, variant = path.name.partition("__")
    found = path.with_name(f"{operation}__{variant}")
    return found if sign and found.is_file() else None


def show_call(site: Site, call: Rehearsed, secrets: Collection[str]) -> None:
    """Print one call as it would be made."""
    operation = site.connections[call.connection].connector.operations[call.operation]
    request = call.request
    part = f", part {call.part}" if call.part else ""
    click.echo(f"\n{call.connection}.{call.operation} by mapping {call.mapping}{part}")
    if request is None:
        click.echo("note: left out, because its `when` does not hold")
        return
    click.echo(f"{request.method} {hide(request.url, secrets)}")
    for name, value in request.headers.items():
        click.echo(f"{name}: {hide(value, secrets)}")
    if auth := site.connections[call.connection].auth.get("scheme"):
        click.echo(f"(and the credentials, scheme {auth})")
    if request.body is not None:
        click.echo(f"\n{hide(pretty(request.body), secrets)}")
    for note in call.notes:
        click.echo(f"note: {note}")
    if not may_repeat(operation):
        what = "is asked by a probe" if operation.probe else "has to be settled by a person"
        click.echo(f"note: the target takes no idempotency key; after a time-out it {what}")
    for fault in call.faults:
        click.echo(f"fault: {fault}")


def _only_source(site: Site, fixture: str) -> str:
    """The connection that can have sent it: the only one that receives, or the only one that has such a fixture."""
    receiving = {name: each.connector for name, each in site.connections.items() if each.connector.inbound}
    file = f"{fixture.removesuffix('.json')}.json"
    having = [name for name, connector in receiving.items() if (connector.folder / "fixtures" / file).is_file()]
    if len(receiving) == 1 or len(having) == 1:
        return (having or list(receiving))[0]
    raise click.UsageError(f"say with --source where it comes from: {', '.join(receiving)}")


def references_of(site: Site, calls: Sequence[RouteCall], refs: tuple[str, ...]) -> dict[str, str]:
    """The numbers of `--ref`: by a kind that reference files translate, or a name that a call's mapping gives."""
    names = {use.name for call in calls for use in site.mappings[call.mapping].references}
    kinds = {kind for kind, _, _ in site.references}
    return dict(_pair(ref, (kinds, names)) for ref in refs)


def _pair(text: str, known: tuple[set[str], set[str]]) -> tuple[str, str]:
    kinds, names = known
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r}: write kind=value, for example order=0000012E4")
    kind, numbered, _ = name.partition(":")
    if kind not in kinds and (numbered or kind not in names):
        told = ", ".join(sorted(kinds)) or "none"
        raise click.BadParameter(f"{text!r}: no reference file knows the kind {kind!r}; known kinds: {told}")
    return name, value
