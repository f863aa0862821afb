"""The retry schedule, in simulated time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.retry import JITTER, LONGEST_RETRY_AFTER_S, back_off, next_wait
from app.core.site import RetryPolicy

DAY = 86_400.0


def schedule(policy: RetryPolicy, seed: int) -> list[float]:
    rng = random.Random(seed)
    waits: list[float] = []
    while (wait := next_wait(policy, len(waits) + 1, None, rng)) is not None:
        waits.append(wait)
    return waits


@pytest.mark.parametrize("seed", range(20))
def test_by_default_a_failing_target_is_tried_for_more_than_a_day(seed: int) -> None:
    waits = schedule(RetryPolicy(), seed)
    assert sum(waits) >= DAY
    assert sum(waits) >= RetryPolicy().give_up_after_s, "the horizon is the least that is waited"
    assert len(waits) < 200
    assert max(waits) <= RetryPolicy().longest_s * (1 + JITTER)


def test_waits_grow_from_the_first_to_the_longest() -> None:
    waits = schedule(RetryPolicy(first_s=5, factor=2, longest_s=600, give_up_after_s=7200), 1)
    for number, wait in enumerate(waits):
        assert min(5 * 2**number, 600) * 0.8 <= wait <= min(5 * 2**number, 600) * 1.2


def test_a_short_horizon_ends_soon() -> None:
    policy = RetryPolicy(first_s=1, factor=2, longest_s=60, give_up_after_s=10)
    assert next_wait(policy, 1, None, random.Random(1)) is not None
    assert next_wait(policy, 50, None, random.Random(1)) is None


def test_what_failed_together_does_not_come_back_together() -> None:
    rng = random.Random(3)
    waits = {next_wait(RetryPolicy(), 5, None, rng) for _ in range(100)}
    assert len(waits) == 100


@given(asked=st.floats(0, 1e9), attempts=st.integers(1, 30), seed=st.integers(0, 99))
def test_never_earlier_than_the_target_asked_for(asked: float, attempts: int, seed: int) -> None:
    wait = next_wait(RetryPolicy(), attempts, asked, random.Random(seed))
    assert wait is not None
    assert wait >= min(asked, LONGEST_RETRY_AFTER_S)
    assert wait <= max(RetryPolicy().longest_s * 1.2, LONGEST_RETRY_AFTER_S * 1.1)


def test_no_target_is_left_alone_for_more_than_some_hours_over_a_day_whatever_it_asks_for() -> None:
    for asked in (DAY, 1e6, 1e300, float("inf")):
        wait = next_wait(RetryPolicy(), 1, asked, random.Random(1))
        assert wait is not None and DAY <= wait <= 1.1 * DAY


def test_a_policy_of_zeros_still_ends_and_never_spins() -> None:
    policy = RetryPolicy(first_s=0, factor=1, longest_s=0.5, give_up_after_s=5)
    waits = schedule(policy, 1)
    assert min(waits) > 0.05
    assert len(waits) < 200


def test_backing_off_from_the_hub_s_own_parts_stays_short() -> None:
    rng = random.Random(1)
    for failures, nominal in ((1, 0.1), (3, 0.4), (30, 5.0)):
        assert nominal * 0.8 <= back_off(failures, 0.1, 5.0, rng) <= nominal * 1.2
