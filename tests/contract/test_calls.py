"""What is written of a delivery's calls: answers in order, calls left out, what a new beginning must not forget."""

from __future__ import annotations

import pytest

from app.adapters.ledger import Ledger
from app.model import CallRow, DeliveryFinish
from tests.contract.making import attempt, claim, deliver, done, finish, later, state_of
from tests.support import HandClock


def _passed(ledger: Ledger, clock: HandClock, step: int, **more: object) -> str:
    """A delivery that stands at `step` and passed all calls before it."""
    [delivery_id] = deliver(ledger, clock)
    for at in range(step):
        [work] = claim(ledger, f"claim {at}")
        given = {"answer": {"of": at}, "operation": f"call_{at}", **more}
        finish(ledger, f"claim {at}", later(clock, work.delivery_id, "ready", 0, step=at + 1, counted=False, **given))
    return delivery_id


def test_answers_come_in_the_order_of_the_calls(ledger: Ledger, clock: HandClock) -> None:
    _passed(ledger, clock, 2)
    [work] = claim(ledger)
    assert (work.step, work.answers, work.attempts) == (2, ({"of": 0}, {"of": 1}), 1)
    assert work.calls == {0: CallRow("delivered", {"of": 0}), 1: CallRow("delivered", {"of": 1})}


@pytest.mark.parametrize("state", ["skipped", "made"])
def test_a_call_that_was_left_out_has_no_answer(ledger: Ledger, clock: HandClock, state: str) -> None:
    _passed(ledger, clock, 1, call_state=state)
    [work] = claim(ledger)
    assert work.answers == (None,)
    assert work.calls[0].state == state


def test_a_delivery_that_begins_again_knows_what_was_written_before(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _passed(ledger, clock, 1)
    claim(ledger, "b")
    begun = later(clock, delivery_id, "waiting", 5, step=0, operation="call_1", call_state="in_doubt", new_key=True)
    finish(ledger, "b", begun)
    clock.move(5)
    [work] = claim(ledger)
    assert (work.step, work.answers, work.sent, work.attempts, work.resends) == (0, (), False, 2, 1)
    assert {step: row.state for step, row in work.calls.items()} == {0: "delivered", 1: "in_doubt"}


def test_a_first_try_knows_of_no_calls(ledger: Ledger, clock: HandClock) -> None:
    deliver(ledger, clock)
    [work] = claim(ledger)
    assert (dict(work.calls), work.because) == ({}, "")


def _reviewed(ledger: Ledger, clock: HandClock) -> str:
    delivery_id = _passed(ledger, clock, 1)
    claim(ledger, "b")
    tries = (attempt(clock, delivery_id, "review", step=1),)
    waits = later(
        clock,
        delivery_id,
        "parked",
        3600,
        because="look at it",
        step=1,
        operation="call_1",
        call_state="review",
        answer={"ticket": "7"},
        attempts=tries,
    )
    finish(ledger, "b", waits)
    return delivery_id


def test_what_waits_for_a_person_says_why_and_keeps_the_answer(ledger: Ledger, clock: HandClock) -> None:
    _reviewed(ledger, clock)
    clock.move(3600)
    [work] = claim(ledger)
    assert (work.because, work.calls[1]) == ("look at it", CallRow("review", {"ticket": "7"}))


def test_a_reviewed_call_is_sent_again_under_a_new_key_by_retry(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _reviewed(ledger, clock)
    assert ledger.retry([delivery_id], "me") == [delivery_id]
    [work] = claim(ledger)
    assert (work.step, work.resends, work.calls[1].state) == (1, 1, "refused")


def test_a_reviewed_call_that_is_to_be_sent_is_marked_as_such(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _reviewed(ledger, clock)
    assert ledger.resolve(delivery_id, "retry", "me")
    [work] = claim(ledger)
    assert (work.step, work.resends, work.calls[1].state, work.parked_at) == (1, 1, "send", None)


def test_a_reviewed_call_that_is_done_leads_on_with_its_answer(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _reviewed(ledger, clock)
    assert ledger.resolve(delivery_id, "delivered", "me", next_lane="erp")
    [work] = claim(ledger, lane="erp")
    assert work.answers == ({"of": 0}, {"ticket": "7"})


def test_a_reviewed_call_that_was_given_up_can_still_be_retried(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _reviewed(ledger, clock)
    assert ledger.resolve(delivery_id, "dead", "me")
    assert state_of(ledger, delivery_id) == "dead"
    ledger.retry([delivery_id], "me")
    [work] = claim(ledger)
    assert work.calls[1].state == "refused"


def test_what_waits_for_a_number_is_not_settled_by_a_person(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, delivery_id, "parked", 60, waits_for="order 1 (shop to erp)"))
    assert not ledger.resolve(delivery_id, "delivered", "me")


def test_a_late_worker_writes_nothing_of_a_call(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = _passed(ledger, clock, 1)
    claim(ledger, "slow")
    clock.move(61)
    claim(ledger, "quick")
    begun = DeliveryFinish(delivery_id, "done", None, step=1, operation="call_1", call_state="refused", new_key=True)
    assert finish(ledger, "slow", begun) == set()
    assert finish(ledger, "quick", done(delivery_id, step=1, operation="call_1")) == {delivery_id}
    shown = ledger.delivery(delivery_id)
    assert shown is not None
    assert [row["state"] for row in shown["calls"]] == ["delivered", "delivered"]
    assert shown["resends"] == 0
