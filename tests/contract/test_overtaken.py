"""Work whose lease was over: its try counts as long as nobody else has had it in between, and never after that."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import pytest

from app.adapters.ledger import Ledger
from app.model import DeliveryFinish, DeliveryWork
from app.pipeline.hand import Hand
from tests.contract.hands import LEASE_S, hand, taken
from tests.contract.making import claim, deliver, new
from tests.support import HandClock

_CALLS = 3


def made(work: DeliveryWork, clock: HandClock, *, counted: bool = False) -> DeliveryFinish:
    """The call at which the work stands was made, unless it is said to be; the delivery goes on, or is done."""
    stands = work.calls.get(work.step)
    operation = str(stands.answer) if stands else f"call-{work.step}"
    answer = {"operation": operation, "idempotency_key": "k", "answer": operation}
    if work.step + 1 == _CALLS:
        return DeliveryFinish(work.delivery_id, "done", None, step=work.step, lane="wms", **answer)
    onwards = {"step": work.step + 1, "lane": "wms", "counted": counted}
    return DeliveryFinish(work.delivery_id, "ready", clock.now(), **onwards, **answer)


def written(hand: Hand, work: DeliveryWork, clock: HandClock, *, counted: bool = False) -> None:
    hand.add(hand.done(work, made(work, clock, counted=counted)))
    hand.commit()


@pytest.mark.parametrize("counted", [True, False])
def test_a_try_from_before_somebody_else_went_on_is_turned_away(
    ledger: Ledger, clock: HandClock, counted: bool
) -> None:
    deliver(ledger, clock)
    slow, quick = hand(ledger, clock), hand(ledger, clock)
    [old] = taken(slow, "t1")
    clock.move(LEASE_S + 1)
    [work] = taken(quick, "t2")
    written(quick, work, clock, counted=counted)
    # It is back, and claims what is due while its own try is still under way.
    assert taken(slow, "t3") == []
    written(slow, old, clock, counted=counted)
    [again] = claim(ledger)
    assert (again.step, sorted(again.calls), slow.size) == (1, [0], 0)


@pytest.mark.parametrize("times", [1, 2])
def test_a_try_whose_lease_was_over_and_that_nobody_overtook_counts(
    ledger: Ledger, clock: HandClock, times: int
) -> None:
    deliver(ledger, clock)
    slow = hand(ledger, clock)
    [old] = taken(slow, "t1")
    for number in range(times):
        clock.move(LEASE_S + 1)
        assert taken(slow, f"again-{number}") == []
    written(slow, old, clock)
    [again] = claim(ledger)
    assert again.step == 1


@pytest.mark.parametrize("counted", [True, False])
def test_a_try_that_somebody_overtook_who_died_at_the_next_call_is_turned_away(
    ledger: Ledger, clock: HandClock, counted: bool
) -> None:
    """Else what it found out about the first call is written of the second, which then is never made."""
    deliver(ledger, clock)
    slow, quick = hand(ledger, clock), hand(ledger, clock)
    [old] = taken(slow, "t1")
    clock.move(LEASE_S + 1)
    [work] = taken(quick, "t2")
    written(quick, work, clock, counted=counted)
    assert [one.step for one in taken(quick, "t3")] == [1]
    clock.move(LEASE_S + 1)
    assert taken(slow, "t4") == []
    written(slow, old, clock, counted=counted)
    [again] = claim(ledger)
    assert (again.step, sorted(again.calls), slow.size) == (1, [0], 0)


@dataclass(slots=True)
class _Worker:
    hand: Hand
    begun: list[DeliveryWork] = field(default_factory=list)

    def claims(self) -> None:
        self.begun += taken(self.hand, new("tok"))

    def goes_on(self, clock: HandClock) -> None:
        if self.begun:
            written(self.hand, self.begun.pop(0), clock)
        self.claims()


def test_in_whatever_order_two_workers_go_on_each_call_is_written_by_who_made_it(
    ledger: Ledger, clock: HandClock
) -> None:
    """The second claims what the first one has lost; then every order of three things that one of them does: to claim
    when all leases are over, or to write and claim."""
    for plan in product((1,), (True,), *[(0, 1), (True, False)] * 3):
        [delivery_id] = deliver(ledger, clock, object_id=new("R"))
        workers = [_Worker(hand(ledger, clock)) for _ in range(2)]
        workers[0].claims()
        for number, late in zip(plan[::2], plan[1::2], strict=True):
            if late:
                clock.move(LEASE_S + 1)
                workers[number].claims()
            else:
                workers[number].goes_on(clock)
        # Then both die, and somebody else does what is left.
        clock.move(LEASE_S + 1)
        last = _Worker(hand(ledger, clock))
        for _ in range(_CALLS + 1):
            last.goes_on(clock)
        row = ledger.delivery(delivery_id)
        assert row is not None
        told = [(call["step"], call["operation"]) for call in row["calls"]]
        right = [(step, f"call-{step}") for step in range(_CALLS)]
        # With a fifth death in a row it is set aside.
        set_aside = sum(plan[1::2]) == 4 and row["state"] == "dead" and not told
        assert set_aside or (plan, row["state"], told) == (plan, "done", right)
