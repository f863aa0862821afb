"""A finish is written by who still holds the claim; nothing final is due and nothing else is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.adapters.ledger import Ledger
from app.model import DeliveryFinish, EventFinish, Identifier
from tests.contract.making import (
    attempt,
    claim,
    claim_ids,
    deliver,
    done,
    finish,
    known,
    later,
    put,
    received,
    state_of,
)
from tests.support import HandClock


def test_a_late_worker_changes_nothing_but_its_tries_are_kept(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "slow")
    clock.move(61)
    claim(ledger, "quick")
    late = done(
        delivery_id,
        operation="announce_return",
        attempts=(attempt(clock, delivery_id),),
        references=(known(clock.now()),),
        identifiers=(Identifier("W-1", "return", True),),
    )
    assert finish(ledger, "slow", late) == set()
    shown = ledger.delivery(delivery_id)
    assert shown is not None
    assert (shown["state"], shown["calls"], len(shown["attempt_rows"])) == ("running", [], 1)
    assert ledger.references() == []
    assert ledger.find("W-1") == []
    assert finish(ledger, "quick", done(delivery_id)) == {delivery_id}
    assert finish(ledger, "quick", later(clock, delivery_id)) == set()
    assert state_of(ledger, delivery_id) == "done"


def test_a_late_reader_of_an_event_changes_nothing(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    ledger.claim_events("shop", 1, 60, "slow")
    clock.move(61)
    ledger.claim_events("shop", 1, 60, "quick")
    fetched = attempt(clock, event_id=event_id, kind="fetch")
    assert finish(ledger, "slow", EventFinish(event_id, "done", None, attempts=(fetched,))) == set()
    shown = ledger.event(event_id)
    assert shown is not None
    assert (shown["state"], [row["kind"] for row in shown["attempt_rows"]]) == ("running", ["fetch"])


def test_a_try_is_kept_whole(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    made = attempt(clock, delivery_id, "rejected")
    finish(ledger, "a", DeliveryFinish(delivery_id, "dead", None, "no such SKU", "data", attempts=(made, made)))
    shown = ledger.delivery(delivery_id)
    assert shown is not None
    [row] = shown["attempt_rows"]
    assert (row["request"], row["response"]) == (made.request, made.response)
    assert (row["outcome"], row["because"], row["status"], row["took_ms"]) == ("rejected", "said so", 200, 12)
    assert (shown["because"], shown["fault"], shown["due_at"]) == ("no such SKU", "data", None)


@pytest.mark.parametrize(("state", "due"), [("done", True), ("dead", True), ("waiting", False), ("parked", False)])
def test_what_is_final_cannot_be_due_and_the_rest_must_be(
    ledger: Ledger, clock: HandClock, state: str, due: bool
) -> None:
    [delivery_id] = deliver(ledger, clock)
    event_id = received(ledger, clock)
    claim(ledger, "a")
    ledger.claim_events("shop", 1, 60, "a")
    when = clock.now() if due else None
    for wrong in (DeliveryFinish(delivery_id, state, when), EventFinish(event_id, state, when)):  # type: ignore[arg-type]
        with pytest.raises(Exception, match=r"ck_(deliveries|events)_due_at"):
            finish(ledger, "a", wrong)
    assert state_of(ledger, delivery_id) == "running"
    assert finish(ledger, "a", done(delivery_id))


def test_a_try_that_does_not_count_is_given_back(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    event_id = received(ledger, clock)
    for token in ("a", "b", "c"):
        assert [work.attempts for work in claim(ledger, token)] == [1]
        assert [work.attempts for work in ledger.claim_events("shop", 1, 60, token)] == [1]
        waiting = EventFinish(event_id, "waiting", clock.now(), counted=False)
        finish(ledger, token, later(clock, delivery_id, seconds=0, counted=False), waiting)


def test_whether_it_was_sent_is_as_the_last_real_try_says(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    said = [
        (later(clock, delivery_id, "in_doubt", 0, sent=True), True),
        (later(clock, delivery_id, "waiting", 0, counted=False), True),  # nothing was tried: still in doubt
        (later(clock, delivery_id, "waiting", 0), False),  # looked, and it was not there
    ]
    for number, (finishing, sent) in enumerate(said):
        claim(ledger, f"t{number}")
        finish(ledger, f"t{number}", finishing)
        assert [work.sent for work in claim(ledger, f"u{number}")] == [sent]
        ledger.hand_back(f"u{number}", [delivery_id])


def test_it_is_kept_since_when_something_is_parked_until_it_moves_on(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    parked_at = clock.now()
    for token, state in (("a", "parked"), ("b", "waiting"), ("c", "parked")):
        claim(ledger, token)
        finish(ledger, token, later(clock, delivery_id, state, 5))
        clock.move(5)
    assert [work.parked_at for work in claim(ledger, "d")] == [parked_at]
    finish(ledger, "d", later(clock, delivery_id, "ready", 0, step=1, operation="announce_return"))
    assert [work.parked_at for work in claim(ledger)] == [None]


def test_nothing_of_a_block_that_raises_is_written(ledger: Ledger, clock: HandClock) -> None:
    [first, second] = deliver(ledger, clock, many=2, order_key="")
    claim(ledger, "a")
    with pytest.raises(ZeroDivisionError), ledger.write() as tx:
        tx.finish_deliveries("a", [done(first, attempts=(attempt(clock, first),), operation="announce_return")])
        tx.put_reference(known(clock.now()))
        tx.count({("seen", "{}"): 1.0}, "here")
        tx.audit("me", "look", first, None, None)
        raise ZeroDivisionError
    shown = ledger.delivery(first)
    assert shown is not None
    assert (shown["state"], shown["attempt_rows"], shown["calls"], shown["audit"]) == ("running", [], [], [])
    assert (ledger.references(), ledger.counters()) == ([], {})
    assert finish(ledger, "a", done(first), done(second)) == {first, second}


def test_transactions_do_not_nest(ledger: Ledger, clock: HandClock) -> None:
    with pytest.raises(RuntimeError, match="do not nest"), ledger.write() as tx:
        tx.heads([("return", "shop", "R-1")])
        received(ledger, clock)
    assert received(ledger, clock)


def test_a_transaction_in_which_nothing_was_asked_for_yet_keeps_nobody_waiting(
    ledger: Ledger, clock: HandClock
) -> None:
    with ledger.write() as tx:
        event_id = received(ledger, clock)
        tx.count({("events", "{}"): 1}, "s")
    assert event_id and ledger.counters()


def test_what_was_waited_for_may_come_while_the_worker_still_thinks(ledger: Ledger, clock: HandClock) -> None:
    parked, blocked = deliver(ledger, clock, many=2, order_key="")
    event_id = received(ledger, clock)
    claim(ledger, "a")
    ledger.claim_events("shop", 1, 60, "a")
    assert put(ledger, known(clock.now())) == []
    ledger.pause("erp", "credentials refused", "hub")
    ledger.resume("erp", "me")
    finish(
        ledger,
        "a",
        later(clock, parked, "parked", 3600, waits_for=str(known(clock.now()).key)),
        later(clock, blocked, "waiting", 3600, waits_for="connection:erp"),
        EventFinish(event_id, "waiting", clock.now() + timedelta(hours=1), waits_for="connection:erp"),
    )
    assert claim_ids(ledger, "b") == [parked, blocked]
    assert len(ledger.claim_events("shop", 1, 60, "b")) == 1
    # Only once: what came long before the claim was seen by the worker, who waits for another reason.
    clock.move(10.001)
    ledger.hand_back("b", [parked, blocked])
    claim(ledger, "c")
    finish(ledger, "c", later(clock, parked, "parked", 3600, waits_for=str(known(clock.now()).key)))
    finish(ledger, "c", later(clock, blocked, "waiting", 3600, waits_for="connection:erp"))
    assert claim_ids(ledger) == []
