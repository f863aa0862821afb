"""The engine and its wake-ups over a real Redis, without a clock to find what was missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from app.adapters.queue import QUEUE, LaneJob, Wakes
from app.model import EventWork
from app.pipeline.breaker import Verdict
from app.pipeline.dispatch import Engine
from tests.unit.dispatch_kit import CLOCK, Hub, done
from tests.unit.engine_kit import receipts, until

pytestmark = pytest.mark.slow

LANE = "in:acme_eu"


class Pump:
    """Takes wake-ups off the queue and hands them to engines in turn, as idle workers would."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.client.flushall()
        self.engines: list[Engine] = []
        self.taken = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        queue = Queue(QUEUE, connection=self.client, job_class=LaneJob, serializer=JSONSerializer)
        for number in cycle(range(12)):
            while (found := queue.dequeue_any([queue], None, self.client, LaneJob, JSONSerializer)) is None:
                if self.ended.wait(0.001):
                    return
            self.taken += 1
            self.engines[number % len(self.engines)].drain(*found[0].args)

    def start(self, *engines: Engine) -> None:
        self.engines += engines
        self.thread.start()

    def close(self) -> None:
        self.ended.set()
        if self.engines:
            self.thread.join(10)
        self.client.close()


@pytest.fixture
def pump(redis_url: str) -> Iterator[Pump]:
    made = Pump(redis_url)
    yield made
    made.close()


@pytest.fixture
def wakes(hub: Hub, redis_url: str, pump: Pump) -> Iterator[list[Wakes]]:
    """Of the door, and of two workers."""
    made = [Wakes(redis_url) for _ in range(3)]
    yield made
    for engine in hub.engines:
        engine.stop(1)
    for one in made:
        one.close()


def feed(hub: Hub, door: Wakes, rounds: int, each: int, pause_s: float, first: int = 0) -> None:
    for number in range(rounds):
        hub.ledger.receive(receipts("acme_eu", each, first + number * each))
        door.wake(LANE)
        time.sleep(pause_s * (number % 7) / 3)


def test_a_lane_in_hand_is_not_woken_for_every_batch_and_nothing_is_missed(
    hub: Hub, pump: Pump, wakes: list[Wakes]
) -> None:
    engine, _ = hub.worker(wakes=wakes[1])
    pump.start(engine)
    feed(hub, wakes[0], 150, 3, 0.002)
    assert done(hub, 450)
    assert pump.taken < 75


def test_no_wake_up_is_lost_between_the_last_look_and_letting_go(hub: Hub, pump: Pump, wakes: list[Wakes]) -> None:
    engines = [hub.worker(wakes=wakes[number], do=lambda work: time.sleep(0.003))[0] for number in (1, 2)]
    pump.start(*engines)
    feed(hub, wakes[0], 100, 1, 0.015)
    assert done(hub, 100)
    feed(hub, wakes[0], 50, 2, 0.03, first=100)
    assert done(hub, 200)


def test_what_comes_one_by_one_into_a_lane_that_is_held_needs_no_job(hub: Hub, pump: Pump, wakes: list[Wakes]) -> None:
    engine, _ = hub.worker(wakes=wakes[1])
    pump.start(engine)
    for number in range(30):
        feed(hub, wakes[0], 1, 1, 0, first=number)
        assert done(hub, number + 1)
    assert pump.taken < 5


def test_a_lane_that_is_held_while_its_gate_is_shut_is_looked_at_now_and_then(
    hub: Hub, pump: Pump, wakes: list[Wakes]
) -> None:
    engine, work = hub.worker(wakes=wakes[1])
    gate, looks = hub.gates[0].of("acme_eu"), 0

    def shut() -> Verdict:
        nonlocal looks
        looks += 1
        return Verdict("wait", "it was paused", CLOCK.now() + timedelta(hours=1))

    gate.verdict = shut  # type: ignore[method-assign]
    pump.start(engine)
    feed(hub, wakes[0], 1, 1, 0)
    assert until(lambda: looks > 0)
    assert until(lambda: not pump.client.exists(f"wake:{LANE}"))
    assert looks < 20
    assert not work.seen


def test_the_flag_is_gone_once_the_lane_is_dry(hub: Hub, pump: Pump, wakes: list[Wakes]) -> None:
    engine, _ = hub.worker(wakes=wakes[1])
    pump.start(engine)
    feed(hub, wakes[0], 1, 5, 0)
    assert done(hub, 5)
    assert until(lambda: not pump.client.exists(f"wake:{LANE}"))


def test_both_workers_get_work_of_a_busy_lane(hub: Hub, pump: Pump, wakes: list[Wakes]) -> None:
    hub.ledger.receive(receipts("acme_eu", 300))
    made = [hub.worker(wakes=wakes[number], do=lambda work: time.sleep(0.02)) for number in (1, 2)]
    pump.start(*(engine for engine, _ in made))
    wakes[0].wake(LANE)
    assert done(hub, 300, 30)
    assert all(len(work.seen) > 20 for _, work in made)


def test_a_lane_that_a_dead_worker_held_is_taken_over_at_the_next_forced_wake_up(
    hub: Hub, pump: Pump, wakes: list[Wakes]
) -> None:
    engine, _ = hub.worker(wakes=wakes[1])
    wakes[0].wake(LANE)
    wakes[2].hold(LANE)
    pump.client.delete("rq:queue:lanes")
    hub.ledger.receive(receipts("acme_eu", 3))
    assert not wakes[0].wake(LANE)
    pump.start(engine)
    assert wakes[0].wake(LANE, force=True)
    assert done(hub, 3)
    assert until(lambda: not pump.client.exists(f"wake:{LANE}"))


def test_work_that_comes_while_a_call_hangs_is_not_left_to_wait_for_it(
    hub: Hub, pump: Pump, wakes: list[Wakes]
) -> None:
    hang = threading.Event()
    first = receipts("acme_eu", 1)
    hub.ledger.receive(first)
    engine, work = hub.worker(
        wakes=wakes[1], do=lambda work: (work.event_id == first[0].event_id and hang.wait(30)) and None
    )
    pump.start(engine)
    wakes[0].wake(LANE)
    assert until(lambda: engine.in_hand == 1)
    try:
        feed(hub, wakes[0], 10, 1, 0.03, first=1)
        assert until(lambda: len(work.seen) == 10)
    finally:
        hang.set()
    assert done(hub, 11)


def test_a_worker_that_stops_lets_go_at_once_and_passes_wake_ups_on(hub: Hub, pump: Pump, wakes: list[Wakes]) -> None:
    begun, hang = threading.Event(), threading.Event()

    def never_ends(work: EventWork) -> None:
        begun.set()
        hang.wait(30)

    hub.ledger.receive(receipts("acme_eu", 1))
    stopping, _ = hub.worker(wakes=wakes[1], do=never_ends)
    wakes[0].wake(LANE)
    pump.client.delete("rq:queue:lanes")
    stopping.drain(LANE)
    assert begun.wait(10)
    stopping.pause_claims()
    assert until(lambda: not pump.client.exists(f"wake:{LANE}"))
    other, work = hub.worker(wakes=wakes[2])
    hub.ledger.receive(receipts("acme_eu", 1, 1))
    stopping.drain(LANE)
    pump.start(other)
    assert until(lambda: len(work.seen) == 1)
    hang.set()
