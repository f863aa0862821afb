"""What people do by hand happens once, and is kept with who did it."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.model import DeliveryFinish, EventFinish, Outcome
from tests.contract.making import attempt, claim, deliver, done, finish, later, receipt, received, state_of
from tests.support import HandClock


def _dead(ledger: Ledger, clock: HandClock, result: str | None, **more: Any) -> str:
    [delivery_id] = deliver(ledger, clock, order_key="")
    claim(ledger, "a")
    tries = () if result is None else (attempt(clock, delivery_id, result, **more),)
    finish(ledger, "a", DeliveryFinish(delivery_id, "dead", None, "no", "data", attempts=tries))
    return delivery_id


def test_a_delivery_that_was_rejected_is_sent_again_under_a_new_key(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _dead(ledger, clock, "rejected")
    clock.move(3600)
    assert ledger.retry([delivery_id], "me") == [delivery_id]
    [work] = claim(ledger)
    assert (work.resends, work.sent, work.came_from, work.attempts) == (1, False, "ready", 1)
    assert work.created_at == clock.now()


@pytest.mark.parametrize("result", [None, "retry", "in_doubt"])
def test_one_that_may_have_arrived_keeps_its_key(ledger: Ledger, clock: HandClock, result: str | None) -> None:
    delivery_id = _dead(ledger, clock, result)
    ledger.retry([delivery_id], "me")
    assert [work.resends for work in claim(ledger)] == [0]


def test_only_the_last_call_counts_not_a_probe_or_a_lookup_after_it(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    tries = []
    for kind, result in (("call", "rejected"), ("call", "retry"), ("probe", "rejected"), ("lookup", "rejected")):
        tries.append(attempt(clock, delivery_id, result, kind=kind))
        clock.move(1)
    finish(ledger, "a", DeliveryFinish(delivery_id, "dead", None, attempts=tuple(tries)))
    ledger.retry([delivery_id], "me")
    assert [work.resends for work in claim(ledger)] == [0]


def test_two_people_who_retry_retry_once(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _dead(ledger, clock, "rejected")
    assert ledger.retry([delivery_id], "me") == [delivery_id]
    assert ledger.retry([delivery_id], "you") == []
    assert [work.resends for work in claim(ledger)] == [1]
    assert [(row["who"], row["act"]) for row in ledger.acts(delivery_id)] == [("me", "retry")]


@pytest.mark.parametrize("state", ["parked", "conflict", "waiting"])
def test_what_waits_can_be_looked_at_now(ledger: Ledger, clock: HandClock, state: str) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, delivery_id, state, 3600, waits_for="something"))
    began = clock.now()
    clock.move(60)
    assert ledger.retry([delivery_id], "me") == [delivery_id]
    [work] = claim(ledger)
    assert (work.came_from, work.attempts, work.created_at) == ("ready", 2, began)


def test_what_is_done_running_or_in_doubt_is_not_retried(ledger: Ledger, clock: HandClock) -> None:
    finished, doubtful, _running = ids = deliver(ledger, clock, many=3, order_key="")
    claim(ledger, "a")
    finish(ledger, "a", done(finished), later(clock, doubtful, "in_doubt", sent=True))
    assert ledger.retry([*ids, "dlv_none", "evt_none"], "me") == []
    assert ledger.retry([], "me") == []


@pytest.mark.parametrize("state", ["dead", "unknown", "unreadable", "parked", "waiting"])
def test_events_can_be_read_again(ledger: Ledger, clock: HandClock, state: Any) -> None:
    event_id = received(ledger, clock)
    ledger.claim_events("shop", 1, 60, "a")
    final = state in ("dead", "unknown", "unreadable")
    finish(ledger, "a", EventFinish(event_id, state, None if final else clock.now(), "why", "data"))
    assert ledger.retry([event_id], "me") == [event_id]
    shown = ledger.event(event_id)
    assert shown is not None
    assert (shown["state"], shown["because"], shown["audit"][0]["before"]["because"]) == ("received", "", "why")
    assert [work.event_id for work in ledger.claim_events("shop", 1, 60, "b")] == [event_id]


def test_an_ignored_event_stays_ignored(ledger: Ledger, clock: HandClock) -> None:
    one = receipt(clock, state="ignored")
    ledger.receive([one])
    assert ledger.retry([one.event_id], "me") == []


def _in_doubt(ledger: Ledger, clock: HandClock) -> str:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, delivery_id, "in_doubt", 3600, sent=True, operation="announce_return"))
    return delivery_id


def test_a_person_may_say_that_it_arrived(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _in_doubt(ledger, clock)
    assert ledger.resolve(delivery_id, "delivered", "me")
    shown = ledger.delivery(delivery_id)
    assert shown is not None
    assert (shown["state"], shown["calls"][0]["state"], shown["calls"][0]["operation"]) == (
        "done",
        "delivered",
        "announce_return",
    )
    assert [(row["act"], row["who"]) for row in shown["audit"]] == [("resolve delivered", "me")]
    assert not ledger.resolve(delivery_id, "retry", "you")


def test_a_call_that_arrived_leads_on_to_the_next_one(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _in_doubt(ledger, clock)
    assert ledger.resolve(delivery_id, "delivered", "me", next_lane="erp")
    [work] = claim(ledger, lane="erp")
    assert (work.step, work.sent, work.answers) == (1, False, (None,))


def test_a_person_may_say_that_it_did_not_arrive(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _in_doubt(ledger, clock)
    assert ledger.resolve(delivery_id, "retry", "me")
    [work] = claim(ledger)
    assert (work.delivery_id, work.sent, work.resends) == (delivery_id, False, 0)


def test_a_person_may_give_it_up(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _in_doubt(ledger, clock)
    assert ledger.resolve(delivery_id, "dead", "me")
    assert state_of(ledger, delivery_id) == "dead"
    assert [row["id"] for row in ledger.deliveries({"state": "dead"})] == [delivery_id]


def test_only_what_is_in_doubt_is_resolved(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    assert not ledger.resolve(delivery_id, "delivered", "me")
    assert not ledger.resolve("dlv_none", "delivered", "me")


def test_deliveries_are_listed_by_filters(ledger: Ledger, clock: HandClock) -> None:
    dead = _dead(ledger, clock, "rejected", outcome=Outcome("rejected", "no", "data"))
    [ready] = deliver(ledger, clock, lane="erp")
    assert [row["id"] for row in ledger.deliveries()] == [ready, dead]
    assert [row["id"] for row in ledger.deliveries({"state": "dead"})] == [dead]
    assert [row["id"] for row in ledger.deliveries({"lane": "out:erp", "state": "ready"})] == [ready]
    assert ledger.deliveries({"route": "other"}) == []
    shown = ledger.deliveries(limit=1)[0]
    assert (shown["change"], shown["source"], shown["object_id"], shown["attempts"]) == (
        "parcel.labelled",
        "shop",
        "R-1",
        0,
    )
    for wrong in ({"colour": "red"}, {"state": "tired"}):
        with pytest.raises(ValueError, match="use one of"):
            ledger.deliveries(wrong)
    assert ledger.delivery("dlv_none") is None
