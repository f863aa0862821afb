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
_SCHEDSTAT = "/proc/thread-self/schedstat"


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time now, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def busy(self) -> ThreadTime:
        """The account of the thread that asks for it."""
        return ThreadTime()


class ThreadTime:
    """The kernel's account of the thread that makes this. Without Linux a thread is never busy."""

    def __init__(self) -> None:
        try:
            self._file = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1
        self._before = self._now()

    def since(self) -> float:
        """Seconds that it was busy since this was last asked."""
        now = self._now()
        past, self._before = now - self._before, now
        return past

    def close(self) -> None:
        """Let go of the account."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _now(self) -> float:
        if self._file < 0:
            return 0.0
        ran, queued, _ = os.pread(self._file, 80, 0).split()
        return (int(ran) + int(queued)) / 1e9


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
