"""What processes share of a connection is right again after the clock was put forward or back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.adapters.ledger import Ledger
from app.core.lane_state import LaneState
from tests.contract.bent import BentClock

HOUR = 3600.0


@pytest.fixture
def clock() -> BentClock:
    return BentClock()


def test_the_lease_of_a_dead_clock_process_is_taken_although_it_seems_to_last_an_hour(
    ledger: Ledger, clock: BentClock
) -> None:
    assert ledger.hold_lease("clock", "dead", 3)
    assert not ledger.hold_lease("clock", "other", 3)
    clock.shift_s = -HOUR
    assert ledger.hold_lease("clock", "other", 3)
    assert not ledger.hold_lease("clock", "third", 3)


def test_permits_of_the_dead_end_although_the_clock_was_put_back(ledger: Ledger, clock: BentClock) -> None:
    assert ledger.take_permits("wms", "dead", cap=8, want=8, lease_s=6) == 8
    clock.shift_s = -HOUR
    assert ledger.take_permits("wms", "other", cap=8, want=8, lease_s=6) == 8


def test_a_breaker_opens_no_longer_than_it_was_to(ledger: Ledger, clock: BentClock) -> None:
    ledger.take_tokens("wms", 50, 1)
    until = clock.now() + timedelta(seconds=30)
    ledger.save_lane(LaneState("wms", failures=5, opened_times=1, open_until=until))
    assert not ledger.take_trial("wms", 20)
    clock.shift_s = -HOUR
    ledger.mend_times(60)
    assert ledger.lane_state("wms").open_until == clock.now() + timedelta(seconds=30)
    clock.move(30)
    assert ledger.take_trial("wms", 20)
    clock.shift_s = -2 * HOUR
    ledger.mend_times(60)
    clock.move(31)
    assert ledger.take_trial("wms", 20)


@pytest.mark.parametrize("limited", [True, False], ids=["with a rate", "without"])
def test_a_breaker_of_an_hour_from_now_is_mended_whatever_was_called_since(
    ledger: Ledger, clock: BentClock, limited: bool
) -> None:
    clock.shift_s = HOUR
    ledger.save_lane(LaneState("wms", failures=5, opened_times=1, open_until=clock.now() + timedelta(seconds=30)))
    clock.shift_s = 0.0
    if limited:
        # It had passed the gate before it was shut.
        ledger.take_tokens("wms", 50, 1)
    assert ledger.mend_times(60) == 1
    assert ledger.lane_state("wms").open_until == clock.now() + timedelta(seconds=30)
    assert ledger.mend_times(60) == 0


def test_who_learned_of_a_breaker_before_it_was_mended_does_not_put_it_back(ledger: Ledger, clock: BentClock) -> None:
    clock.shift_s = HOUR
    ledger.save_lane(LaneState("wms", failures=5, opened_times=1, open_until=clock.now() + timedelta(seconds=30)))
    clock.shift_s = 0.0
    read = ledger.lane_state("wms")
    ledger.mend_times(60)
    ledger.save_lane(replace(read, failures=6, because="503"), read)
    expected = LaneState("wms", False, "503", 6, clock.now() + timedelta(seconds=30), 1)
    assert ledger.lane_state("wms") == expected
