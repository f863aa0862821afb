"""Whether, how fast and by how many a connection may be called is the same for every process."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.adapters.ledger import Ledger
from app.core.lane_state import LaneState
from app.model import EventFinish
from tests.contract.making import claim, claim_ids, deliver, finish, later, received, state_of
from tests.support import HandClock


def test_a_connection_never_heard_of_may_be_called(ledger: Ledger) -> None:
    assert ledger.lane_state("wms") == LaneState("wms")
    assert ledger.lanes() == []


def test_a_paused_connection_has_no_due_lanes_until_it_is_resumed(ledger: Ledger, clock: HandClock) -> None:
    deliver(ledger, clock)
    received(ledger, clock)
    ledger.pause("wms", "401: token expired", "hub")
    assert ledger.lane_state("wms") == LaneState("wms", paused=True, because="401: token expired")
    assert ledger.due_lanes() == ["in:shop"]
    ledger.pause("shop", "by hand", "me")
    assert ledger.due_lanes() == []
    ledger.resume("wms", "me")
    assert ledger.lane_state("wms") == LaneState("wms")
    assert ledger.due_lanes() == ["out:wms"]


def test_what_waited_for_a_connection_is_due_when_it_is_resumed(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    waiting, doubtful, other = deliver(ledger, clock, many=3, order_key="")
    claim(ledger, "a")
    ledger.claim_events("shop", 1, 60, "a")
    ledger.pause("erp", "401", "hub")
    blocked = {"waits_for": "connection:erp", "counted": False}
    finish(
        ledger,
        "a",
        later(clock, waiting, "waiting", 3600, **blocked),
        later(clock, doubtful, "in_doubt", 3600, sent=True, **blocked),
        later(clock, other, "waiting", 3600, waits_for="connection:else"),
        EventFinish(event_id, "waiting", clock.now() + timedelta(hours=1), waits_for="connection:erp"),
    )
    clock.move(1)
    ledger.resume("erp", "me")
    assert [(work.delivery_id, work.came_from, work.sent) for work in claim(ledger)] == [
        (waiting, "waiting", False),
        (doubtful, "in_doubt", True),
    ]
    assert [work.event_id for work in ledger.claim_events("shop", 1, 60, "b")] == [event_id]
    assert state_of(ledger, other) == "waiting"


def test_resuming_does_not_cut_short_the_lease_of_what_runs(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, delivery_id, "waiting", 0, waits_for="connection:wms"))
    claim(ledger, "b")
    ledger.resume("wms", "me")
    assert claim_ids(ledger) == []


def test_pausing_is_audited_once_and_by_whom(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    for _ in range(3):
        ledger.pause("wms", "401", "hub")
    ledger.resume("wms", "me")
    ledger.retry([delivery_id], "me")
    acts = ledger.acts("connection:wms")
    assert [(row["act"], row["who"]) for row in acts] == [("pause", "hub"), ("resume", "me")]
    assert acts[1]["before"] == {"paused": True, "because": "401"}


def test_a_breaker_that_is_open_keeps_its_lane_from_being_due(ledger: Ledger, clock: HandClock) -> None:
    deliver(ledger, clock)
    state = LaneState("wms", because="503", failures=5, open_until=clock.now() + timedelta(seconds=30), opened_times=1)
    ledger.save_lane(state)
    assert ledger.lane_state("wms") == state
    assert ledger.lanes() == [state]
    assert ledger.due_lanes() == []
    clock.move(30)
    assert ledger.due_lanes() == ["out:wms"]


def test_only_one_at_a_time_may_try_whether_an_open_breaker_can_close(ledger: Ledger, clock: HandClock) -> None:
    deliver(ledger, clock)
    assert not ledger.take_trial("wms", 10)
    ledger.save_lane(LaneState("wms", failures=5, open_until=clock.now() + timedelta(seconds=30), opened_times=1))
    assert not ledger.take_trial("wms", 10)
    clock.move(30)
    assert ledger.take_trial("wms", 10)
    assert not ledger.take_trial("wms", 10)
    assert ledger.due_lanes() == []
    clock.move(10)
    assert ledger.take_trial("wms", 10)
    ledger.save_lane(LaneState("wms", failures=6, open_until=clock.now() + timedelta(seconds=60), opened_times=2))
    clock.move(60)
    assert ledger.take_trial("wms", 10)
    ledger.save_lane(LaneState("wms"))
    assert not ledger.take_trial("wms", 10)
    assert ledger.due_lanes() == ["out:wms"]


def test_a_breaker_that_closes_lets_go_what_waited_for_it(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    ledger.save_lane(LaneState("erp", failures=5, open_until=clock.now() + timedelta(seconds=600)))
    finish(ledger, "a", later(clock, delivery_id, "waiting", 600, waits_for="connection:erp", counted=False))
    clock.move(1)
    ledger.save_lane(LaneState("erp"))
    assert claim_ids(ledger) == [delivery_id]


def test_the_breaker_neither_pauses_nor_resumes(ledger: Ledger, clock: HandClock) -> None:
    ledger.pause("wms", "by hand", "me")
    ledger.save_lane(LaneState("wms", failures=1, because="503"))
    assert ledger.lane_state("wms") == LaneState("wms", paused=True, because="by hand", failures=1)
    ledger.resume("wms", "me")
    # Saved by somebody who has not heard yet that it was resumed.
    ledger.save_lane(LaneState("wms", paused=True, because="by hand"))
    assert not ledger.lane_state("wms").paused


def test_of_a_state_only_what_changed_since_it_was_read_is_kept(ledger: Ledger, clock: HandClock) -> None:
    read = LaneState("wms", failures=4)
    ledger.save_lane(read)
    opened = LaneState("wms", because="503", failures=5, open_until=clock.now() + timedelta(seconds=9), opened_times=1)
    ledger.save_lane(opened, read)
    # Another one had read it before, too, and heard something else.
    ledger.save_lane(replace(read, failures=0), read)
    assert ledger.lane_state("wms") == replace(opened, failures=0)
    ledger.save_lane(opened, opened)
    assert ledger.lane_state("wms") == replace(opened, failures=0)


def test_a_paused_connection_gets_no_trial(ledger: Ledger, clock: HandClock) -> None:
    ledger.save_lane(LaneState("wms", open_until=clock.now()))
    ledger.pause("wms", "by hand", "me")
    assert not ledger.take_trial("wms", 10)


def test_tokens_flow_at_their_rate_and_no_faster(ledger: Ledger, clock: HandClock) -> None:
    got, wait = ledger.take_tokens("wms", 10, 100)
    taken = got
    assert 0 < wait <= 0.1
    for _ in range(400):
        clock.move(0.05)
        taken += ledger.take_tokens("wms", 10, 100)[0]
    assert 198 <= taken <= 202


def test_a_slow_rate_still_gives_one_call_at_a_time(ledger: Ledger, clock: HandClock) -> None:
    assert ledger.take_tokens("wms", 0.5, 4) == (1, 2.0)
    clock.move(1)
    assert ledger.take_tokens("wms", 0.5, 4) == (0, 1.0)
    clock.move(1)
    assert ledger.take_tokens("wms", 0.5, 1) == (1, 0.0)


def test_a_clock_that_is_put_back_does_not_stop_the_tokens(ledger: Ledger, clock: HandClock) -> None:
    ledger.take_tokens("wms", 1, 1)
    clock.move(-3600)
    ledger.take_tokens("wms", 1, 1)
    clock.move(1)
    assert ledger.take_tokens("wms", 1, 1) == (1, 0.0)


def test_permits_of_all_holders_stay_under_the_cap(ledger: Ledger, clock: HandClock) -> None:
    assert ledger.take_permits("wms", "a", cap=8, want=5, lease_s=60) == 5
    assert ledger.take_permits("wms", "b", cap=8, want=5, lease_s=60) == 3
    assert ledger.take_permits("wms", "c", cap=8, want=5, lease_s=60) == 0
    assert ledger.take_permits("erp", "c", cap=8, want=5, lease_s=60) == 5
    assert ledger.take_permits("wms", "a", cap=8, want=2, lease_s=60) == 2
    assert ledger.take_permits("wms", "c", cap=8, want=5, lease_s=60) == 3
    ledger.release_permits("wms", "b")
    assert ledger.take_permits("wms", "a", cap=8, want=9, lease_s=60) == 5


def test_permits_of_a_dead_holder_come_back(ledger: Ledger, clock: HandClock) -> None:
    assert ledger.take_permits("wms", "dead", cap=8, want=8, lease_s=60) == 8
    clock.move(30)
    assert ledger.take_permits("wms", "alive", cap=8, want=8, lease_s=60) == 0
    clock.move(30)
    assert ledger.take_permits("wms", "alive", cap=8, want=8, lease_s=60) == 8


@pytest.mark.parametrize("want", [0, -1])
def test_who_wants_nothing_gets_nothing(ledger: Ledger, want: int) -> None:
    assert ledger.take_permits("wms", "a", 8, want, 60) == 0
    assert ledger.take_tokens("wms", 10, max(want, 0)) == (0, 0.0)
