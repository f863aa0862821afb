"""A connection's turnstile: lets in so many messages a second, and tells the others when to come again."""

from __future__ import annotations

import threading

from app.core.connectors import InboundRate


class Turnstile:
    """Counts the messages of one connection in this process. Used by many threads; asks nobody."""

    def __init__(self, limit: InboundRate) -> None:
        self._each_s = 1 / limit.rate
        # Who comes early by so much is still let in.
        self._ahead_s = (limit.burst - 1) * self._each_s
        self._next = float("-inf")  # when the next one would be due if they came evenly
        self._lock = threading.Lock()

    def take(self, now: float) -> float:
        """0.0 when one more message may come in at `now`, of a clock that goes forward; else the seconds to wait."""
        with self._lock:
            due = max(self._next, now)
            wait = due - self._ahead_s - now
            # One that comes right on time is not turned away for the last digit of a sum.
            if wait > 1e-6:
                return wait
            self._next = due + self._each_s
            return 0.0
