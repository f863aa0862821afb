"""`python -m bench`: measure, print, and fail when an acknowledged event was lost or doubled."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine, postgres, report
from bench.children import BenchError
from bench.measure import Run, one_run
from bench.plan import MOST_EVENTS, Plan


class Speed:
    """How fast and how free the machine was before each run: shared ones change from one minute to the next."""

    def __init__(self) -> None:
        self._loops: list[float] = []
        self._busy: list[float] = []

    def note(self) -> None:
        """Look now."""
        self._loops.append(machine.loop_ms())
        self._busy.append(machine.busy())

    def facts(self) -> dict[str, object]:
        """In words."""
        loops, busy = self._loops, max(self._busy)
        return {
            "a fixed Python loop took": f"{median(loops):.0f} ms ({min(loops):.0f}–{max(loops):.0f})",
            "others were using": f"at most {busy:.1f} cores" + (" (too much to measure well)" if busy > 0.3 else ""),
        }


def main() -> int:
    """0: measured, and nothing lost; 1: something was; 2: it could not be measured; 130: interrupted."""
    plan, json_file = _told()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        results, speed = _measure(plan)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted; everything it started has been stopped", file=sys.stderr)
        return 130
    groups = _groups(plan, speed)
    print(
        f"\n{report.facts(groups)}\n\n{report.explain(plan.runs)}\n\n{report.table(results)}\n\n{report.verdict(results)}"
    )
    if json_file:
        json_file.write_text(json.dumps(_as_json(groups, results), indent=2) + "\n")
    return 0 if all(run.exact for runs in results.values() for run in runs) else 1


def _measure(plan: Plan) -> tuple[dict[str, list[Run]], Speed]:
    results: dict[str, list[Run]] = {ledger: [] for ledger in plan.ledgers}
    speed = Speed()
    for number in range(1, plan.runs + 1):
        # The ledgers take turns, so that a slow minute of the machine does not fall on one alone.
        for ledger in plan.ledgers:

            def say(what: str, number: int = number, ledger: str = ledger) -> None:
                print(f"· {report.NAMES[ledger]}, run {number} of {plan.runs}: {what}", file=sys.stderr, flush=True)

            speed.note()
            with _database(ledger, number) as url:
                results[ledger].append(one_run(plan, url, say))
    return results, speed


@contextmanager
def _database(ledger: str, number: int) -> Iterator[str | None]:
    if ledger == "sqlite":
        yield None
    else:
        with postgres.cluster() as cluster:
            yield cluster.create(f"bench_{number}")


def _groups(plan: Plan, speed: Speed) -> dict[str, dict[str, object]]:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    settings = {name: value for name, value in asdict(plan).items() if name not in ("ledgers", "log_level")}
    return {
        "measured": {"": f"{when}, commit {machine.commit() or 'unknown'}"},
        "machine": {**machine.machine(), **speed.facts()},
        "versions": dict(machine.versions("postgresql" in plan.ledgers)),
        "settings": {**settings, "log level": plan.log_level, "SQLite": "synchronous=FULL", "PostgreSQL": "fsync=on"},
    }


def _as_json(groups: dict[str, dict[str, object]], results: dict[str, list[Run]]) -> dict[str, Any]:
    return {
        **groups,
        "results": {
            ledger: {
                "exact": all(run.exact for run in runs),
                "figures": {name: asdict(spread) for name, spread in report.spreads(runs).items()},
                "runs": [asdict(run) for run in runs],
            }
            for ledger, runs in results.items()
        },
    }


def _told() -> tuple[Plan, Path | None]:
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the hub on this machine.")
    parser.add_argument("--ledger", choices=("both", *report.NAMES), default="both", help="default: both, where found")
    parser.add_argument("--runs", type=int, default=usual.runs)
    parser.add_argument("--events", type=int, default=usual.events, help="of the burst, at most 100,000")
    parser.add_argument("--orders", type=int, default=0, help="distinct orders: later look-ups are answered by the hub")
    parser.add_argument("--connections", type=int, default=usual.connections, help="of the load generator")
    parser.add_argument("--rate", type=float, default=usual.rate, help="events/s of the latency phase")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of the latency phase")
    parser.add_argument(
        "--target-ms", type=float, default=usual.target_ms, help="what ERP and warehouse take to answer"
    )
    parser.add_argument("--workers", type=int, default=usual.workers)
    parser.add_argument("--threads", type=int, default=usual.threads, help="calls at the same time in each worker")
    parser.add_argument("--web-threads", type=int, default=usual.web_threads)
    parser.add_argument("--log-level", default=usual.log_level, help="of the hub; its log goes to a file")
    parser.add_argument("--quick", action="store_true", help="one run with fewer events")
    parser.add_argument("--json", type=Path, dest="json_file", metavar="FILE", help="also write everything there")
    told = vars(parser.parse_args())
    json_file, quick, ledger = told.pop("json_file"), told.pop("quick"), told.pop("ledger")
    if not (0 < told["events"] <= MOST_EVENTS and 0 < told["connections"] <= 1_000 and 0 < told["rate"] <= 10_000):
        parser.error("events 1 to 100,000, connections 1 to 1,000, rate 1 to 10,000")
    if not (0 < told["runs"] <= 100 and 0 < told["seconds"] <= 600):
        parser.error("runs 1 to 100, seconds up to 600")
    plan = replace(usual, ledgers=_ledgers(ledger, parser), **told)
    return (plan.quick() if quick else plan), json_file


def _ledgers(wanted: str, parser: argparse.ArgumentParser) -> tuple[str, ...]:
    if wanted == "sqlite":
        return ("sqlite",)
    if not postgres.found():
        if wanted == "postgresql":
            parser.error("no PostgreSQL binaries found: install them, or use --ledger sqlite")
        print("bench: no PostgreSQL binaries found: SQLite only", file=sys.stderr)
        return ("sqlite",)
    return ("sqlite", "postgresql") if wanted == "both" else ("postgresql",)


if __name__ == "__main__":
    sys.exit(main())
