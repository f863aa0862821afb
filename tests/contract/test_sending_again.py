"""What is done is sent again when a person says that the world undid it: once, under a new key, in its place."""

from __future__ import annotations

import pytest

from app.adapters.ledger import Ledger
from app.model import DeliveryFinish
from tests.contract.making import claim, claim_ids, deliver, done, finish, later, state_of
from tests.support import HandClock

WHY = "the bank sent it back"


def _done(ledger: Ledger, clock: HandClock) -> str:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(
        ledger, "a", done(delivery_id, operation="refund", idempotency_key=f"{delivery_id}.0", answer={"id": "re_1"})
    )
    return delivery_id


def test_it_begins_anew_under_a_new_key(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _done(ledger, clock)
    assert ledger.send_again([delivery_id], "me", WHY) == [delivery_id]
    [work] = claim(ledger)
    assert (work.delivery_id, work.resends, work.step, work.sent, work.attempts) == (delivery_id, 1, 0, False, 1)
    # Nothing that was told as delivered keeps it from being made once more.
    assert {step: row.state for step, row in work.calls.items()} == {0: "undone"}


def test_its_patience_counts_from_now(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _done(ledger, clock)
    clock.move(86_400)
    ledger.send_again([delivery_id], "me", WHY)
    assert [work.created_at for work in claim(ledger)] == [clock.now()]


def test_two_people_send_it_once_and_each_act_is_kept_with_its_reason(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _done(ledger, clock)
    assert ledger.send_again([delivery_id], "me", WHY) == [delivery_id]
    assert ledger.send_again([delivery_id], "you", WHY) == []
    claim(ledger, "b")
    finish(ledger, "b", done(delivery_id, operation="refund"))
    assert ledger.send_again([delivery_id, delivery_id], "you", "and again") == [delivery_id]
    assert [work.resends for work in claim(ledger)] == [2]
    kept = [(act["who"], act["act"], act["after"]["why"], act["after"]["resends"]) for act in ledger.acts(delivery_id)]
    assert sorted(kept) == [("me", "send again", WHY, 1), ("you", "send again", "and again", 2)]


@pytest.mark.parametrize("state", ["dead", "skipped", "waiting", "parked", "conflict", "in_doubt"])
def test_only_what_is_done_is_sent_again(ledger: Ledger, clock: HandClock, state: str) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    final = state in ("dead", "skipped")
    finish(ledger, "a", DeliveryFinish(delivery_id, state, None) if final else later(clock, delivery_id, state))  # type: ignore[arg-type]
    assert ledger.send_again([delivery_id, "dlv_none", "evt_none"], "me", WHY) == []
    assert ledger.send_again([], "me", WHY) == []
    assert (state_of(ledger, delivery_id), ledger.acts(delivery_id)) == (state, [])


def test_it_takes_its_place_before_what_came_after_it(ledger: Ledger, clock: HandClock) -> None:
    first, second, third = deliver(ledger, clock, many=3)
    claim(ledger, "a", limit=1)
    finish(ledger, "a", done(first))
    ledger.send_again([first], "me", WHY)
    assert claim_ids(ledger, "b") == [first]
    finish(ledger, "b", done(first))
    assert claim_ids(ledger, "c") == [second]
    # One that runs already is not overtaken: the earlier one waits for it, and what follows waits for both.
    ledger.send_again([first], "me", WHY)
    assert claim_ids(ledger) == []
    finish(ledger, "c", done(second))
    assert claim_ids(ledger, "d") == [first]
    finish(ledger, "d", done(first))
    assert claim_ids(ledger) == [third]


def _two_calls(ledger: Ledger, clock: HandClock) -> str:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    step = DeliveryFinish(delivery_id, "ready", clock.now(), step=1, lane="erp", operation="announce", answer={"n": 1})
    finish(ledger, "a", step)
    claim(ledger, "b", lane="erp")
    finish(ledger, "b", done(delivery_id, step=1, operation="credit", answer={"n": 2}))
    return delivery_id


@pytest.mark.parametrize(
    ("call", "states"),
    [(None, {0: "made", 1: "undone"}), (2, {0: "made", 1: "undone"}), (1, {0: "undone", 1: "undone"})],
)
def test_of_several_calls_the_last_one_is_repeated_or_all_from_one_on(
    ledger: Ledger, clock: HandClock, call: int | None, states: dict[int, str]
) -> None:
    delivery_id = _two_calls(ledger, clock)
    assert ledger.send_again([delivery_id], "me", WHY, call) == [delivery_id]
    # It begins at its first call, where that goes: what stands is passed there, with its answer.
    assert claim(ledger, lane="erp") == []
    [work] = claim(ledger)
    assert (work.step, work.lane) == (0, "wms")
    assert {step: row.state for step, row in work.calls.items()} == states
    assert work.calls[0].answer == {"n": 1}


def test_a_call_that_was_not_made_is_not_repeated(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _two_calls(ledger, clock)
    assert ledger.send_again([delivery_id], "me", WHY, 3) == []
    assert state_of(ledger, delivery_id) == "done"
