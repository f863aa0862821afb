"""The machine's own clock and randomness behind the ports of `core.ports`."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


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
        with self._lock:
            number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
            if number <= self._last:
                number = self._last + 1
            self._last = number
        digits = []
        for _ in range(26):
            digits.append(_ALPHABET[number & 31])
            number >>= 5
        return f"{prefix}_{''.join(reversed(digits))}"
