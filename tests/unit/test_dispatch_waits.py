"""Work of a lane that waits or hangs: what waits needs no thread, and what hangs keeps nothing else waiting."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from app.core.strands import carrier
from app.model import EventWork
from tests.unit.dispatch_kit import CLOCK, Hub, done
from tests.unit.engine_kit import receipts, until

pytestmark = pytest.mark.slow


def test_work_that_waits_for_its_target_needs_no_thread_and_is_done_as_much_at_a_time_as_may_be(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 40))
    under_way = most = 0
    used: set[int] = set()
    bell, button = socket.socketpair()

    def do(work: EventWork) -> None:
        nonlocal under_way, most
        used.add(threading.get_ident())
        under_way += 1
        most = max(most, under_way)
        here = carrier()
        assert here is not None
        with socket.socket(fileno=os.dup(bell.fileno())) as own:
            assert here.until_ready(own.fileno(), CLOCK.monotonic() + 20)
        under_way -= 1

    with bell, button:
        engine, _ = hub.worker(do=do)
        engine.kick("in:acme_eu")
        assert until(lambda: under_way == 8)
        button.send(b"now")
        assert done(hub, 40)
    assert most == 8
    assert len(used) < 8, used


def test_work_that_hangs_keeps_nothing_else_of_its_lane_waiting(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 30))
    gate, hangs = threading.Event(), threading.Lock()

    def do(work: EventWork) -> None:
        if hangs.acquire(blocking=False):
            assert gate.wait(10)

    engine, work = hub.worker(do=do)
    engine.kick("in:acme_eu")
    assert done(hub, 29)
    assert hub.state()["running"] == 1
    gate.set()
    assert done(hub, 30)
    assert len(work.seen) == len(set(work.seen)) == 30


def test_what_was_done_before_work_that_hangs_is_committed_and_the_rest_given_back_at_the_end(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 40))
    gate = threading.Event()
    began: list[str] = []

    def do(work: EventWork) -> None:
        began.append(work.event_id)
        if len(began) > 2:
            assert gate.wait(10)

    engine, _ = hub.worker(do=do)
    engine.kick("in:acme_eu")
    assert done(hub, 2)
    assert not engine.stop(0.3)
    hang = len(began) - 2
    assert 0 < hang <= 9
    assert hub.state() == {"done": 2, "running": hang, "received": 38 - hang}
    gate.set()


def test_when_many_hang_at_once_the_lane_goes_on_and_ends(hub: Hub) -> None:
    hub.ledger.receive(receipts("acme_eu", 200))
    hanging = threading.Semaphore(6)

    def do(work: EventWork) -> None:
        if hanging.acquire(blocking=False):
            time.sleep(0.2)

    engine, work = hub.worker(do=do)
    engine.kick("in:acme_eu")
    assert done(hub, 200)
    assert until(lambda: not engine._runners)
    assert engine.in_hand == 0
    assert len(work.seen) == len(set(work.seen)) == 200
