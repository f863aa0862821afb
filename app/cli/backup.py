"""`backhaul backup` and `restore`: a copy of the ledger, and the ledger put back from one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli, who
from app.cli.output import json_option, print_json
from app.core.times import iso, seconds
from app.errors import ConfigError, HubError

if TYPE_CHECKING:
    from app.core.restores import Restore
    from app.core.site import Site

#: How the next calls of a delivery come through a restore, the worst last.
HOW = ("repeated", "probed", "in_doubt")
_MEANT = {
    "repeated": "are sent again under the same keys, which their targets know",
    "probed": "are looked for at their targets before anything is sent",
    "in_doubt": "can only be told by a person: `backhaul deliveries --state in_doubt`, then `backhaul resolve`",
}


def wary_option(command: Any) -> Any:
    """Adds `--wary-for`."""
    return click.option(
        "--wary-for",
        default="24h",
        show_default=True,
        metavar="TIME",
        help="So long a call that is made anew counts as one that may have been made before the restore.",
    )(command)


def wary_s(text: str) -> float:
    """The seconds of `--wary-for`. Raises `BadParameter`."""
    try:
        return seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--wary-for") from None


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@pass_cli
def backup_command(cli: Cli, file: Path, as_json: bool) -> None:
    """Copy the ledger to FILE, which must not be there yet, while the hub works.

    On PostgreSQL this runs pg_dump, which must be on PATH. FILE holds persons' data: keep it as you keep the ledger.
    """
    progress = _Progress(quiet=as_json)
    found = bootstrap.ledger_keeper(cli.settings, cli.env).backup(file.absolute(), progress.pages)
    progress.end()
    if as_json:
        seal = found.seal and {"seq": found.seal[0], "chain": found.seal[1]}
        print_json({"file": str(file), "bytes": found.bytes, "events": found.events, "seal": seal})
        return
    last = f"the last seal is {found.seal[0]}, {found.seal[1]}" if found.seal else "nothing is sealed yet"
    click.echo(f"{file}: {found.bytes:,} bytes, {found.events:,} events; {last}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Where a ledger with events is, put it aside (SQLite).")
@wary_option
@json_option
@pass_cli
def restore_command(cli: Cli, file: Path, replace: bool, wary_for: str, as_json: bool) -> None:
    """Put the ledger back from FILE, a backup. The hub, all of it, must be stopped.

    What was called after the backup is not in it. Every delivery that had not ended then, and for a time every one that
    is made anew, is treated as one that may have been sent. What it says at its end tells what you have to do.
    """
    wary = wary_s(wary_for)
    keeper = bootstrap.ledger_keeper(cli.settings, cli.env)
    with bootstrap.running_lock(cli.settings.var_dir):
        put = keeper.restore(file.absolute(), who(), wary, replace=replace)
    told = restored(cli, put.restore)
    if as_json:
        held = {"events": put.backup.events, "replaced": str(put.aside) if put.aside else None}
        print_json({**held, **told})
        return
    click.echo(f"put back from {file}: {put.backup.events:,} events")
    if put.aside:
        click.echo(f"the ledger that was there is {put.aside} now")
    say(told)


def restored(cli: Cli, restore: Restore) -> dict[str, Any]:
    """What a ledger that was put back cannot know, and what to do about it."""
    ledger = cli.ledger
    site: Site | None = None
    # The ledger is in place and marked; files with a problem can be mended afterwards.
    with suppress(ConfigError):
        site = cli.site(allow_missing_env=True)
    steps = list(ledger.open_steps())
    how = Counter[str]()
    for route, step, _, count in steps:
        how[_how(site, route, step)] += count
    polled = sorted(name for name, one in site.connections.items() if one.polls) if site else []
    told = sorted(name for name, one in site.connections.items() if one.connector.inbound) if site else []
    return {
        "knew_until": restore.knew_until and iso(restore.knew_until),
        "restored_at": iso(restore.at),
        "wary_until": iso(restore.wary_until),
        "open_deliveries": sum(how.values()),
        **{name: how[name] for name in HOW},
        "unknown": how["unknown"],
        "unread_events": ledger.open_events(),
        "polled": polled,
        "to_be_asked": [name for name in told if name not in polled],
    }


def say(told: Mapping[str, Any]) -> None:
    """`restored`, for people."""
    click.echo(f"the last thing it knows of is from {told['knew_until'] or 'never: it is empty'}")
    click.echo(f"\n{told['open_deliveries']:,} deliveries had not ended then and may have been called since:")
    for name, meant in _MEANT.items():
        click.echo(f"  {told[name]:>6,} {meant}")
    if told["unknown"]:
        click.echo(f"  {told['unknown']:>6,} are of routes that are not in the files now")
    click.echo(f"{told['unread_events']:,} events had not been read")
    click.echo("\nWhat came after that is not in it:")
    click.echo(f"  polled, catches up by itself: {', '.join(told['polled']) or 'nothing'}")
    click.echo("  acts by hand: tokens made or revoked, persons erased, numbers set; do those again that matter")
    click.echo(f"  ask the vendor to send its webhooks again: {', '.join(told['to_be_asked']) or 'none'}")
    click.echo(
        f"\nUntil {told['wary_until']} whatever is made anew is looked for at its target before it is sent; where"
        " nothing\ncan look, it waits in doubt. When everything has been told again: `backhaul ledger trust`."
    )


def _how(site: Site | None, route: str, step: int) -> str:
    """The worst of what may become of a delivery's calls from this one on."""
    from app.core.outcomes import is_safe, may_repeat

    found = next((one for one in site.routes if one.name == route), None) if site else None
    if site is None or found is None or step >= len(found.calls):
        return "unknown"
    worst = 0
    for call in found.calls[step:]:
        connection = site.connections.get(call.connection)
        operation = connection.connector.operations.get(call.operation) if connection else None
        if operation is None:
            return "unknown"
        if not is_safe(operation) and not may_repeat(operation):
            worst = max(worst, 1 if operation.probe is not None else 2)
    return HOW[worst]


class _Progress:
    """How far a copy is, on stderr, at every tenth."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._tenth = quiet, -1

    def pages(self, done: int, whole: int) -> None:
        """So many pages of so many are copied."""
        tenth = 10 * done // max(1, whole)
        if not self._quiet and tenth != self._tenth and whole > 2_000:
            click.echo(f"\r{10 * tenth:>3} %", nl=False, err=True)
        self._tenth = tenth

    def end(self) -> None:
        """It is over."""
        if not self._quiet and self._tenth >= 0:
            click.echo("\r", nl=False, err=True)


def need_stopped(cli: Cli) -> None:
    """Raises `HubError` while a hub, or a clock anywhere, works on the ledger."""
    from app.cli.freshness import hub_runs

    if hub_runs(cli):
        raise HubError("the hub runs: stop it, all of it, and try again after some seconds")
