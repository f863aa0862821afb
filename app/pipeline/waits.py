"""When to look again at what waits: one place for the times that reading and delivering share."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from app.core.ports import Clock
from app.core.site import Hub

#: A look at work behind a paused connection that nobody resumed; `resume` makes it due at once.
_BLOCKED_LOOK_S = 60.0
#: What was parked together is asked for again spread over this part of the wait: all at once it would stand before what
#: is new, and before the system that is asked.
_SPREAD = 0.5


class Waits:
    """Turns the hub's policies into times."""

    def __init__(self, hub: Hub, clock: Clock, rng: random.Random) -> None:
        self._hub, self._clock, self.rng = hub, clock, rng

    def alarm(self) -> datetime:
        """When work that waits for a person has waited too long."""
        return self._after(self._hub.parked.alarm_s)

    def blocked(self, until: datetime | None) -> datetime:
        """When a connection that may not be called now is worth another look."""
        return until or self._after(_BLOCKED_LOOK_S)

    def recheck(self, parked_at: datetime | None) -> datetime:
        """When to ask again for a number that was not known: the longer it waits, the rarer, within the policy."""
        policy = self._hub.parked
        waited = (self._clock.now() - parked_at).total_seconds() if parked_at else 0.0
        wait_s = min(policy.longest_s, max(policy.recheck_s, waited / 2))
        return self._after(wait_s * self.rng.uniform(1 - _SPREAD, 1))

    def _after(self, wait_s: float) -> datetime:
        return self._clock.now() + timedelta(seconds=wait_s)
