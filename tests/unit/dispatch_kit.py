"""An engine on a real ledger whose work is told by the test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.adapters.ledger import Ledger, open_ledger
from app.adapters.queue import Wakes
from app.adapters.system import SystemClock, SystemIds
from app.core.connectors import Limits
from app.model import EventFinish, EventWork
from app.pipeline.dispatch import Engine
from app.pipeline.gates import Gates
from app.pipeline.trades import reading
from tests.unit.engine_kit import connection, operation, rng, site, small_hub, until

CLOCK = SystemClock()


@dataclass
class Work:
    """Reads events by calling `do`, and writes them as done."""

    ledger: Ledger
    do: Callable[[EventWork], None] = lambda work: None
    fail_commit: Callable[[Sequence[EventFinish]], None] = lambda finishes: None
    lanes: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    fenced: list[str] = field(default_factory=list)

    def read(self, work: EventWork) -> EventFinish:
        self.do(work)
        self.seen.append(work.event_id)
        return EventFinish(work.event_id, "done", None)

    def failed(self, work: EventWork, error: Exception) -> EventFinish:
        return EventFinish(work.event_id, "waiting", CLOCK.now() + timedelta(hours=1), str(error))

    def commit(self, token: str, finishes: Sequence[EventFinish]) -> list[str]:
        self.fail_commit(finishes)
        with self.ledger.write() as tx:
            held = tx.finish_events(token, list(finishes))
        self.fenced += [finish.event_id for finish in finishes if finish.event_id not in held]
        self.batches.append(len(finishes))
        return list(self.lanes)


class Hub:
    """Engines, as many as processes would have them, over one ledger."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ledger = open_ledger(url, clock=CLOCK)
        self.site = site(connection(operation()), hub=small_hub())
        self.engines: list[Engine] = []
        self.gates: list[Gates] = []
        self.opened: list[Ledger] = []

    def worker(
        self, limits: Limits | None = None, ledger: Any = None, wakes: Wakes | None = None, **work: Any
    ) -> tuple[Engine, Work]:
        own = open_ledger(self.url, clock=CLOCK)
        self.opened.append(own)
        ids = SystemIds()
        given = {"acme_eu": limits or Limits(concurrency=8)}
        gates = Gates(given, self.site.hub.breaker, own, CLOCK, ids.new("wrk"))
        made = Work(own, **work)
        engine = Engine(self.site, gates, {"in": reading(ledger or own, made)}, CLOCK, ids, wakes, rng())
        engine.start()
        self.engines.append(engine)
        self.gates.append(gates)
        return engine, made

    def state(self) -> Counter[str]:
        return Counter(event["state"] for event in self.ledger.events({}, 10_000))

    def close(self) -> None:
        for engine in self.engines:
            with suppress(Exception):
                engine.stop(0.2)
        for ledger in [*self.opened, self.ledger]:
            ledger.close()


def done(hub: Hub, count: int, within_s: float = 15.0) -> bool:
    return until(lambda: hub.state()["done"] >= count, within_s)
