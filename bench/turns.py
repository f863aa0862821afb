"""All runs of a bench: yardstick and ledgers take turns, so that a slow minute of the machine does not fall on one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from bench import machine, postgres, report
from bench.growth import growth
from bench.measure import NewDatabase, one_run, yardstick_run
from bench.phases import Run
from bench.plan import Plan
from bench.rows import NAMES
from bench.stats import Spread


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


@dataclass(slots=True)
class Results:
    """What all runs gave. Of the yardstick there is one run before each run of the hub, and one behind the last."""

    hub: dict[str, list[Run]]
    yardstick: list[Run] = field(default_factory=list)
    speed: Speed = field(default_factory=Speed)
    places: dict[str, list[int]] = field(default_factory=dict)  # before which of the hub's runs a yardstick's was

    @property
    def exact(self) -> bool:
        """Whether every acknowledged event arrived exactly once, everywhere."""
        return all(run.exact for runs in (*self.hub.values(), self.yardstick) for run in runs)

    def times(self) -> dict[str, dict[str, Spread]]:
        """The hub's figures as multiples of the yardstick's, by ledger."""
        if not self.yardstick:
            return {}
        return {
            ledger: report.ratios(
                self.hub[ledger][: len(places)],
                [self.yardstick[at] for at in places],
                [self.yardstick[at + 1] for at in places],
            )
            for ledger, places in self.places.items()
        }


def take_turns(plan: Plan) -> Results:
    """Measure all that is planned. Raises `BenchError`."""
    results = Results({ledger: [] for ledger in plan.ledgers})
    beside = "burst" in plan.parts and plan.yardstick_events > 0
    for number in range(1, plan.runs + 1) if plan.parts != ("growth",) else ():
        for ledger in plan.ledgers:
            results.speed.note()
            if beside:
                results.places.setdefault(ledger, []).append(len(results.yardstick))
                results.yardstick.append(yardstick_run(plan, _say(report.YARDSTICK)))
            with _databases(ledger) as database:
                results.hub[ledger].append(one_run(plan, database, _say(f"{NAMES[ledger]}, run {number}")))
    if beside:
        results.yardstick.append(yardstick_run(plan, _say(report.YARDSTICK)))
    if "growth" in plan.parts and plan.grown:
        for ledger in plan.ledgers:
            results.speed.note()
            with _databases(ledger) as database:
                results.hub[ledger].append(growth(plan, database, _say(NAMES[ledger])))
    return results


def _say(who: str) -> Callable[[str], None]:
    return lambda what: print(f"· {who}: {what}", file=sys.stderr, flush=True)


@contextmanager
def _databases(ledger: str) -> Iterator[NewDatabase]:
    if ledger == "sqlite":
        yield lambda: None
    else:
        numbers = count(1)
        with postgres.cluster() as cluster:
            yield lambda: cluster.create(f"bench_{next(numbers)}")
