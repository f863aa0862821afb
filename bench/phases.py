"""What is done to a running stack: warm up, rest, bursts, receiving only, a steady trickle, and the proof."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bench import processes
from bench.children import Stubs, send
from bench.events import rma
from bench.load import Job, Result
from bench.plan import DEADLINES, KNOWN_ORDERS, SECRET, WARM_UP
from bench.stack import WEBHOOK, Stack, clean_environment
from bench.stats import percentile

_SETTLE_S = 2.0
#: What is written after the last call: the outcome's commit.
_LAST_COMMIT_S = 0.3
_LOOK_S = 0.1


@dataclass(slots=True)
class Run:
    """What one run gave. `figures` by the names that the report knows."""

    figures: dict[str, float] = field(default_factory=dict)
    acknowledged: int = 0
    missing: list[str] = field(default_factory=list)  # acknowledged, and never arrived
    twice: list[str] = field(default_factory=list)  # arrived more than once
    refused: dict[str, int] = field(default_factory=dict)  # answers other than 2xx, by status

    @property
    def exact(self) -> bool:
        """Whether every acknowledged event arrived exactly once."""
        return not self.missing and not self.twice


class Phases:
    """The phases of a run on one stack with its own targets. `say` tells people what is being done."""

    def __init__(self, stack: Stack, targets: Stubs, connections: int, run: Run, say: Callable[[str], None]) -> None:
        self._stack, self._targets, self._connections = stack, targets, connections
        self._run, self._say = run, say
        self._acknowledged: list[str] = []  # the serials of events that must be delivered

    def warm_up(self, events: int = WARM_UP) -> None:
        """What is slow once only."""
        self._say("warming up")
        self._deliver(self._job("w", events, 8))

    def idle(self) -> None:
        """Memory while nothing happens."""
        if processes.available():
            time.sleep(_SETTLE_S)
            self._memory("idle", processes.sum_by_name(self._stack.processes(), processes.pss_bytes))

    def burst(self, events: int) -> None:
        """As many events as the stack takes, each with an order that nobody has asked for: all figures of the work."""
        self._say(f"burst of {events:,} events")
        before, bench_before = self._cpu(), self._targets.cpu_ms()
        watched = self._stack.processes if processes.available() else list
        with processes.MemoryWatch(watched) as memory:
            result, arrived = self._deliver(self._job("b", events, self._connections))
            time.sleep(_LAST_COMMIT_S)
        count = len(result.acknowledged)
        self._cpu_per_event(before, count)
        if bench_before is not None and count:
            own = (self._targets.cpu_ms() or 0.0) - bench_before + result.cpu_s * 1000
            self._run.figures["cpu_bench_ms"] = own / count
        if memory.most:
            self._memory("peak", memory.most)
        self._rate("deliveries_per_s", result, arrived)
        self._acknowledgements("acks", result)

    def known(self, events: int) -> None:
        """The same with orders that the hub knows already: it asks the ERP for none of them."""
        self._say(f"burst of {events:,} events of known orders")
        job = replace(self._job("k", events, self._connections), orders=KNOWN_ORDERS, order_prefix="k")
        self._deliver(replace(job, prefix="o", events=KNOWN_ORDERS))
        asked = self._targets.asked()
        result, arrived = self._deliver(job)
        self._rate("known_per_s", result, arrived)
        self._run.figures["known_lookups"] = float(self._targets.asked() - asked)

    def slow(self, events: int, name: str) -> None:
        """A burst at targets that take their time, under a name of its own."""
        self._say(f"burst of {events:,} events, slow targets ({name.replace('_', ' ')})")
        result, arrived = self._deliver(self._job("s", events, self._connections))
        self._rate(name, result, arrived)

    def receive_only(self, events: int) -> None:
        """Events that need no work: the door alone."""
        self._say("receiving only")
        result = send(replace(self._job("p", events, self._connections), kind="ping"), clean_environment())
        self._note(result)
        self._acknowledgements("receive", result)

    def trickle(self, rate: float, seconds: float) -> None:
        """A low rate: how long an event takes to the warehouse."""
        self._say(f"{rate:g} events/s for {seconds:g} s")
        job = replace(self._job("l", max(1, round(rate * seconds)), self._connections), rate=rate)
        result, arrived = self._deliver(job)
        self._percentiles("latency", [(arrived[serial] - result.sent[serial]) * 1000 for serial in arrived])
        self._percentiles("trickle_ack", list(result.acknowledged.values()))

    def verify(self) -> None:
        """Every acknowledged event must have arrived exactly once. Asked at the end, so that late repetitions show."""
        times = Counter(number for _, number, _ in self._targets.received())
        self._run.acknowledged += len(self._acknowledged)
        self._run.missing += [serial for serial in self._acknowledged if rma(serial) not in times]
        self._run.twice += [number for number, count in times.items() if count > 1]

    # --- pieces ----------------------------------------------------------------------------------

    def _job(self, prefix: str, events: int, connections: int) -> Job:
        return Job(self._stack.port, WEBHOOK, SECRET, prefix, events, connections, most_s=DEADLINES.load_s)

    def _deliver(self, job: Job) -> tuple[Result, dict[str, float]]:
        """Send, and wait until all has arrived or nothing more does; when each event arrived first."""
        before = self._targets.delivered()
        result = send(job, clean_environment())
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
            time.sleep(_LOOK_S)

    def _note(self, result: Result) -> None:
        for status, count in result.statuses.items():
            if not status.startswith("2"):
                self._run.refused[status] = self._run.refused.get(status, 0) + count

    def _rate(self, name: str, result: Result, arrived: Mapping[str, float]) -> None:
        """From the first event sent to the last delivery."""
        if arrived:
            self._run.figures[name] = len(arrived) / (max(arrived.values()) - result.started)

    def _acknowledgements(self, name: str, result: Result) -> None:
        if result.acknowledged:
            took_s = result.ended - result.started
            self._run.figures[f"{name}_per_s"] = len(result.acknowledged) / took_s
            self._percentiles(name, list(result.acknowledged.values()))

    def _percentiles(self, name: str, took_ms: list[float]) -> None:
        if took_ms:
            for per_cent in (50, 99):
                self._run.figures[f"{name}_p{per_cent}_ms"] = percentile(took_ms, per_cent / 100)

    def _cpu(self) -> dict[processes.Process, float]:
        if not processes.available():
            return {}
        return {process: processes.cpu_ms(process) or 0.0 for process in self._stack.processes()}

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
