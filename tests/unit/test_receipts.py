"""The writer of receipts: groups, outages, overload, shutdown; and the notifier."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.counting import EVENTS, REJECTED
from app.errors import LedgerUnavailable
from app.model import Receipt, Received, Rejection
from app.pipeline.notifier import Notifier
from app.pipeline.receipts import BATCH, ReceiptWriter
from tests.support import HandClock, eventually
from tests.unit.door_kit import NOW, Bell, Faulty, opened

RECEIPT = Receipt("evt_0", "shop", "id-0", "return.created", NOW, {}, b"{}", "received")


def receipt(number: int, vendor_id: str = "") -> Receipt:
    return replace(RECEIPT, event_id=f"evt_{number}", vendor_id=vendor_id or f"id-{number}")


@pytest.fixture
def ledger(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Faulty]:
    with opened(migrated_sqlite, tmp_path, HandClock()) as opened_ledger:
        yield opened_ledger


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def writer(ledger: Faulty, told: list[str]) -> Iterator[ReceiptWriter]:
    writing = ReceiptWriter(ledger, told.extend)
    yield writing
    ledger.gate.set()
    writing.close()


def test_a_receipt_is_in_the_ledger_when_submit_returns(writer: ReceiptWriter, ledger: Faulty, told: list[str]) -> None:
    assert writer.submit(receipt(1), 5) == Received("evt_1", False)
    assert ledger.event_body("evt_1") == b"{}"
    assert told == ["in:shop"]


def test_the_same_message_ten_times_at_once_is_kept_once_and_answered_alike(writer: ReceiptWriter) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda number: writer.submit(receipt(number, "same"), 5), range(10)))
    assert len({answer.event_id for answer in answers}) == 1
    assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 9


def test_requests_that_wait_together_are_committed_together(writer: ReceiptWriter, ledger: Faulty) -> None:
    many = 600
    ledger.gate.clear()
    with ThreadPoolExecutor(many) as pool:
        pending = [pool.submit(writer.submit, receipt(number), 20) for number in range(many)]
        eventually(lambda: writer.waiting >= many - BATCH)
        ledger.gate.set()
        assert [one.result().event_id for one in pending] == [f"evt_{number}" for number in range(many)]
    assert sum(ledger.batches) == many and max(ledger.batches) <= BATCH and len(ledger.batches) <= 6


def test_who_comes_while_the_ledger_is_busy_goes_with_the_one_before(writer: ReceiptWriter, ledger: Faulty) -> None:
    ledger.gate.clear()
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(writer.submit, receipt(0), 20)
        assert ledger.entered.wait(5)
        others = [pool.submit(writer.submit, receipt(number), 20) for number in range(1, 6)]
        eventually(lambda: writer.waiting == 5)
        ledger.gate.set()
        assert [one.result().event_id for one in [first, *others]] == [f"evt_{number}" for number in range(6)]
    assert ledger.batches == [6]


def test_without_a_ledger_everybody_hears_it_and_it_works_again_by_itself(
    writer: ReceiptWriter, ledger: Faulty
) -> None:
    ledger.gone = True
    with ThreadPoolExecutor(5) as pool:
        pending: list[Future[Received]] = [pool.submit(writer.submit, receipt(number), 5) for number in range(5)]
        for one in pending:
            with pytest.raises(LedgerUnavailable):
                one.result()
    ledger.gone = False
    assert writer.submit(receipt(1), 5) == Received("evt_1", False)


def test_a_request_waits_no_longer_than_its_vendor_does_and_its_next_try_is_a_duplicate(
    writer: ReceiptWriter, ledger: Faulty
) -> None:
    ledger.gate.clear()
    with pytest.raises(LedgerUnavailable, match="not committed within"):
        writer.submit(receipt(1), 0.05)
    ledger.gate.set()
    assert writer.submit(receipt(2, "id-1"), 5) == Received("evt_1", True)


def test_who_gives_up_waiting_keeps_nobody_else_of_the_batch_waiting(writer: ReceiptWriter, ledger: Faulty) -> None:
    ledger.gate.clear()
    with ThreadPoolExecutor(5) as pool:
        held = pool.submit(writer.submit, receipt(0), 10)
        assert ledger.entered.wait(5)
        patient = [pool.submit(writer.submit, receipt(number), 10) for number in (1, 2, 3)]
        with pytest.raises(LedgerUnavailable, match="not committed within"):
            writer.submit(receipt(4), 0.05)
        eventually(lambda: writer.waiting == 4)
        ledger.gate.set()
        assert [one.result().event_id for one in [held, *patient]] == ["evt_0", "evt_1", "evt_2", "evt_3"]
    assert ledger.event_body("evt_4") == b"{}"


def test_a_queue_that_is_full_turns_away_at_once(ledger: Faulty) -> None:
    writer = ReceiptWriter(ledger, lambda lanes: None, limit=3)
    ledger.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(writer.submit, receipt(0), 5)
        assert ledger.entered.wait(5)
        rest = [pool.submit(writer.submit, receipt(number), 5) for number in range(1, 4)]
        eventually(lambda: writer.waiting == 3)
        with pytest.raises(LedgerUnavailable, match="wait already"):
            writer.submit(receipt(9), 5)
        ledger.gate.set()
        assert {one.result().event_id for one in [first, *rest]} == {f"evt_{number}" for number in range(4)}
    writer.close()


def test_one_receipt_that_cannot_be_kept_does_not_turn_the_others_away(writer: ReceiptWriter, ledger: Faulty) -> None:
    ledger.poison = "bad"
    ledger.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(writer.submit, receipt(0), 5)
        assert ledger.entered.wait(5)
        bad = pool.submit(writer.submit, receipt(1, "bad"), 5)
        good = pool.submit(writer.submit, receipt(2), 5)
        eventually(lambda: writer.waiting == 2)
        ledger.gate.set()
        assert first.result() and good.result() == Received("evt_2", False)
        with pytest.raises(ValueError, match="cannot be kept"):
            bad.result()


def test_closing_writes_what_waits_and_takes_nothing_more(ledger: Faulty) -> None:
    writer = ReceiptWriter(ledger, lambda lanes: None)
    ledger.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        pending = [pool.submit(writer.submit, receipt(0), 5)]
        assert ledger.entered.wait(5)
        pending += [pool.submit(writer.submit, receipt(number), 5) for number in (1, 2)]
        eventually(lambda: writer.waiting == 2)
        writer.reject(Rejection(NOW, "shop", "bad signature"), True)
        closing = threading.Thread(target=writer.close)
        closing.start()
        ledger.gate.set()
        closing.join()
        assert {one.result().event_id for one in pending} == {"evt_0", "evt_1", "evt_2"}
    with pytest.raises(LedgerUnavailable, match="shutting down"):
        writer.submit(receipt(9), 5)
    assert [one.cause for one in ledger.rejections(10)] == ["bad signature"]


def test_what_was_turned_away_is_counted_and_logged_even_over_an_outage(ledger: Faulty) -> None:
    writer = ReceiptWriter(ledger, lambda lanes: None)
    ledger.gone = True
    for _ in range(3):
        writer.reject(Rejection(NOW, "shop", "bad signature"), True)
    writer.reject(Rejection(NOW, "from/a/path", "unknown connection"), False)
    eventually(lambda: writer._aside_due is not None and writer._aside_due > time.monotonic() + 2)
    ledger.gone = False
    writer.submit(receipt(1), 5)
    writer.submit(receipt(2, "id-1"), 5)
    writer.close()
    assert len(ledger.rejections(10)) == 4
    counters = ledger.counters()
    assert counters[REJECTED, '{"cause":"bad signature","connection":"shop"}'] == 3
    assert counters[REJECTED, '{"cause":"unknown connection","connection":""}'] == 1
    assert counters[EVENTS, '{"connection":"shop","state":"received"}'] == 1
    assert counters[EVENTS, '{"connection":"shop","state":"duplicate"}'] == 1


def test_turning_away_never_waits_and_holds_only_so_much(writer: ReceiptWriter, ledger: Faulty) -> None:
    ledger.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(writer.submit, receipt(0), 10)
        started = time.monotonic()
        for _ in range(20_000):
            writer.reject(Rejection(NOW, "shop", "bad signature"), True)
        assert time.monotonic() - started < 5
        ledger.gate.set()
        held.result()
    writer.close()
    assert ledger.counters()[REJECTED, '{"cause":"bad signature","connection":"shop"}'] == 20_000
    assert len(ledger.rejections(1000)) == 500


def test_an_idle_writer_sleeps(writer: ReceiptWriter) -> None:
    writer.submit(receipt(1), 5)
    eventually(lambda: writer._aside_due is None)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.05


def test_the_notifier_wakes_each_lane_once_a_round() -> None:
    bell = Bell()
    notifier = Notifier(bell.wake, pause_s=0.05)
    notifier.tell(["in:a"])
    assert bell.rung.wait(2)
    for _ in range(100):
        notifier.tell(["in:a", "in:b"])
    notifier.close()
    assert bell.lanes[0] == "in:a" and bell.lanes.count("in:a") <= 3 and bell.lanes.count("in:b") <= 2
    assert "in:b" in bell.lanes


def test_the_notifier_outlives_a_redis_that_is_away() -> None:
    bell = Bell()
    bell.broken = True
    notifier = Notifier(bell.wake, pause_s=0)
    notifier.tell(["in:a"])
    assert bell.rung.wait(2)
    bell.broken = False
    bell.rung.clear()
    notifier.tell(["in:b"])
    assert bell.rung.wait(2)
    notifier.close()
    assert bell.lanes == ["in:a", "in:b"]
