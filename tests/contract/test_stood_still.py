"""A process that stood still, or whose clock was put back, writes nothing that is not true any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.adapters.ledger.lapse import Lapse
from app.core.polls import PollFinish, PollKey
from app.model import DeliveryFinish, DeliveryWork, EventFinish
from app.pipeline.hand import _told
from app.pipeline.read import ReadResult
from tests.contract.bent import BentClock
from tests.contract.hands import LEASE_S, hand, run, taken
from tests.contract.making import claim_ids, deliver, done, finish, later


@pytest.fixture
def clock() -> BentClock:
    return BentClock()


def test_what_nobody_began_with_is_given_back_when_its_lease_may_be_over(ledger: Ledger, clock: BentClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    slow = hand(ledger, clock)
    [work] = taken(slow, "t1")
    assert not slow.is_late(work, LEASE_S)
    clock.move(LEASE_S - 1)
    slow.renew(LEASE_S)
    clock.move(LEASE_S - 1)
    assert not slow.is_late(work, LEASE_S)
    clock.move(1)
    assert slow.is_late(work, LEASE_S)
    slow.add(slow.done(work, None, late=True))
    assert slow.size == 0 and claim_ids(ledger) == [delivery_id]


def test_a_lease_that_was_over_is_not_made_good_by_renewing_it(ledger: Ledger, clock: BentClock) -> None:
    """Else who comes back goes on with what another one has in hand: the renewal touches only what is left to him."""
    deliver(ledger, clock)
    slow, quick = hand(ledger, clock), hand(ledger, clock)
    [work] = taken(slow, "t1")
    clock.move(LEASE_S + 1)
    assert len(taken(quick, "t2")) == 1
    slow.renew(LEASE_S)
    assert slow.is_late(work, LEASE_S)
    # Nor by claiming it after somebody else had it.
    clock.move(LEASE_S + 1)
    assert taken(slow, "t3") == []
    assert slow.is_late(work, LEASE_S)


def test_work_may_change_hands_while_its_lease_is_renewed(ledger: Ledger, clock: BentClock) -> None:
    """Who renews is another thread than who gives back and claims."""
    deliver(ledger, clock)
    mine = hand(ledger, clock)
    [work] = taken(mine, "t1")
    renew = mine._trade.renew

    def renew_late(token: str, lease_s: float) -> object:
        mine.give_back([work])
        assert len(taken(mine, "t2")) == 1
        return renew(token, lease_s)

    mine._trade = replace(mine._trade, renew=renew_late)
    mine.renew(LEASE_S)
    clock.move(LEASE_S - 1)
    assert not mine.is_late(work, LEASE_S)


def test_who_works_is_told_whether_the_lease_still_holds(ledger: Ledger, clock: BentClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    told = []

    def carry_out(work: DeliveryWork, held: Callable[[], bool]) -> DeliveryFinish:
        told.append(held())
        clock.move(LEASE_S - 1)
        told.append(held())
        clock.move(1)
        told.append(held())
        return done(work.delivery_id)

    run(ledger, clock, carry_out)
    assert told == [True, True, False]
    assert claim_ids(ledger) == []
    row = ledger.delivery(delivery_id)
    assert row is not None and row["state"] == "done"


def test_what_was_worked_out_before_the_clock_was_put_back_is_due_when_it_was_meant(
    ledger: Ledger, clock: BentClock
) -> None:
    [delivery_id] = deliver(ledger, clock)
    [work] = taken(mine := hand(ledger, clock), "t1")
    clock.shift_s = 3600.0
    mine.add(mine.done(work, later(clock, delivery_id, seconds=2)))
    clock.shift_s = 0.0
    mine.commit()
    assert claim_ids(ledger) == []
    clock.move(2)
    assert claim_ids(ledger) == [delivery_id]


def test_what_was_worked_out_around_the_moment_at_which_the_clock_was_put_back_is_not_due_an_hour_later(
    ledger: Ledger, clock: BentClock
) -> None:
    [delivery_id] = deliver(ledger, clock)
    [work] = taken(mine := hand(ledger, clock), "t1")
    clock.shift_s = 3600.0
    began_s = mine.offset_s()
    finish = later(clock, delivery_id, seconds=2)
    clock.shift_s = 0.0
    mine.add(mine.done(work, finish, began_s=began_s))
    mine.commit()
    clock.move(2)
    assert claim_ids(ledger) == [delivery_id]


def test_nothing_is_written_when_the_clock_was_put_back_while_the_ledger_was_waited_for(
    ledger: Ledger, clock: BentClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    [delivery_id] = deliver(ledger, clock)
    clock.shift_s = 3600.0
    [work] = taken(mine := hand(ledger, clock), "t1")
    mine.add(mine.done(work, later(clock, delivery_id, seconds=2)))
    turn = ledger._db.write

    @contextmanager
    def waits() -> Iterator[Any]:
        with turn() as connection:
            clock.shift_s = 0.0
            yield connection

    with monkeypatch.context() as patch:
        patch.setattr(ledger._db, "write", waits)
        mine.commit()
    assert mine.ledger_is_away and mine.size == 1
    clock.move(1)
    mine.commit()
    assert mine.size == 0 and claim_ids(ledger) == []
    clock.move(2)
    assert claim_ids(ledger) == [delivery_id]


def test_every_kind_of_finish_can_be_moved(clock: BentClock) -> None:
    at, back = clock.now(), clock.now() - timedelta(hours=1)
    read = ReadResult(EventFinish("evt_1", "waiting", at), "shop")
    moved = _told(read, -3600.0, back).finish
    assert (moved.due_at, moved.told_at) == (back, back)
    final = ReadResult(EventFinish("evt_1", "done", None), "shop")
    assert _told(final, -3600.0, back) == final
    assert _told(later(clock, "dlv_1", seconds=0), -3600.0, back).due_at == back
    assert _told(PollFinish(PollKey("shop", "changed"), at, good=True), -3600.0, at).due_at == at
    as_it_was = _told(later(clock, "dlv_1", seconds=-9), 0.0, at)
    assert (as_it_was.due_at, as_it_was.told_at) == (at - timedelta(seconds=9), at)


@pytest.mark.parametrize("wait_s", [-1.0, 0.0, 5.0])
def test_what_is_told_while_the_clock_is_ahead_and_written_when_it_is_right_again_is_not_late(
    ledger: Ledger, clock: BentClock, wait_s: float
) -> None:
    """The ledger was locked when the clock was put back: between these two nobody looks at the clock."""
    [delivery_id] = deliver(ledger, clock)
    mine = hand(ledger, clock)
    [work] = taken(mine, "tok")
    clock.shift_s = 3600.0
    mine.add(mine.done(work, later(clock, delivery_id, seconds=wait_s)))
    commit = mine._trade.commit

    def at_last(token: str, finishes: Sequence[Any]) -> list[str]:
        clock.shift_s = 0.0
        return commit(token, finishes)

    mine._trade = replace(mine._trade, commit=at_last)
    mine.commit()
    clock.move(max(0.0, wait_s))
    assert claim_ids(ledger) == [delivery_id]


def test_a_finish_without_a_try_forgets_no_death(ledger: Ledger, clock: BentClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    for number in range(3):
        claim_ids(ledger, f"dead-{number}")
        clock.move(LEASE_S + 1)
    claim_ids(ledger, "tok")
    finish(ledger, "tok", later(clock, delivery_id, seconds=0, counted=False))
    assert _deaths(ledger, delivery_id) == 3
    claim_ids(ledger, "tok")
    finish(ledger, "tok", done(delivery_id))
    assert _deaths(ledger, delivery_id) == 0


def _deaths(ledger: Ledger, delivery_id: str) -> int:
    from sqlalchemy import text

    with ledger._db.read() as connection:
        return int(connection.scalar(text("SELECT deaths FROM deliveries WHERE id = :id"), {"id": delivery_id}))


@pytest.mark.parametrize("wary", [True, False])
def test_a_small_jump_and_a_long_silence_do_not_make_a_big_jump_believed(clock: BentClock, wary: bool) -> None:
    lapse = Lapse(wary=wary)
    lapse.ms(clock, LEASE_S)
    clock.shift_s = 1.5
    before = lapse.ms(clock, LEASE_S)
    clock.move(LEASE_S)
    clock.shift_s = 3600.0
    assert lapse.ms(clock, LEASE_S) <= before + LEASE_S * 1000 + 1
