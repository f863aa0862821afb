"""The engine at shut gates, at its stop, and within the limits that all processes share."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from app.core.connectors import Limits
from app.model import EventWork, Outcome
from app.pipeline.trades import pace_of
from tests.unit.dispatch_kit import Hub, done
from tests.unit.engine_kit import connection, operation, receipts, site, small_hub, until

pytestmark = pytest.mark.slow


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
    begun, hang = threading.Event(), threading.Event()

    def never_ends(work: EventWork) -> None:
        begun.set()
        hang.wait(20)

    engine, _ = hub.worker(do=never_ends)
    engine.kick("in:acme_eu")
    assert begun.wait(10)
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


def test_as_much_of_a_lane_is_worked_on_at_a_time_as_its_connection_takes() -> None:
    made = site(connection(operation(), limits=Limits(concurrency=3)), hub=small_hub(threads=8))
    assert pace_of(made, "out:acme_eu").at_a_time == 3
    assert pace_of(made, "out:gone").at_a_time == 8
