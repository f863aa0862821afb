"""The lane engine over a real ledger: what it claims, commits, gives back and survives."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.core.connectors import Limits
from app.errors import LedgerUnavailable
from app.model import EventFinish, EventWork
from tests.unit.dispatch_kit import Hub, done
from tests.unit.engine_kit import receipts, until

pytestmark = pytest.mark.slow


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


def test_on_sqlite_no_work_is_begun_while_the_process_writes(sqlite_ledger_url: str) -> None:
    hub = Hub(sqlite_ledger_url)
    hub.ledger.receive(receipts("acme_eu", 3))
    began: list[str] = []
    gate = threading.Event()

    def do(work: EventWork) -> None:
        began.append(work.event_id)
        assert gate.wait(10)

    engine, work = hub.worker(Limits(concurrency=1), do=do)
    engine.kick("in:acme_eu")
    assert until(lambda: len(began) == 1)
    with work.ledger.write() as tx:
        tx.heads([("return", "shop", "R-1")])
        gate.set()
        assert until(lambda: len(work.seen) == 1)
        assert not until(lambda: len(began) > 1, 0.1)
    assert done(hub, 3)
    hub.close()


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
