"""The clock is put forward or back by an hour: nobody loses what he works on, and nothing waits an hour for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from app.adapters.ledger import Ledger
from app.adapters.ledger.lapse import Lapse
from app.core.bridges import Question
from app.core.lane_state import LaneState
from app.core.polls import PollFinish, PollKey
from tests.contract.bent import BentClock
from tests.contract.making import claim_ids, deliver, done, finish, later, new, received, state_of

HOUR = 3600.0
KEY = PollKey("shop", "changed")


@pytest.fixture
def clock() -> BentClock:
    return BentClock()


@pytest.fixture
def ledger(ledger: Ledger, clock: BentClock) -> Iterator[Ledger]:
    # Ledgers stay open from test to test: each begins with a clock that it believes.
    ledger._lapse = Lapse()
    ledger._lapsed(0, 60)
    yield ledger
    ledger._lapse = Lapse()


def pass_time(ledger: Ledger, clock: BentClock, seconds: int, *tokens: str) -> None:
    """Let time pass as a worker sees it: it claims now and then, and others renew what they hold."""
    for second in range(seconds):
        clock.move(1)
        if second % 20 == 10:
            for token in tokens:
                ledger.renew(token, 60)
        assert claim_ids(ledger, new("other")) == []
        assert ledger.claim_events("shop", 10, 60, new("other")) == []


def test_a_clock_put_forward_takes_nothing_from_who_still_works(ledger: Ledger, clock: BentClock) -> None:
    [one] = deliver(ledger, clock)
    event_id = received(ledger, clock)
    assert claim_ids(ledger, "holder") == [one]
    assert [work.event_id for work in ledger.claim_events("shop", 10, 60, "holder")] == [event_id]
    clock.move(10)
    clock.shift_s = HOUR
    pass_time(ledger, clock, 200, "holder")
    assert state_of(ledger, one) == "running"
    assert finish(ledger, "holder", done(one)) == {one}


def test_work_of_one_order_key_stays_in_order_when_the_clock_is_put_forward(ledger: Ledger, clock: BentClock) -> None:
    first, _second = deliver(ledger, clock, many=2)
    assert claim_ids(ledger, "holder") == [first]
    clock.shift_s = HOUR
    pass_time(ledger, clock, 100, "holder")


def test_a_dead_worker_is_noticed_although_the_clock_was_put_forward(ledger: Ledger, clock: BentClock) -> None:
    [one] = deliver(ledger, clock)
    assert claim_ids(ledger, "dead") == [one]
    clock.shift_s = HOUR
    assert claim_ids(ledger) == []
    clock.move(32)
    assert claim_ids(ledger) == [one]


def test_who_has_just_begun_takes_nothing_from_others_for_a_while(ledger: Ledger, clock: BentClock) -> None:
    [one] = deliver(ledger, clock)
    assert claim_ids(ledger, "holder") == [one]
    ledger._lapse = Lapse(wary=True)
    clock.shift_s = HOUR
    assert claim_ids(ledger) == []
    [two] = deliver(ledger, clock, object_id="R-2")
    assert claim_ids(ledger, "mine") == [two]
    ledger.renew("mine", 60)
    clock.move(32)
    assert claim_ids(ledger) == [one]


def test_what_waits_waits_no_longer_when_the_clock_is_put_back(ledger: Ledger, clock: BentClock) -> None:
    [one] = deliver(ledger, clock)
    claim_ids(ledger, "a")
    finish(ledger, "a", later(clock, one, seconds=2))
    event_id = received(ledger, clock)
    clock.shift_s = -HOUR
    clock.move(3)
    assert claim_ids(ledger) == []
    assert ledger.mend_times(60) == 2
    assert [work.event_id for work in ledger.claim_events("shop", 10, 60, "b")] == [event_id]
    assert claim_ids(ledger) == []
    clock.move(2)
    assert claim_ids(ledger) == [one]
    assert ledger.mend_times(60) == 0


def test_what_was_worked_out_before_the_clock_was_put_back_and_is_written_after_it_waits_no_longer(
    ledger: Ledger, clock: BentClock
) -> None:
    one, two = deliver(ledger, clock, many=2, order_key="")
    ledger.keep_polls({KEY: 600.0})
    [poll] = ledger.claim_polls("shop", 5, 60, "a")
    assert claim_ids(ledger, "a") == [one, two]
    worked_out = [later(clock, one, seconds=2), later(clock, two, "ready", seconds=0)]
    read = PollFinish(poll.key, clock.now() + timedelta(seconds=600), good=True, counted=True)
    clock.shift_s = -HOUR
    assert finish(ledger, "a", *worked_out) == {one, two}
    with ledger.write() as tx:
        assert tx.finish_polls("a", [read]) == {poll.key}
    assert claim_ids(ledger, "b") == [two]
    clock.move(2)
    assert claim_ids(ledger, "c") == [one]
    clock.move(598)
    assert [work.key for work in ledger.claim_polls("shop", 5, 60, "b")] == [poll.key]


def test_the_work_of_the_living_stays_theirs_and_that_of_the_dead_is_free_after_a_lease(
    ledger: Ledger, clock: BentClock
) -> None:
    [one] = deliver(ledger, clock, object_id="R-1")
    assert claim_ids(ledger, "alive") == [one]
    [two] = deliver(ledger, clock, object_id="R-2")
    assert claim_ids(ledger, "dead") == [two]
    clock.shift_s = -HOUR
    ledger.renew("alive", 60)
    assert ledger.mend_times(60) == 2
    pass_time(ledger, clock, 59, "alive")
    clock.move(1)
    assert claim_ids(ledger) == [two]


def test_a_lease_that_was_renewed_by_a_clock_put_back_since_ends_with_its_holder(
    ledger: Ledger, clock: BentClock
) -> None:
    [one] = deliver(ledger, clock)
    ledger.keep_polls({KEY: 600.0})
    assert claim_ids(ledger, "dead") == [one] and ledger.claim_polls("shop", 5, 60, "dead")
    clock.shift_s = HOUR
    assert ledger.renew("dead", 60) == 1
    clock.shift_s = 0.0
    assert ledger.mend_times(60) == 1
    clock.move(61)
    assert claim_ids(ledger) == [one]


def test_a_clock_that_is_right_has_nothing_to_mend(ledger: Ledger, clock: BentClock) -> None:
    [one, _two] = deliver(ledger, clock, many=2)
    claim_ids(ledger, "a")
    finish(ledger, "a", later(clock, one, "parked", seconds=9_000))
    received(ledger, clock)
    clock.move(1)
    assert ledger.mend_times(60) == 0


def test_who_was_told_to_wait_for_a_breaker_of_an_hour_from_now_goes_on_with_it(
    ledger: Ledger, clock: BentClock
) -> None:
    one, two = deliver(ledger, clock, many=2, order_key="")
    clock.shift_s = HOUR
    ledger.take_tokens("erp", 50, 1)
    ledger.save_lane(LaneState("erp", failures=5, opened_times=1, open_until=clock.now() + timedelta(seconds=2)))
    ledger.pause("shop", "401", "test")
    clock.shift_s = 0.0
    # The clock was put back, and nobody has mended the lane: work is told the time that it knows.
    assert claim_ids(ledger, "a") == [one, two]
    blocked = later(clock, one, seconds=HOUR + 2, waits_for="connection:erp")
    finish(ledger, "a", blocked, later(clock, two, seconds=90, waits_for="connection:shop"))
    ledger.mend_times(60)
    clock.move(3)
    ledger.mend_times(60)
    assert claim_ids(ledger) == [one]
    clock.move(HOUR)
    assert ledger.mend_times(60) == 0


def test_a_poll_is_read_by_one_at_a_time_however_the_clock_is_put(ledger: Ledger, clock: BentClock) -> None:
    ledger.keep_polls({KEY: 600.0})
    [work] = ledger.claim_polls("shop", 5, 60, "a")
    clock.shift_s = HOUR
    assert ledger.claim_polls("shop", 5, 60, "b") == []
    assert ledger.claim_poll(KEY, 60, "b") is None
    ledger.renew_polls("a", 60)
    clock.shift_s = -HOUR
    ledger.mend_times(60)
    assert ledger.claim_polls("shop", 5, 60, "b") == []
    clock.move(60)
    assert [one.key for one in ledger.claim_polls("shop", 5, 60, "b")] == [work.key]


def test_a_cursor_from_a_time_to_come_may_go_back_and_no_other(ledger: Ledger, clock: BentClock) -> None:
    ledger.keep_polls({KEY: 600.0})

    def read(token: str, ago_s: float) -> datetime | None:
        ledger.claim_poll(KEY, 60, token)
        reached = clock.now() - timedelta(seconds=ago_s)
        with ledger.write() as tx:
            tx.finish_polls(token, [PollFinish(KEY, clock.now(), good=True, cursor=reached)])
        [state] = ledger.polls()
        return state.cursor

    right = clock.now()
    assert read("a", 60) == right - timedelta(seconds=60)
    assert read("b", 90) == right - timedelta(seconds=60)
    clock.shift_s = HOUR
    assert read("c", 60) == clock.now() - timedelta(seconds=60)
    clock.shift_s = 0.0
    assert read("d", 90) == right - timedelta(seconds=90)


def test_a_question_is_answered_by_one_at_a_time_however_the_clock_is_put(ledger: Ledger, clock: BentClock) -> None:
    question = Question("brq_1", "find_return", "portal", "k-1", {"rma": "R-1"})
    assert ledger.claim_bridge(question, "a", 10).state == "mine"
    clock.shift_s = HOUR
    assert ledger.claim_bridge(question, "b", 10).state == "busy"
    clock.shift_s = -HOUR
    ledger.mend_times(60)
    assert ledger.claim_bridge(question, "b", 10).state == "busy"
    clock.move(61)
    assert ledger.claim_bridge(question, "b", 10).state == "mine"


# --- what kills its worker ---------------------------------------------------------------------------


def test_what_lay_beside_a_deadly_delivery_is_done_and_not_set_aside_with_it(ledger: Ledger, clock: BentClock) -> None:
    ids = [deliver(ledger, clock, object_id=f"R-{number}")[0] for number in range(12)]
    poison, open_ = ids[5], set(ids)
    for _ in range(40):
        token = new("token")
        batch = claim_ids(ledger, token)
        if poison in batch:
            # All that was in hand dies with it, whatever had been done of it.
            clock.move(61)
            continue
        open_ -= finish(ledger, token, *(later(clock, one, seconds=9_000) for one in batch))
        if not batch:
            clock.move(1)
    assert open_ == {poison}
    assert state_of(ledger, poison) == "dead"
    assert {state_of(ledger, one) for one in ids if one != poison} == {"waiting"}


def test_of_suspects_one_at_a_time_is_under_way(ledger: Ledger, clock: BentClock) -> None:
    ids = [deliver(ledger, clock, object_id=f"R-{number}")[0] for number in range(3)]
    assert len(claim_ids(ledger)) == 3
    clock.move(61)
    assert len(claim_ids(ledger)) == 3
    clock.move(61)
    fresh = deliver(ledger, clock, object_id="R-9")[0]
    first = claim_ids(ledger, "one")
    assert set(first) == {ids[0], fresh}
    assert claim_ids(ledger) == []
    ledger.hand_back("one", [fresh])
    finish(ledger, "one", later(clock, ids[0], seconds=9_000))
    assert set(claim_ids(ledger)) == {ids[1], fresh}
