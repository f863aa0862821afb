"""The machine's own clock and randomness behind the ports of `core.ports`."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
#: Ten bits are written at once.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = tuple(range(120, -1, -10))


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time now, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


class SystemIds:
    """Ids like ULIDs: 48 bits of milliseconds and 80 of randomness, which counts up within one millisecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self, prefix: str) -> str:
        """A new id `prefix_` + 26 characters."""
        # Outside of the lock: asking the kernel lets other threads run.
        chance = int.from_bytes(os.urandom(10))
        with self._lock:
            number = (time.time_ns() // 1_000_000) << 80 | chance
            if number <= self._last:
                number = self._last + 1
            self._last = number
        return f"{prefix}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"
