"""`backhaul chaos`: everything is killed and disturbed while events flow, and each event is looked for afterwards."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from app.errors import HubError

_SECONDS_PER_EVENT = 1 / 60
_SHORTEST_S = 45.0


@click.command("chaos")
@click.option("--events", default=1000, show_default=True, type=click.IntRange(1, 1_000_000), help="Messages to send.")
@click.option("--minutes", type=click.FloatRange(0.1, 600), help="How long to send them (else 60 a second).")
@click.option("--seed", default=1, show_default=True, help="Repeats the same messages and faults.")
@click.option(
    "--runs", default=1, show_default=True, type=click.IntRange(1, 1000), help="Runs, each with the next seed."
)
@click.option("--faults", default="all", show_default=True, help="Names with commas between, all, or none.")
@click.option("--postgres", is_flag=True, help="The ledger in a PostgreSQL of its own instead of SQLite.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep ledger and logs in this folder.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON on stdout; the progress goes to stderr.")
@click.option("--list", "listed", is_flag=True, help="List the faults, and do nothing.")
def chaos_command(
    events: int,
    minutes: float | None,
    seed: int,
    runs: int,
    faults: str,
    postgres: bool,
    keep: Path | None,
    as_json: bool,
    listed: bool,
) -> None:
    """Prove on this machine that nothing is lost and nothing happens twice.

    Starts a hub of its own with simulated vendors on loopback, sends a stream of events of all sources (repeated,
    out of order, in bursts), kills processes and breaks databases, Redis, targets and the clock meanwhile, waits
    until it has come to rest, and then compares what the vendors were answered with what the targets hold. Ends
    with 1 when anything is wrong. Takes about as long as the stream and a minute.
    """
    catalogue: Any = import_module("chaos.faults")
    if listed:
        for name, about in catalogue.about().items():
            click.echo(f"{name:20} {about}")
        return
    plan: Any = import_module("chaos.plan")
    running: Any = import_module("chaos.run")
    report: Any = import_module("chaos.report")
    wanted = [] if faults == "none" else [name.strip() for name in faults.split(",") if name.strip()]
    try:
        chosen = catalogue.named(wanted, postgres=postgres)
    except KeyError as unknown:
        raise click.BadParameter(f"no fault {unknown}; `backhaul chaos --list` names them") from None
    seconds = minutes * 60 if minutes else max(_SHORTEST_S, events * _SECONDS_PER_EVENT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = []
    for number in range(seed, seed + runs):
        began = time.monotonic()

        def say(what: str, began: float = began) -> None:
            click.echo(f"{time.monotonic() - began:6.1f} s  {what}", err=as_json)

        options = plan.Options(number, events, seconds, chosen, postgres)
        with tempfile.TemporaryDirectory(prefix="backhaul-chaos-") as folder:
            place = keep / f"seed-{number}" if keep else Path(folder) / "run"
            if place.exists() and any(place.iterdir()):
                raise HubError(f"{place} is not empty: name a folder for this run alone")
            results.append(running.run(options, place, say))
        if not as_json:
            click.echo()
            for line in report.lines(results[-1]):
                click.echo(line)
            click.echo()
    if as_json:
        click.echo(json.dumps(report.as_json(results), indent=2))
    elif runs > 1:
        failed = [one.options.seed for one in results if not one.passed]
        click.echo(f"{runs - len(failed)} of {runs} runs passed{f'; failed: seeds {failed}' if failed else ''}")
    if not all(one.passed for one in results):
        raise click.exceptions.Exit(1)
