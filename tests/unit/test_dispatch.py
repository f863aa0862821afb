"""The lane engine over a real ledger: what it claims, commits, gives back and survives."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from app.adapters.ledger import Ledger, open_ledger
from app.adapters.system import SystemClock, SystemIds
from app.core.connectors import Limits
from app.errors import LedgerUnavailable
from app.model import EventFinish, EventWork, Outcome
from app.pipeline.dispatch import Engine, pace_of, reading
from app.pipeline.gates import Gates
from tests.unit.engine_kit import connection, operation, receipts, rng, site, small_hub, until

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

    def worker(self, limits: Limits | None = None, ledger: Any = None, **work: Any) -> tuple[Engine, Work]:
        own = open_ledger(self.url, clock=CLOCK)
        self.opened.append(own)
        ids = SystemIds()
        given = {"acme_eu": limits or Limits(concurrency=8)}
        gates = Gates(given, self.site.hub.breaker, own, CLOCK, ids.new("wrk"))
        made = Work(own, **work)
        engine = Engine(self.site, gates, {"in": reading(ledger or own, made)}, CLOCK, ids, rng=rng())
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


@pytest.fixture
def hub(ledger_url: str) -> Iterator[Hub]:
    made = Hub(ledger_url)
    yield made
    made.close()


def done(hub: Hub, count: int, within_s: float = 15.0) -> bool:
    return until(lambda: hub.state()["done"] >= count, within_s)


def test_everything_that_is_due_is_done_once(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 500))
    engine, work = hub.worker()
    engine.kick("in:acme_eu")
    assert done(hub, 500)
    assert len(work.seen) == len(set(work.seen)) == 500
    assert len(work.batches) < 250, "finished work is committed together"


def test_work_that_comes_while_the_lane_is_open_is_taken_at_the_next_kick(hub: Hub) -> None:
    engine, _ = hub.worker()
    for number in range(5):
        hub.ledger.receive(receipts("acme_eu", 1, number))
        engine.kick("in:acme_eu")
        assert done(hub, number + 1)


def test_an_idle_engine_lets_go_of_everything(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 3))
    engine, _ = hub.worker()
    engine.kick("in:acme_eu")
    assert done(hub, 3)
    assert until(lambda: not engine._runners)
    assert engine.in_hand == 0


def test_a_slow_lane_does_not_keep_another_waiting(hub: Hub) -> None:
    hub.ledger.receive(receipts("slow", 30))
    hub.ledger.receive(receipts("acme_eu", 30))
    gate = threading.Event()
    engine, _ = hub.worker(do=lambda work: work.connection == "slow" and gate.wait(10))
    engine.kick("in:slow")
    engine.kick("in:acme_eu")
    assert done(hub, 30)
    gate.set()
    assert done(hub, 60)


def test_two_workers_share_a_lane_and_nothing_is_done_twice(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 400))
    workers = [hub.worker(do=lambda work: time.sleep(0.005)) for _ in range(2)]
    for engine, _ in workers:
        engine.kick("in:acme_eu")
    assert done(hub, 400, 30)
    seen = [event_id for _, work in workers for event_id in work.seen]
    assert len(seen) == len(set(seen)) == 400
    assert all(len(work.seen) > 40 for _, work in workers), "each takes a part"
    assert not any(work.fenced for _, work in workers)


def test_slow_work_keeps_its_lease(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 4))
    first, work = hub.worker(do=lambda work: time.sleep(4.5))
    first.kick("in:acme_eu")
    assert until(lambda: first.in_hand == 4)
    second, other = hub.worker()
    for _ in range(8):
        second.kick("in:acme_eu")
        time.sleep(0.5)
    assert done(hub, 4)
    assert not other.seen, "the lease of 2 s was renewed for 4.5 s"
    assert not work.fenced


def test_a_late_finisher_is_fenced(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 1))
    go_on = threading.Event()
    first, late = hub.worker(do=lambda work: go_on.wait(20) and None)
    first.kick("in:acme_eu")
    assert until(lambda: first.in_hand == 1)
    first._ended.set()  # its heart stops, as when a machine sleeps
    time.sleep(2.2)
    second, _ = hub.worker()
    second.kick("in:acme_eu")
    assert done(hub, 1)
    go_on.set()
    assert until(lambda: len(late.fenced) == 1)


def test_who_lost_a_lease_and_claims_anew_does_not_begin_twice(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 1))
    go_on, begun = threading.Event(), []

    def slow(work: EventWork) -> None:
        begun.append(work.event_id)
        go_on.wait(20)

    engine, work = hub.worker(do=slow)
    engine.kick("in:acme_eu")
    assert until(lambda: len(begun) == 1)
    engine._ended.set()
    time.sleep(2.2)
    engine.kick("in:acme_eu")
    time.sleep(0.3)
    go_on.set()
    assert done(hub, 1)
    assert len(begun) == 1
    assert not work.fenced


def test_a_fault_of_our_own_is_a_state_and_not_a_loss(hub: Hub) -> None:
    def broken(work: EventWork) -> None:
        if work.event_id == bad:
            raise ZeroDivisionError("a bug")

    messages = receipts("acme_eu", 50)
    bad = messages[20].event_id
    hub.ledger.receive(messages)
    engine, _ = hub.worker(do=broken)
    engine.kick("in:acme_eu")
    assert done(hub, 49)
    assert until(lambda: hub.state()["waiting"] == 1)
    event = hub.ledger.event(bad)
    assert event is not None
    assert event["because"] == "a bug"


def test_one_finish_that_cannot_be_written_does_not_hold_up_the_others(hub: Hub) -> None:
    messages = receipts("acme_eu", 50)
    bad = messages[20].event_id

    def refuse(finishes: Sequence[EventFinish]) -> None:
        if any(finish.event_id == bad and finish.state == "done" for finish in finishes):
            raise ValueError("cannot be written")

    hub.ledger.receive(messages)
    engine, _ = hub.worker(fail_commit=refuse)
    engine.kick("in:acme_eu")
    assert done(hub, 49)
    assert until(lambda: hub.state()["waiting"] == 1)


def test_finished_work_waits_for_a_ledger_that_is_away(hub: Hub) -> None:
    away = threading.Event()
    away.set()

    def refuse(finishes: Sequence[EventFinish]) -> None:
        if away.is_set():
            raise LedgerUnavailable("disk full")

    hub.ledger.receive(receipts("acme_eu", 20))
    engine, work = hub.worker(fail_commit=refuse)
    engine.kick("in:acme_eu")
    assert until(lambda: len(work.seen) > 0)
    time.sleep(0.5)
    away.clear()
    assert done(hub, 20)
    assert len(work.seen) == len(set(work.seen)) == 20, "what was done is not done again"


def test_a_claim_that_fails_is_tried_again_at_the_next_wake_up(hub: Hub) -> None:
    class Flaky:
        def __init__(self, ledger: Ledger) -> None:
            self.ledger, self.failing = ledger, True

        def claim_events(self, *args: Any) -> Any:
            if self.failing:
                raise LedgerUnavailable("locked")
            return self.ledger.claim_events(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.ledger, name)

    hub.ledger.receive(receipts("acme_eu", 5))
    flaky = Flaky(hub.ledger)
    engine, _ = hub.worker(ledger=flaky)
    engine.kick("in:acme_eu")
    assert until(lambda: not engine._runners)
    flaky.failing = False
    engine.kick("in:acme_eu")
    assert done(hub, 5)


def test_a_runner_that_breaks_down_does_not_take_the_worker_with_it(hub: Hub) -> None:
    class Broken:
        def __init__(self, ledger: Ledger) -> None:
            self.ledger, self.calls = ledger, 0

        def claim_events(self, *args: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise ZeroDivisionError("a bug")
            return self.ledger.claim_events(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.ledger, name)

    hub.ledger.receive(receipts("acme_eu", 5))
    broken = Broken(hub.ledger)
    engine, _ = hub.worker(ledger=broken)
    engine.kick("in:acme_eu")
    assert until(lambda: broken.calls == 1 and not engine._runners)
    engine.kick("in:acme_eu")
    assert not engine._runners, "it is left alone for a while"

    def kicked_until_done() -> bool:
        engine.kick("in:acme_eu")
        return hub.state()["done"] == 5

    assert until(kicked_until_done)


def test_a_paused_connection_is_not_claimed_from(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 5))
    hub.ledger.pause("acme_eu", "401", "hub")
    engine, work = hub.worker()
    engine.kick("in:acme_eu")
    time.sleep(0.3)
    assert not work.seen
    hub.ledger.resume("acme_eu", "jo")
    time.sleep(0.6)
    engine.kick("in:acme_eu")
    assert done(hub, 5)


def test_when_the_gate_shuts_what_was_not_begun_is_given_back(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 100))
    opened = threading.Event()

    def work_until_shut(work: EventWork) -> None:
        gate = hub.gates[0].of("acme_eu")
        if not opened.is_set():
            opened.set()
            for _ in range(3):
                gate.permits.take(1)
                gate.leave(Outcome("retry", "503", "remote", 503))

    engine, work = hub.worker(do=work_until_shut)
    engine.kick("in:acme_eu")
    assert until(lambda: not engine._runners)
    assert len(work.seen) < 60
    left = [event for event in hub.ledger.events({}, 200) if event["state"] == "received"]
    assert len(left) == 100 - len(work.seen)
    assert all(event["attempts"] == 0 for event in left)


def test_a_stop_finishes_what_runs_and_gives_back_the_rest(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 200))
    engine, work = hub.worker(do=lambda work: time.sleep(0.2))
    engine.kick("in:acme_eu")
    assert until(lambda: len(work.seen) > 2)
    started = time.monotonic()
    assert engine.stop(5)
    assert time.monotonic() - started < 2
    states = hub.state()
    assert states["done"] == len(work.seen)
    assert states["done"] + states["received"] == 200, "nothing is left running"
    engine.kick("in:acme_eu")
    time.sleep(0.1)
    assert hub.state()["running"] == 0


def test_a_stop_does_not_wait_for_ever(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 1))
    hang = threading.Event()
    engine, _ = hub.worker(do=lambda work: hang.wait(20) and None)
    engine.kick("in:acme_eu")
    assert until(lambda: engine.in_hand == 1)
    assert not engine.stop(0.3)
    assert hub.state()["running"] == 1, "it may have been sent: only its lease frees it"
    hang.set()


def test_lanes_that_got_work_are_drained_without_redis(hub: Hub) -> None:
    hub.ledger.receive(receipts("first", 1))
    hub.ledger.receive(receipts("acme_eu", 1))
    engine, _ = hub.worker(lanes=["in:acme_eu"])
    engine.kick("in:first")
    assert done(hub, 2)


def test_a_lane_that_makes_no_sense_is_ignored(hub: Hub) -> None:
    engine, _ = hub.worker()
    for lane in ("", "in:", "sideways:acme_eu", "acme_eu"):
        engine.kick(lane)
    assert not engine._runners


def test_the_rate_of_a_connection_holds_over_several_workers(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 60))
    limits = Limits(rate=20.0, concurrency=8)
    calls: list[float] = []

    def call(number: int) -> Callable[[EventWork], None]:
        def one(work: EventWork) -> None:
            gate = hub.gates[number].of("acme_eu")
            while gate.enter(5).may != "call":
                pass
            calls.append(time.monotonic())
            gate.leave(Outcome("delivered", "200", None, 200))

        return one

    engines = [hub.worker(limits, do=call(number))[0] for number in range(3)]
    started = time.monotonic()
    for engine in engines:
        engine.kick("in:acme_eu")
    assert until(lambda: len(calls) == 60, 15)
    took = max(calls) - started
    assert took > 60 / 20.0 * 0.9
    assert took < 60 / 20.0 * 1.5
    for start in calls:
        assert sum(start <= moment < start + 1 for moment in calls) <= 20 * 1.3


def test_the_concurrency_of_a_connection_holds_over_several_workers(hub: Hub) -> None:
    limits = Limits(concurrency=3)
    now = most = 0
    lock = threading.Lock()
    made: Counter[int] = Counter()

    def one(number: int) -> None:
        nonlocal now, most
        gate = hub.gates[number].of("acme_eu")
        for _ in range(12):
            while gate.enter(5).may != "call":
                pass
            with lock:
                now, made[number] = now + 1, made[number] + 1
                most = max(most, now)
            time.sleep(0.02)
            with lock:
                now -= 1
            gate.leave(Outcome("delivered", "200", None, 200))

    for _ in range(2):
        hub.worker(limits)
    threads = [threading.Thread(target=one, args=(number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(made.values()) == 96
    assert most == 3


def test_a_process_that_holds_all_calls_lets_another_have_some(hub: Hub) -> None:
    for _ in range(2):
        hub.worker(Limits(concurrency=1))
    stop = threading.Event()

    def busy() -> None:
        gate = hub.gates[0].of("acme_eu")
        while not stop.is_set():
            if gate.enter(5).may == "call":
                time.sleep(0.01)
                gate.leave(Outcome("delivered", "200", None, 200))

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    other = hub.gates[1].of("acme_eu")
    verdict = other.enter(5)
    stop.set()
    other.leave(None)
    assert verdict.may == "call", verdict
    for thread in threads:
        thread.join(10)


def test_a_lane_gets_as_many_threads_as_its_connection_takes() -> None:
    made = site(connection(operation(), limits=Limits(concurrency=3)), hub=small_hub(threads=8))
    assert pace_of(made, "out:acme_eu").threads == 3
    assert pace_of(made, "out:gone").threads == 8
