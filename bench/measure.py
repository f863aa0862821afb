"""One run on one ledger, and one of the yardstick: each with stubs and a folder of its own, and ended in any case."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import hub
from bench.children import stubs
from bench.phases import Phases, Run
from bench.plan import WARM_UP, Plan
from bench.stack import clean_environment
from bench.yardstick import stack as yardstick

Say = Callable[[str], None]
#: Gives the URL of an empty database for each hub that is started; None: SQLite, in the folder of the hub.
NewDatabase = Callable[[], str | None]


def one_run(plan: Plan, database: NewDatabase, say: Say) -> Run:
    """Measure the hub once, with an empty ledger. Raises `BenchError`."""
    run = Run()
    if "burst" in plan.parts:
        with _hub(plan, 0.0, database(), run, say) as phases:
            phases.warm_up()
            phases.idle()
            phases.burst(plan.events)
            phases.known(plan.events)
            phases.receive_only(plan.events)
            phases.trickle(plan.rate, plan.seconds)
            phases.verify()
    if "slow" in plan.parts:
        few = replace(plan, threads=plan.few_threads)
        _slow(replace(plan, threads=plan.slow_threads), "slow_per_s", database(), run, say)
        _slow(replace(few, workers=1), "slow_by_one_per_s", database(), run, say)
        _slow(replace(few, workers=2), "slow_by_two_per_s", database(), run, say)
        one, two = (run.figures.get(f"slow_by_{count}_per_s") for count in ("one", "two"))
        if one and two:
            run.figures["slow_ratio"] = two / one
    return run


def yardstick_run(plan: Plan, say: Say) -> Run:
    """Measure the yardstick once: the burst and the low rate. Raises `BenchError`."""
    run = Run()
    with _yardstick(plan, run, say) as phases:
        phases.warm_up(WARM_UP // 2)
        phases.idle()
        phases.burst(plan.yardstick_events)
        phases.receive_only(plan.yardstick_events)
        phases.trickle(plan.rate, min(plan.seconds, 5.0))
        phases.verify()
    return run


def short_run(plan: Plan, say: Say) -> Run:
    """The burst alone, on SQLite: what the guard needs. Raises `BenchError`."""
    run = Run()
    with _hub(plan, 0.0, None, run, say) as phases:
        phases.warm_up()
        phases.burst(plan.events)
        phases.verify()
    return run


def short_yardstick_run(plan: Plan, say: Say) -> Run:
    """The burst alone. Raises `BenchError`."""
    run = Run()
    with _yardstick(plan, run, say) as phases:
        phases.warm_up(WARM_UP // 2)
        phases.burst(plan.yardstick_events)
        phases.verify()
    return run


def _slow(plan: Plan, name: str, database_url: str | None, run: Run, say: Say) -> None:
    with _hub(plan, plan.slow_ms, database_url, run, say) as phases:
        phases.warm_up()
        phases.slow(plan.slow_events * plan.workers, name)
        phases.verify()


@contextmanager
def _hub(plan: Plan, delay_ms: float, database_url: str | None, run: Run, say: Say) -> Iterator[Phases]:
    with (
        _folder() as folder,
        stubs(folder, clean_environment(), delay_ms) as targets,
        hub.running(plan, folder, database_url, targets) as stack,
    ):
        run.figures.setdefault("start_s", stack.start_s)
        yield Phases(stack, targets, plan.connections, run, say)


@contextmanager
def _yardstick(plan: Plan, run: Run, say: Say) -> Iterator[Phases]:
    with (
        _folder() as folder,
        stubs(folder, clean_environment(), 0.0) as targets,
        yardstick.running(folder, targets) as stack,
    ):
        run.figures["start_s"] = stack.start_s
        yield Phases(stack, targets, plan.connections, run, say)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="backhaul-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
