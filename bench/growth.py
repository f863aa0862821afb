"""What a million finished deliveries in the ledger cost: claim and receive against an empty one, and `trace`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from app.adapters.ledger import Ledger, open_ledger
from app.adapters.ledger.columns import to_ms
from app.adapters.system import SystemClock, SystemIds
from app.model import Receipt
from app.pipeline.story import tell
from bench import hub
from bench.children import BenchError, stubs
from bench.events import Events
from bench.fill import copies, engine_of, serial_of, traces_of
from bench.measure import NewDatabase, Say
from bench.phases import Phases, Run
from bench.plan import PROJECT, SECRET, Plan
from bench.stack import clean_environment

#: Each round takes in and hands out so many events, and hands out so many deliveries.
_ROUNDS, _BATCH = 60, 24
_SERIAL = "w000000"
_LEASE_S = 60.0
#: What is written after the last call: the outcome.
_LAST_COMMIT_S = 0.5
_FIRST_DUE = 10**9  # the number of the first copy that waits for a claim


def growth(plan: Plan, database: NewDatabase, say: Say) -> Run:
    """The figures, for one ledger of each kind. Raises `BenchError`."""
    run = Run()
    folders = [Path(tempfile.mkdtemp(prefix="backhaul-bench-")) for _ in range(2)]
    try:
        small, large = (_seeded(plan, folder, database(), run, say) for folder in folders)
        say(f"filling the ledger with {plan.grown:,} finished deliveries")
        began = time.monotonic()
        _fill(small, 0)
        _fill(large, plan.grown)
        run.figures["fill_s"] = time.monotonic() - began
        say("claim and receive on both")
        _compare(small, large, run)
        say("trace")
        _trace(plan, folders[1], large, run)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return run


def _seeded(plan: Plan, folder: Path, database_url: str | None, run: Run, say: Say) -> str:
    """The URL of a ledger in which the hub has delivered one event, and which nobody uses any more."""
    with (
        stubs(folder, clean_environment(), 0.0) as targets,
        hub.running(replace(plan, workers=1), folder, database_url, targets) as stack,
    ):
        phases = Phases(stack, targets, 1, run, say)
        phases.warm_up(1)
        time.sleep(_LAST_COMMIT_S)
        phases.verify()
    return database_url or f"sqlite:///{folder / 'var' / 'backhaul.db'}"


def _fill(url: str, finished: int) -> None:
    engine = engine_of(url)
    try:
        left = traces_of(engine, _SERIAL)
        if not any(table.name == "deliveries" for table in left):
            raise BenchError(f"the event that is to be copied is not in the ledger: {sorted(t.name for t in left)}")
        if finished:
            copies(engine, left, _SERIAL, 0, finished)
        due = {"state": "ready", "due_at": to_ms(SystemClock().now() - timedelta(seconds=1))}
        copies(engine, left, _SERIAL, _FIRST_DUE, _ROUNDS * _BATCH, {"deliveries": due})
    finally:
        engine.dispose()


def _compare(small: str, large: str, run: Run) -> None:
    """Both ledgers take turns, so that a slow second of the machine falls on both."""
    ledgers = {name: open_ledger(url, clock=SystemClock()) for name, url in (("empty", small), ("grown", large))}
    ids, events, numbers = SystemIds(), Events(SECRET), count()
    took: dict[tuple[str, str], list[float]] = {}

    def timed(what: str, name: str, act: Callable[[], list[Any]]) -> None:
        began = time.perf_counter()
        done = act()
        took.setdefault((what, name), []).append((time.perf_counter() - began) * 1000)
        if len(done) != _BATCH:
            raise BenchError(f"{what} on the {name} ledger gave {len(done)} of {_BATCH}")

    def receipts() -> list[Receipt]:
        now = SystemClock().now()
        serials = [f"n{next(numbers):06d}" for _ in range(_BATCH)]
        return [
            Receipt(
                event_id=ids.new("evt"),
                connection="platform",
                vendor_id=f"evt-{serial}",
                type="return.labelled",
                received_at=now,
                headers={"content-type": "application/json"},
                body=events.body(serial, serial),
                state="received",
                because="",
            )
            for serial in serials
        ]

    try:
        for number in range(_ROUNDS):
            for name in sorted(ledgers, reverse=bool(number % 2)):
                _round(ledgers[name], name, receipts(), ids, timed)
    finally:
        for ledger in ledgers.values():
            ledger.close()
    medians = {key: median(values) for key, values in took.items()}
    run.figures |= {f"{what}_{name}_ms": value for (what, name), value in medians.items()}
    run.figures |= {
        f"growth_{what}_ratio": medians[what, "grown"] / medians[what, "empty"]
        for what in ("receive", "claim_events", "claim_deliveries")
    }


def _round(ledger: Ledger, name: str, receipts: list[Receipt], ids: SystemIds, timed: Callable[..., None]) -> None:
    tokens = [ids.new("tok") for _ in range(2)]
    timed("receive", name, lambda: ledger.receive(receipts))
    timed("claim_events", name, lambda: ledger.claim_events("platform", _BATCH, _LEASE_S, tokens[0]))
    timed("claim_deliveries", name, lambda: ledger.claim_deliveries("wms", _BATCH, _LEASE_S, tokens[1]))


def _trace(plan: Plan, folder: Path, url: str, run: Run) -> None:
    """By each number of the real event, and of copies from all over the ledger."""
    serials = [_SERIAL.rjust(14, "0"), *(serial_of(max(0, plan.grown * share // 10)) for share in range(1, 10, 2))]
    numbers = [form.format(serial) for serial in serials for form in ("RMA-{}", "#{}", "3S{}", "ERP-{}", "ret-{}")]
    took = []
    ledger = open_ledger(url, clock=SystemClock())
    try:
        for number in numbers:
            began = time.perf_counter()
            found: Any = tell(ledger, number)
            took.append((time.perf_counter() - began) * 1000)
            if len(found["stories"]) != 1:
                raise BenchError(f"trace found {len(found['stories'])} stories of {number}")
    finally:
        ledger.close()
    run.figures |= {"trace_ms": median(took), "trace_most_ms": max(took)}
    env = hub.environment(
        plan, folder, url if url.startswith("postgresql") else None, "http://127.0.0.1:1", "http://127.0.0.1:1"
    )
    processes = []
    for number in numbers[:5]:
        began = time.perf_counter()
        told = subprocess.run(
            [*hub.command(), "trace", number, "--short"],
            env=env,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        processes.append((time.perf_counter() - began) * 1000)
        if told.returncode:
            raise BenchError(f"`backhaul trace {number}` ended with {told.returncode}: {told.stderr[-500:]}")
    run.figures["trace_cli_ms"] = median(processes)
