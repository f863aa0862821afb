"""A message is kept once per vendor's id, whole, and answered with the id of the first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.ledger import Ledger
from app.core.times import iso
from app.model import Received
from tests.contract.making import new, receipt
from tests.support import HandClock


def test_a_message_is_kept_byte_for_byte_with_its_headers_and_is_due_at_once(ledger: Ledger, clock: HandClock) -> None:
    body = bytes(range(256))
    one = receipt(clock, "v-1", headers={"x-signature": "…", "content-type": "text/plain"}, body=body)
    assert ledger.receive([one]) == [Received(one.event_id, duplicate=False)]
    assert ledger.event_body(one.event_id) == body
    [work] = ledger.claim_events("shop", 10, 60, "token")
    assert (work.event_id, work.body, work.headers, work.type) == (one.event_id, body, one.headers, one.type)
    assert (work.attempts, work.received_at, work.created_at) == (1, clock.now(), clock.now())


def test_bodies_of_any_length_that_are_kept_together_stay_apart(ledger: Ledger, clock: HandClock) -> None:
    bodies = [b"", b"\x00", b"one", b"", bytes(range(256)) * 300, "é€".encode(), b""]
    receipts = [receipt(clock, body=body) for body in bodies]
    assert ledger.receive(receipts[:1]) + ledger.receive(receipts[1:]) == [
        Received(one.event_id, duplicate=False) for one in receipts
    ]
    assert [ledger.event_body(one.event_id) for one in receipts] == bodies


def test_what_comes_before_the_ledger_may_be_written_is_kept_too_and_answered_behind(
    ledger: Ledger, clock: HandClock
) -> None:
    first, second, third = (receipt(clock, f"v-{number}") for number in (2, 1, 2))
    assert ledger.receive([first], lambda: [second, third]) == [
        Received(first.event_id, duplicate=False),
        Received(second.event_id, duplicate=False),
        Received(first.event_id, duplicate=True),
    ]
    assert len(ledger.events()) == 2


def test_where_nothing_more_came_it_is_the_same(ledger: Ledger, clock: HandClock) -> None:
    first = receipt(clock)
    assert ledger.receive([first], tuple) == [Received(first.event_id, duplicate=False)]
    assert ledger.receive([], tuple) == []


def test_a_duplicate_is_answered_with_the_first_ones_id_and_writes_nothing(ledger: Ledger, clock: HandClock) -> None:
    first = receipt(clock, "v-1", body=b"first")
    ledger.receive([first])
    clock.move(5)
    assert ledger.receive([receipt(clock, "v-1", body=b"second")]) == [Received(first.event_id, duplicate=True)]
    assert ledger.event_body(first.event_id) == b"first"
    assert len(ledger.events()) == 1


def test_the_same_vendor_id_at_two_connections_is_two_messages(ledger: Ledger, clock: HandClock) -> None:
    answers = ledger.receive([receipt(clock, "v-1", "shop_a"), receipt(clock, "v-1", "shop_b")])
    assert [answer.duplicate for answer in answers] == [False, False]


def test_what_needs_no_work_is_final_from_the_start_and_tells_why(ledger: Ledger, clock: HandClock) -> None:
    for state in ("ignored", "unknown", "unreadable"):
        ledger.receive([receipt(clock, state=state, because=f"it is {state}")])
    assert ledger.claim_events("shop", 10, 60, "token") == []
    assert {row["state"]: row["because"] for row in ledger.events()} == {
        "ignored": "it is ignored",
        "unknown": "it is unknown",
        "unreadable": "it is unreadable",
    }
    assert all(row["due_at"] is None for row in ledger.events())


def test_a_message_that_is_handed_over_twice_is_no_duplicate_of_itself(ledger: Ledger, clock: HandClock) -> None:
    # A commit whose answer got lost is tried again: the vendor must not hear of that.
    one = receipt(clock)
    assert ledger.receive([one]) == ledger.receive([one]) == [Received(one.event_id, duplicate=False)]


def test_events_are_listed_newest_first_and_by_filters(ledger: Ledger, clock: HandClock) -> None:
    old = receipt(clock, connection="shop_a")
    clock.move(1)
    young = receipt(clock, connection="shop_b", type="odd", state="unknown")
    ledger.receive([old, young])
    assert [row["id"] for row in ledger.events()] == [young.event_id, old.event_id]
    assert [row["id"] for row in ledger.events({"connection": "shop_a"})] == [old.event_id]
    assert [row["id"] for row in ledger.events({"state": "unknown", "type": "odd"})] == [young.event_id]
    assert [row["id"] for row in ledger.events({"state": "received"})] == [old.event_id]
    assert len(ledger.events(limit=1)) == 1
    shown = ledger.event(young.event_id)
    assert shown is not None
    assert shown["received_at"] == iso(clock.now())
    assert shown["body"] == '{"id": "1"}'
    assert shown["headers"] == {"content-type": "application/json"}
    assert ledger.event("evt_none") is None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 5)), min_size=1, max_size=8), max_size=6
    )
)
def test_however_messages_repeat_each_is_kept_once_and_every_answer_names_the_first(
    ledger: Ledger, clock: HandClock, batches: list[list[tuple[str, int]]]
) -> None:
    run = new("run")
    first: dict[tuple[str, int], str] = {}
    for batch in batches:
        receipts = [receipt(clock, f"{run}-{number}", connection) for connection, number in batch]
        answers = ledger.receive(receipts)
        for name, one, answer in zip(batch, receipts, answers, strict=True):
            assert answer == Received(first.setdefault(name, one.event_id), duplicate=first[name] != one.event_id)
    kept = [ledger.event(event_id) for event_id in first.values()]
    assert len(kept) == len(first) and None not in kept


def test_text_that_a_database_refuses_turns_nobody_away(ledger: Ledger, clock: HandClock) -> None:
    odd = receipt(clock, "nul \x00 and half a pair \ud800", type="\x00\udfff", headers={"x": "\x00"})
    long = receipt(clock, "é" * 5000)
    longer = replace(long, event_id=new("evt"), vendor_id="é" * 5000 + "!")
    assert [answer.duplicate for answer in ledger.receive([odd, receipt(clock), long, longer])] == [False] * 4
    assert [answer.duplicate for answer in ledger.receive([odd, long, replace(longer, event_id="evt_x")])] == [
        False,
        False,
        True,
    ]


def test_milliseconds_survive(ledger: Ledger, clock: HandClock) -> None:
    moment = clock.now() + timedelta(milliseconds=123)
    ledger.receive([receipt(clock, received_at=moment)])
    assert ledger.claim_events("shop", 1, 60, "token")[0].received_at == moment
