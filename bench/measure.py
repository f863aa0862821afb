"""One run on one ledger: start, warm up, burst, receive only, steady trickle, and the proof that nothing was lost."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import processes
from bench.children import Stubs, send, stubs
from bench.events import rma
from bench.hub import WEBHOOK, Hub, clean_environment, running
from bench.load import Job, Result
from bench.plan import DEADLINES, SECRET, WARM_UP, Plan
from bench.stats import percentile

_SETTLE_S = 2.0
#: What is written after the last call: the outcome's commit.
_LAST_COMMIT_S = 0.3


@dataclass(slots=True)
class Run:
    """What one run gave. `figures` by the names that the report knows."""

    figures: dict[str, float] = field(default_factory=dict)
    acknowledged: int = 0
    missing: list[str] = field(default_factory=list)  # acknowledged, and never arrived
    twice: list[str] = field(default_factory=list)  # arrived more than once
    refused: dict[str, int] = field(default_factory=dict)  # answers other than 2xx, by status
    lookups: int = 0

    @property
    def exact(self) -> bool:
        """Whether every acknowledged event arrived exactly once."""
        return not self.missing and not self.twice


def one_run(plan: Plan, database_url: str | None, say: Callable[[str], None]) -> Run:
    """Measure once, with an empty ledger, in a folder of its own. Raises `BenchError`."""
    folder = Path(tempfile.mkdtemp(prefix="backhaul-bench-"))
    run = Run()
    try:
        with (
            stubs(folder, clean_environment(), plan.target_ms) as targets,
            running(plan, folder, database_url, targets) as hub,
        ):
            run.figures["start_s"] = hub.start_s
            Phases(plan, hub, targets, run, say).all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return run


class Phases:
    """The phases of a run, in order."""

    def __init__(self, plan: Plan, hub: Hub, targets: Stubs, run: Run, say: Callable[[str], None]) -> None:
        self._plan, self._hub, self._targets, self._run, self._say = plan, hub, targets, run, say
        self._env = clean_environment()
        self._acknowledged: list[str] = []  # the serials of events that must be delivered

    def all(self) -> None:
        """Carry them out."""
        self._warm_up()
        self._idle()
        self._burst()
        self._receive_only()
        self._trickle()
        self._verify()
        self._run.lookups = self._targets.asked()

    def _warm_up(self) -> None:
        self._say("warming up")
        self._deliver(self._job("w", WARM_UP, 8))

    def _idle(self) -> None:
        if processes.available():
            time.sleep(_SETTLE_S)
            self._memory("idle", processes.sum_by_name(self._hub.processes(), processes.pss_bytes))

    def _burst(self) -> None:
        plan, figures = self._plan, self._run.figures
        self._say(f"burst of {plan.events:,} events")
        job = replace(self._job("b", plan.events, plan.connections), orders=plan.orders)
        before = self._cpu()
        watched = self._hub.processes if processes.available() else list
        with processes.MemoryWatch(watched) as memory:
            result, arrived = self._deliver(job)
            time.sleep(_LAST_COMMIT_S)
        self._cpu_per_event(before, len(result.acknowledged))
        if memory.most:
            self._memory("peak", memory.most)
        if arrived:
            figures["deliveries_per_s"] = len(arrived) / (max(arrived.values()) - result.started)
        self._acknowledgements("acks", result)

    def _receive_only(self) -> None:
        self._say("receiving only")
        job = replace(self._job("p", self._plan.events, self._plan.connections), kind="ping")
        result = send(job, self._env)
        self._note(result)
        self._acknowledgements("receive", result)

    def _trickle(self) -> None:
        plan, figures = self._plan, self._run.figures
        self._say(f"{plan.rate:g} events/s for {plan.seconds:g} s")
        events = max(1, round(plan.rate * plan.seconds))
        job = replace(self._job("l", events, plan.connections), rate=plan.rate)
        result, arrived = self._deliver(job)
        took = [(arrived[serial] - result.sent[serial]) * 1000 for serial in arrived]
        if took:
            figures["latency_p50_ms"], figures["latency_p99_ms"] = percentile(took, 0.5), percentile(took, 0.99)
        acks = list(result.acknowledged.values())
        if acks:
            figures["trickle_ack_p50_ms"], figures["trickle_ack_p99_ms"] = percentile(acks, 0.5), percentile(acks, 0.99)

    # --- pieces ----------------------------------------------------------------------------------

    def _job(self, prefix: str, events: int, connections: int) -> Job:
        return Job(self._hub.port, WEBHOOK, SECRET, prefix, events, connections, most_s=DEADLINES.load_s)

    def _deliver(self, job: Job) -> tuple[Result, dict[str, float]]:
        """Send, and wait until all has arrived or nothing more does; when each event arrived first."""
        before = self._targets.delivered()
        result = send(job, self._env)
        self._note(result)
        self._acknowledged += result.acknowledged
        self._wait(before + len(result.acknowledged))
        first = {number: at for at, number, _ in reversed(self._targets.received(before))}
        return result, {serial: first[rma(serial)] for serial in result.sent if rma(serial) in first}

    def _wait(self, wanted: int) -> None:
        seen, since = -1, time.monotonic()
        while (now := self._targets.delivered()) < wanted:
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > DEADLINES.stall_s:
                return
            time.sleep(0.05)

    def _verify(self) -> None:
        """Every acknowledged event must have arrived exactly once. Asked at the end, so that late repetitions show."""
        times = Counter(number for _, number, _ in self._targets.received())
        self._run.acknowledged = len(self._acknowledged)
        self._run.missing = [serial for serial in self._acknowledged if rma(serial) not in times]
        self._run.twice = [number for number, count in times.items() if count > 1]

    def _note(self, result: Result) -> None:
        for status, count in result.statuses.items():
            if not status.startswith("2"):
                self._run.refused[status] = self._run.refused.get(status, 0) + count

    def _acknowledgements(self, name: str, result: Result) -> None:
        latencies, took_s = list(result.acknowledged.values()), result.ended - result.started
        if latencies:
            self._run.figures |= {
                f"{name}_per_s": len(latencies) / took_s,
                f"{name}_p50_ms": percentile(latencies, 0.5),
                f"{name}_p99_ms": percentile(latencies, 0.99),
            }

    def _cpu(self) -> dict[processes.Process, float]:
        if not processes.available():
            return {}
        return {process: processes.cpu_ms(process) or 0.0 for process in self._hub.processes()}

    def _cpu_per_event(self, before: Mapping[processes.Process, float], events: int) -> None:
        if not before or not events:
            return
        used: dict[str, float] = {}
        for process, now in self._cpu().items():
            used[process.name] = used.get(process.name, 0.0) + (now - before.get(process, 0.0)) / events
        self._run.figures |= {f"cpu_{name}_ms": spent for name, spent in used.items()}
        self._run.figures["cpu_all_ms"] = sum(used.values())

    def _memory(self, when: str, by_name: Mapping[str, float]) -> None:
        figures = {f"{when}_{name}_mb": size / 1e6 for name, size in by_name.items()}
        own = sum(size for name, size in by_name.items() if name != "postgres")
        self._run.figures |= figures | {f"{when}_mb": own / 1e6}
