"""How much work lies ready ahead of those who do it: as much as they get done in a quarter of a second."""

from __future__ import annotations

from math import ceil

from app.core.ports import Clock

#: So much work lies ready, in seconds of it, and no more than so many.
_AHEAD_S = 0.25
_AHEAD_MOST = 224
#: And no less than this: batches of three or four spend more on the ledger than on the work.
_AHEAD_LEAST = 24.0


class Ahead:
    """Learns from what is committed how much to have ready."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = _AHEAD_LEAST
        self._since, self._done = clock.monotonic(), 0

    @property
    def size(self) -> int:
        """How much to have ready now."""
        return ceil(self._ahead)

    def committed(self, count: int) -> None:
        """So much was done and committed since this was last called."""
        now = self._clock.monotonic()
        self._done += count
        past = now - self._since
        if past >= _AHEAD_S:
            per_second = self._done / past
            self._ahead = min(_AHEAD_MOST, max(_AHEAD_LEAST, (self._ahead + per_second * _AHEAD_S) / 2))
            self._since, self._done = now, 0
