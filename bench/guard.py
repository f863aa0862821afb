"""The guard of CI: a short run that fails when the hub lost ground to the yardstick, or lost an event."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench import machine, report
from bench.children import BenchError
from bench.measure import Say, short_run, short_yardstick_run
from bench.phases import Run
from bench.plan import Plan

RECORDED = Path(__file__).parent / "recorded.json"
#: The ratio to the yardstick may fall to this share of the recorded one: machines differ by less than that.
SHARE = 0.6
_TURNS = 2
_EVENTS, _YARDSTICK_EVENTS = 1_500, 500


def ratio(hub: list[Run], yardstick: list[Run]) -> float:
    """Deliveries/s of the hub as a multiple of the yardstick's: the median of the turns, each beside its own.

    Raises `BenchError` when there is nothing to compare with.
    """
    if not all("deliveries_per_s" in run.figures for run in yardstick):
        raise BenchError("the yardstick delivered nothing")
    pairs = zip(hub, yardstick, strict=True)
    return median(one.figures.get("deliveries_per_s", 0.0) / two.figures["deliveries_per_s"] for one, two in pairs)


def verdict(now: float, recorded: float, hub: list[Run]) -> list[str]:
    """What is wrong, a sentence each; nothing when the guard may let pass."""
    wrong = []
    if now < SHARE * recorded:
        wrong.append(f"{now:.2f} times the yardstick is less than {SHARE:.0%} of the {recorded:.2f} that was recorded")
    if not all(run.exact for run in hub):
        wrong.append(report.verdict({"sqlite": hub}))
    return wrong


def guard(plan: Plan, *, record: bool) -> int:
    """0: all is well, or recorded; 1: something is wrong, and is said. Raises `BenchError`."""
    short = replace(plan, events=_EVENTS, yardstick_events=_YARDSTICK_EVENTS)
    hub: list[Run] = []
    yardstick: list[Run] = []
    for _ in range(_TURNS):
        yardstick.append(short_yardstick_run(short, _say(report.YARDSTICK)))
        hub.append(short_run(short, _say("SQLite")))
    now = ratio(hub, yardstick)
    rates = [median(run.figures.get("deliveries_per_s", 0.0) for run in runs) for runs in (hub, yardstick)]
    told = f"{rates[0]:.0f} deliveries/s, {now:.2f} times the yardstick's {rates[1]:.0f}"
    recorded = float(json.loads(RECORDED.read_text())["ratio"]) if RECORDED.exists() else now
    wrong = verdict(now, 0.0 if record else recorded, hub)
    if record and not wrong:
        RECORDED.write_text(json.dumps(_record(now, rates), indent=2) + "\n")
    for sentence in wrong:
        print(f"bench: {sentence}", file=sys.stderr)
    print(f"bench: {told}" + (", recorded" if record and not wrong else f" (recorded: {recorded:.2f})"))
    return 1 if wrong else 0


def _record(now: float, rates: list[float]) -> dict[str, object]:
    return {
        "ratio": round(now, 2),
        "hub_per_s": round(rates[0]),
        "yardstick_per_s": round(rates[1]),
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": machine.commit(),
        "machine": machine.machine(),
    }


def _say(who: str) -> Say:
    return lambda what: print(f"· {who}: {what}", file=sys.stderr, flush=True)
