"""When to look again at what waits."""

from __future__ import annotations

import random
from datetime import timedelta

from app.core.site import Hub, ParkedPolicy
from app.pipeline.waits import Waits
from tests.support import HandClock


def test_what_was_parked_together_is_not_asked_for_again_all_at_once() -> None:
    clock = HandClock()
    waits = Waits(Hub(parked=ParkedPolicy(recheck_s=60, longest_s=3600)), clock, random.Random(1))
    dues = sorted((waits.recheck(clock.now()) - clock.now()).total_seconds() for _ in range(300))
    assert dues[0] >= 30
    assert dues[-1] <= 60
    in_two_seconds = max(sum(start <= due < start + 2 for due in dues) for start in dues)
    assert in_two_seconds < 50


def test_what_waits_for_long_is_asked_for_rarely_and_no_later_than_the_policy_says() -> None:
    clock = HandClock()
    waits = Waits(Hub(parked=ParkedPolicy(recheck_s=60, longest_s=3600)), clock, random.Random(1))
    for waited_s, most_s in ((10, 60), (1_000, 500), (100_000, 3600)):
        due = waits.recheck(clock.now() - timedelta(seconds=waited_s)) - clock.now()
        assert most_s / 2 <= due.total_seconds() <= most_s
