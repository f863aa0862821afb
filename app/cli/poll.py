"""`backhaul poll`: read a vendor's list now, and say what it brought; or show where all polls stand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli, who
from app.cli.freshness import hub_runs
from app.cli.output import json_option, print_json, rows
from app.core.times import iso
from app.errors import HubError, QueueUnavailable

if TYPE_CHECKING:
    from app.bootstrap import Ledger, Services
    from app.core.connectors import Connection
    from app.pipeline.poll_by_hand import Look

_COLUMNS = ("poll", "state", "every_s", "good_at", "cursor", "due_at", "failures", "found", "new", "because")
#: So long a running hub is given to read what came, in seconds, before it is said that some is not read yet.
_PATIENCE_S = 30.0
_LOOK_S = 0.1


@click.command("poll")
@click.argument("connection", required=False)
@click.option("--name", help="The poll, where the connector has several (else all of them).")
@click.option("--since", metavar="TIME", help="Read from here on, not from where it stands: 2026-11-01, or 3d for ago.")
@click.option("--list", "as_list", is_flag=True, help="Show where the polls stand; read nothing.")
@json_option
@pass_cli
def poll_command(
    cli: Cli, connection: str | None, name: str | None, since: str | None, as_list: bool, as_json: bool
) -> None:
    """Read CONNECTION's lists now, whether or not their time has come, and say what they brought.

    `found` is what the list showed, `new` what the hub had not got yet, `healed` what was a change that no message had
    told. Ends with 1 when a list could not be read to its end.
    """
    if as_list or connection is None:
        _list(cli, connection, as_json)
        return
    known = _connection(cli, connection)
    names = _names(known, name)
    began = _since(since)
    services = bootstrap.services(cli.site(), cli.settings, {**cli.env, "LOG_LEVEL": "error"}, part="cli")
    try:
        with services.ledger.write() as tx:
            # What it brings says so itself: every event of a poll names it.
            tx.audit(who(), "poll", f"connection:{connection}", None, {"polls": names, "since": began and iso(began)})
        found = [_run(services, connection, one, began, quiet=as_json) for one in names]
        for one in found:
            _wait(cli, services.ledger, one)
    finally:
        services.close()
    if as_json:
        print_json(found)
    else:
        for one in found:
            _say(one)
    if any(one["because"] for one in found):
        raise click.exceptions.Exit(1)


def _connection(cli: Cli, name: str) -> Connection:
    connections = cli.site().connections
    if name not in connections:
        raise click.BadParameter(f"no connection {name!r}; there are {', '.join(sorted(connections))}")
    return connections[name]


def _names(connection: Connection, wanted: str | None) -> list[str]:
    polls = list(connection.connector.polls)
    if not polls:
        raise click.BadParameter(f"connector {connection.connector.name} has no poll; see docs/poll-a-source.md")
    if wanted is not None and wanted not in polls:
        raise click.BadParameter(f"{connection.name} has no poll {wanted!r}; there are {', '.join(polls)}")
    return [wanted] if wanted else polls


def _since(text: str | None) -> datetime | None:
    """The moment that is meant: a time, or how long ago."""
    from app.core.times import parse_time, seconds

    if text is None:
        return None
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        found = now - timedelta(seconds=seconds(text)) if text[-1:].isalpha() and text[-1:] != "Z" else parse_time(text)
    except (ValueError, OverflowError):
        todo = "write 2026-11-01T12:00:00Z, 2026-11-01, or 3d for three days ago"
        raise click.BadParameter(f"{text!r} is no time: {todo}") from None
    if found > now:
        raise click.BadParameter(f"{text} has not come yet")
    return found


def _run(services: Services, connection: str, name: str, since: datetime | None, *, quiet: bool) -> dict[str, Any]:
    from app.core.polls import PollKey
    from app.pipeline.poll_by_hand import HandPoll

    key, looks = PollKey(connection, name), []
    runs = HandPoll(services, key)
    try:
        for look in runs.run(since):
            looks.append(look)
            _wake(services, connection, look)
            if look.span and not quiet:
                span = look.span.view()
                click.echo(f"{key}: {span['from']} to {span['to']}: {look.found} found, {len(look.new)} new", err=True)
    finally:
        runs.close()
    spans = [look.span.view() for look in looks if look.span]
    return {
        "poll": str(key),
        "from": spans[0]["from"] if spans else None,
        "to": spans[-1]["to"] if spans else None,
        "found": sum(look.found for look in looks),
        "new": sum(len(look.new) for look in looks),
        "healed": 0,
        "unread": 0,
        "because": next((look.because for look in looks if look.because), ""),
        "events": [event_id for look in looks for event_id in look.new],
    }


def _wake(services: Services, connection: str, look: Look) -> None:
    if services.wakes and look.new:
        try:
            services.wakes.wake(f"in:{connection}")
        except QueueUnavailable:
            # They are in the ledger and due: the clock finds them.
            return


def _wait(cli: Cli, ledger: Ledger, found: dict[str, Any]) -> None:
    """Give a running hub the time to read what came, and see what it made of it."""
    wanted: Sequence[str] = found["events"]
    until = time.monotonic() + (_PATIENCE_S if wanted and hub_runs(cli) else 0.0)
    while True:
        effects = ledger.effects(wanted)
        unread = [one for one in wanted if effects.get(one, ("received", 0))[0] in ("received", "running")]
        found["unread"] = len(unread)
        found["healed"] = sum(1 for _, changes in effects.values() if changes)
        if not unread or time.monotonic() >= until:
            return
        time.sleep(_LOOK_S)


def _say(found: dict[str, Any]) -> None:
    unread = f", {found['unread']} not read yet" if found["unread"] else ""
    click.echo(f"{found['poll']}: {found['found']} found, {found['new']} new, {found['healed']} healed{unread}")
    if found["because"]:
        click.echo(f"{found['poll']} was not read to its end: {found['because']}", err=True)


def _list(cli: Cli, connection: str | None, as_json: bool) -> None:
    from app.pipeline.polls import standing

    site = cli.site(allow_missing_env=True)
    if connection is not None and connection not in site.connections:
        raise HubError(f"no connection {connection!r}; there are {', '.join(sorted(site.connections))}")
    found = [one.row() for one in standing(site, cli.ledger.polls()) if connection in (None, one.key.connection)]
    rows(found, _COLUMNS, as_json=as_json, none="no connector has a poll; see docs/poll-a-source.md")
