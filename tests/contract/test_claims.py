"""Due work is handed out once, under a lease that a dead worker lets lapse."""

from __future__ import annotations

from datetime import timedelta

from app.adapters.ledger import Ledger
from app.adapters.ledger.claims import DEADLY
from app.model import Change, EventFinish, Identifier, NewDelivery
from tests.contract.making import (
    attempt,
    claim,
    claim_ids,
    deliver,
    document,
    done,
    finish,
    later,
    new,
    receipt,
    received,
    state_of,
)
from tests.support import HandClock


def test_what_is_claimed_is_not_handed_out_again_before_its_lease_is_over(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    assert [work.event_id for work in ledger.claim_events("shop", 10, 60, "a")] == [event_id]
    clock.move(59)
    assert ledger.claim_events("shop", 10, 60, "b") == []
    clock.move(1)
    [work] = ledger.claim_events("shop", 10, 60, "c")
    assert (work.event_id, work.attempts) == (event_id, 2)


def test_a_claim_takes_no_more_than_asked_for_and_the_longest_due_first(ledger: Ledger, clock: HandClock) -> None:
    ids = []
    for _ in range(5):
        ids.append(received(ledger, clock))
        clock.move(1)
    assert [work.event_id for work in ledger.claim_events("shop", 2, 60, "a")] == ids[:2]
    assert [work.event_id for work in ledger.claim_events("shop", 9, 60, "b")] == ids[2:]
    assert ledger.claim_events("other", 9, 60, "c") == []


def test_a_claimed_delivery_brings_its_document_and_its_change(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    picture = document(clock, event_id, "R-7", body={"id": "R-7", "lines": [{"key": "1"}]}, raw={"payload": {"a": 1}})
    change = Change("parcel.labelled", "parcel.labelled:p-1", {"first": False, "parcel": {"id": "p-1"}})
    with ledger.write() as tx:
        tx.add_documents([picture])
        change_id = tx.add_changes(picture, [change])[change.key]
        tx.add_deliveries(
            picture, change_id, [NewDelivery("dlv_7", change.key, "announce", "#1", "out:wms", "R-7", "stamp")]
        )
    [work] = ledger.claim_deliveries("out:wms", 10, 60, "a")
    assert (work.document.body, work.document.raw(), work.document.seq) == (picture.body, picture.raw, 1)
    assert (work.change, work.change_id, work.part, work.lane) == (change, change_id, "#1", "wms")
    assert (work.came_from, work.attempts, work.resends, work.sent, work.step) == ("ready", 1, 0, False, 0)
    assert (work.created_at, work.parked_at, work.answers) == (clock.now(), None, ())


def test_a_delivery_whose_worker_died_comes_back_as_possibly_sent(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger)
    clock.move(61)
    [work] = claim(ledger)
    assert (work.delivery_id, work.came_from, work.sent, work.attempts) == (delivery_id, "running", True, 2)


def test_a_lease_can_be_renewed_by_who_holds_it_only(ledger: Ledger, clock: HandClock) -> None:
    received(ledger, clock)
    deliver(ledger, clock)
    ledger.claim_events("shop", 10, 60, "mine")
    assert claim_ids(ledger, "mine")
    clock.move(50)
    assert ledger.renew("theirs", 60) == 0
    assert ledger.renew("mine", 60) == 2
    clock.move(50)
    assert (ledger.claim_events("shop", 10, 60, "b"), claim(ledger)) == ([], [])


def test_what_is_handed_back_is_due_at_once_and_counts_as_not_tried(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2, order_key="")
    finishing = later(clock, first, "parked", 0, waits_for="something", counted=False)
    assert claim_ids(ledger, "a") == [first, second]
    finish(ledger, "a", finishing)
    works = claim(ledger, "b")
    assert [(work.delivery_id, work.came_from) for work in works] == [(first, "parked")]
    assert ledger.hand_back("other", [first]) == 0
    assert ledger.hand_back("b", [first]) == 1
    [again] = claim(ledger)
    assert (again.delivery_id, again.came_from, again.attempts, again.sent) == (first, "parked", 1, False)


def test_work_that_kills_five_workers_in_a_row_is_set_aside(ledger: Ledger, clock: HandClock) -> None:
    [poison, behind] = deliver(ledger, clock, many=2)
    event_id = received(ledger, clock)
    for _ in range(DEADLY):
        assert claim_ids(ledger) == [poison]
        assert ledger.claim_events("shop", 10, 60, new("token"))
        clock.move(61)
    assert claim_ids(ledger) == []
    assert ledger.claim_events("shop", 10, 60, "last") == []
    for row in (ledger.delivery(poison), ledger.event(event_id)):
        assert row is not None
        assert (row["state"], row["due_at"]) == ("dead", None)
        assert row["because"].startswith("its worker died 5 times: ")
    assert claim_ids(ledger) == [behind]


def test_deaths_count_in_a_row_only(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    for _ in range(3):
        for _ in range(DEADLY - 1):
            assert claim_ids(ledger)
            clock.move(61)
        token = new("token")
        assert claim_ids(ledger, token)
        finish(ledger, token, later(clock, delivery_id, seconds=0))
    assert state_of(ledger, delivery_id) == "waiting"


def test_a_worker_that_hands_back_dies_no_death(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger)
    clock.move(61)
    for _ in range(2 * DEADLY):
        token = new("token")
        assert claim_ids(ledger, token)
        ledger.hand_back(token, [delivery_id])
    assert [work.came_from for work in claim(ledger)] == ["running"]


def test_due_lanes_are_those_with_something_to_claim_now(ledger: Ledger, clock: HandClock) -> None:
    assert ledger.due_lanes() == []
    received(ledger, clock, connection="shop_b")
    received(ledger, clock, connection="shop_a")
    for lane in ("wms", "erp", "nshift"):
        deliver(ledger, clock, object_id=f"R-{lane}", lane=lane)
    assert sorted(ledger.due_lanes()) == ["in:shop_a", "in:shop_b", "out:erp", "out:nshift", "out:wms"]
    assert claim_ids(ledger, lane="erp")
    ledger.claim_events("shop_a", 10, 60, "a")
    assert sorted(ledger.due_lanes()) == ["in:shop_b", "out:nshift", "out:wms"]


def test_a_lane_is_not_due_while_its_heads_wait(ledger: Ledger, clock: HandClock) -> None:
    first, _ = deliver(ledger, clock, many=2)
    assert ledger.due_count("out:wms") == 1
    assert claim_ids(ledger, "a") == [first]
    finish(ledger, "a", later(clock, first, seconds=30))
    assert ledger.due_lanes() == []
    assert ledger.due_count("out:wms") == 0
    assert ledger.next_due("out:wms") == clock.now() + timedelta(seconds=30)
    assert ledger.next_due("out:erp") is None
    event_id = received(ledger, clock)
    assert (ledger.due_count("in:shop"), ledger.next_due("in:shop")) == (1, clock.now())
    ledger.claim_events("shop", 1, 60, "b")
    finish(ledger, "b", EventFinish(event_id, "done", None))
    assert (ledger.due_count("in:shop"), ledger.next_due("in:shop")) == (0, None)


def test_answers_of_earlier_steps_come_with_the_later_ones(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    step = {"operation": "create", "idempotency_key": "k.0", "answer": {"id": "W-1"}}
    finish(ledger, "a", later(clock, delivery_id, "ready", 0, step=1, lane="erp", sent=True, **step))
    assert claim(ledger) == []
    [work] = claim(ledger, "b", lane="erp")
    assert (work.step, work.lane, work.sent, work.answers) == (1, "erp", False, ({"id": "W-1"},))
    finish(ledger, "b", done(delivery_id, step=1, operation="book", idempotency_key="k.1", answer=None))
    shown = ledger.delivery(delivery_id)
    assert shown is not None
    assert [(row["step"], row["connection"], row["operation"], row["state"]) for row in shown["calls"]] == [
        (0, "wms", "create", "delivered"),
        (1, "erp", "book", "delivered"),
    ]


def test_one_claim_loads_hundreds_of_deliveries_in_a_handful_of_statements(ledger: Ledger, clock: HandClock) -> None:
    many = deliver(ledger, clock, many=300, order_key="", numbers=[Identifier("n", "number")])
    works = claim(ledger, limit=256)
    assert [work.delivery_id for work in works] == many[:256]
    assert len({id(work.document) for work in works}) == 1


def test_receipts_and_tries_may_come_in_any_number(ledger: Ledger, clock: HandClock) -> None:
    ledger.receive([receipt(clock) for _ in range(700)])
    works = ledger.claim_events("shop", 1000, 60, "a")
    assert len(works) == 700
    finishes = [EventFinish(w.event_id, "done", None, attempts=(attempt(clock, event_id=w.event_id),)) for w in works]
    assert len(finish(ledger, "a", *finishes)) == 700
