"""`python -m bench`: measure, print, and fail when an acknowledged event was lost or doubled."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench import guard, machine, postgres, report
from bench.children import BenchError
from bench.plan import MOST_EVENTS, PARTS, Plan
from bench.rows import NAMES
from bench.turns import Results, take_turns


def main() -> int:
    """0: measured, and nothing lost; 1: something was, or ground was; 2: it could not be measured; 130: interrupted."""
    told = _told()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if told.guard or told.record:
            return guard.guard(_plan(told), record=told.record)
        plan = _plan(told)
        results = take_turns(plan)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted; everything it started has been stopped", file=sys.stderr)
        return 130
    groups = _groups(plan, results)
    print(
        f"\n{report.facts(groups)}\n\n{report.explain(plan.runs)}"
        f"\n\n{report.promises(results.hub, results.yardstick, results.times())}"
        f"\n\n{report.details(results.hub, results.yardstick)}"
        f"\n\n{report.verdict(_all(results))}"
    )
    if told.json_file:
        told.json_file.write_text(json.dumps(_as_json(groups, results), indent=2) + "\n")
    return 0 if results.exact else 1


def _all(results: Results) -> dict[str, Any]:
    return results.hub | ({report.YARDSTICK: results.yardstick} if results.yardstick else {})


def _groups(plan: Plan, results: Results) -> dict[str, dict[str, object]]:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    settings = {name: value for name, value in asdict(plan).items() if name not in ("ledgers", "parts", "log_level")}
    return {
        "measured": {"": f"{when}, commit {machine.commit() or 'unknown'}"},
        "machine": {**machine.machine(), **results.speed.facts()},
        "versions": dict(machine.versions("postgresql" in plan.ledgers)),
        "settings": {**settings, "log level": plan.log_level, "SQLite": "synchronous=FULL", "PostgreSQL": "fsync=on"},
    }


def _as_json(groups: dict[str, dict[str, object]], results: Results) -> dict[str, Any]:
    times = results.times()
    return {
        **groups,
        "results": {
            name: {
                "exact": all(run.exact for run in runs),
                "figures": {key: asdict(spread) for key, spread in report.spreads(runs).items()},
                "times the yardstick": {key: asdict(spread) for key, spread in times.get(name, {}).items()},
                "runs": [asdict(run) for run in runs],
            }
            for name, runs in _all(results).items()
        },
    }


def _told() -> argparse.Namespace:
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the hub on this machine.")
    add = parser.add_argument
    add("--ledger", choices=("both", *NAMES), default="both", help="default: both, where found")
    add("--only", choices=PARTS, action="append", help="measure only this part; may be said more than once")
    add("--runs", type=int, default=usual.runs, help="of everything but the grown ledger")
    add("--events", type=int, default=usual.events, help=f"of a burst, at most {MOST_EVENTS:,}")
    add("--yardstick-events", type=int, default=usual.yardstick_events, help="0: without the yardstick")
    add("--connections", type=int, default=usual.connections, help="of the load generator")
    add("--rate", type=float, default=usual.rate, help="events/s of the latency phase")
    add("--seconds", type=float, default=usual.seconds, help="of the latency phase")
    add("--slow-ms", type=float, default=usual.slow_ms, help="what ERP and warehouse take to answer when slow")
    add("--slow-threads", type=int, default=usual.slow_threads, help="of each worker, for the slow target's rate")
    add("--few-threads", type=int, default=usual.few_threads, help="of each worker, one held against two")
    add("--slow-events", type=int, default=usual.slow_events, help="for each worker")
    add("--grown", type=int, default=usual.grown, help="finished deliveries in the grown ledger")
    add("--workers", type=int, default=usual.workers)
    add("--threads", type=int, default=usual.threads, help="calls at the same time in each worker")
    add("--web-threads", type=int, default=usual.web_threads)
    add("--log-level", default=usual.log_level, help="of the hub; its log goes to a file")
    add("--quick", action="store_true", help="one run with fewer events")
    add("--json", type=Path, dest="json_file", metavar="FILE", help="also write everything there")
    add("--guard", action="store_true", help="a short run; fails when the ratio to the yardstick has fallen")
    add("--record", action="store_true", help="a short run; its ratio is what --guard compares with from now on")
    told = parser.parse_args()
    if not (0 < told.events <= MOST_EVENTS and 0 < told.connections <= 1_000 and 0 < told.rate <= 10_000):
        parser.error(f"events 1 to {MOST_EVENTS:,}, connections 1 to 1,000, rate 1 to 10,000")
    if not (0 < told.runs <= 100 and 0 < told.seconds <= 600 and 0 <= told.grown <= 10_000_000):
        parser.error("runs 1 to 100, seconds up to 600, grown up to 10,000,000")
    told.ledgers = _ledgers(told.ledger, parser) if not (told.guard or told.record) else ("sqlite",)
    return told


def _plan(told: argparse.Namespace) -> Plan:
    given = {name: value for name, value in vars(told).items() if name in Plan.__slots__}
    plan = replace(Plan(), parts=tuple(told.only) if told.only else PARTS, **given)
    return plan.quick() if told.quick else plan


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
