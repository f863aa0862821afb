"""The schedule of new tries: exponential with jitter, never earlier than a target asked for, with an end."""

from __future__ import annotations

import random

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_exponential

from app.core.site import RetryPolicy

#: Each wait is moved by up to this share to either side, so that what failed together does not come back together.
JITTER = 0.2
#: No target is left alone for longer than this, in seconds, whatever its `Retry-After` says.
LONGEST_RETRY_AFTER_S = 86_400.0
_SHORTEST_S = 0.1


def next_wait(policy: RetryPolicy, attempts: int, retry_after_s: float | None, rng: random.Random) -> float | None:
    """Seconds until the next try after `attempts` tries, or None when the policy's horizon is spent.

    The horizon counts the least time that so many tries must have taken, not the age of the work: what waited for a
    paused connection or was sent again by a person keeps its full schedule.
    """
    strategy = _strategy(policy.first_s, policy.factor, policy.longest_s)
    spent = 0.0
    for number in range(1, attempts):
        spent += _nominal(strategy, number) * (1 - JITTER)
        if spent >= policy.give_up_after_s:
            return None
    wait = _nominal(strategy, max(1, attempts)) * rng.uniform(1 - JITTER, 1 + JITTER)
    if retry_after_s is not None:
        asked = min(max(0.0, retry_after_s), LONGEST_RETRY_AFTER_S)
        wait = max(wait, asked * rng.uniform(1.0, 1.0 + JITTER / 2))
    return wait


def back_off(failures: int, first_s: float, longest_s: float, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row of something inside the hub (ledger, Redis)."""
    return _nominal(_strategy(first_s, 2.0, longest_s), max(1, failures)) * rng.uniform(1 - JITTER, 1 + JITTER)


def _strategy(first_s: float, factor: float, longest_s: float) -> wait_exponential:
    return wait_exponential(
        multiplier=max(first_s, 0.001), exp_base=max(factor, 1.0), max=longest_s, min=min(_SHORTEST_S, longest_s)
    )


def _nominal(strategy: wait_exponential, number: int) -> float:
    state = RetryCallState(_OWNER, None, (), {})
    state.attempt_number = number
    return float(strategy(state))


# tenacity's strategies ask for the retrying object of a call; ours never run one.
_OWNER = Retrying()
