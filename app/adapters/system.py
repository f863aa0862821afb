"""The machine's own clock and randomness behind the ports of `core.ports`."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
#: Ten bits are written at once.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = tuple(range(120, -1, -10))
_SCHEDSTAT = "/proc/thread-self/schedstat"
#: So often a file that bends the clock is looked at, in seconds.
_LOOK_S = 0.2


class SystemClock:
    """The machine's clock; with `shift_file` so many seconds ahead of it as the file says, or behind it.

    Only what the clock on the wall shows is bent, as by a correction of the machine's clock: `monotonic` is not.
    """

    def __init__(self, shift_file: Path | None = None) -> None:
        self._shift = _Shift(shift_file) if shift_file else None

    def now(self) -> datetime:
        """The time now, aware, UTC."""
        if self._shift is None:
            return datetime.now(UTC)
        return datetime.now(UTC) + timedelta(seconds=self._shift.seconds())

    def time_ns(self) -> int:
        """The same time in nanoseconds since 1970."""
        if self._shift is None:
            return time.time_ns()
        return time.time_ns() + round(self._shift.seconds() * 1e9)

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def busy(self) -> ThreadTime:
        """The account of the thread that asks for it."""
        return ThreadTime()


class _Shift:
    """How far the clock is bent. A file that is not there bends nothing, one that is no number changes nothing."""

    def __init__(self, file: Path) -> None:
        self._file, self._seconds, self._look_at = file, 0.0, float("-inf")

    def seconds(self) -> float:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            try:
                self._seconds = float(self._file.read_text(encoding="ascii"))
            except FileNotFoundError:
                self._seconds = 0.0
            except (OSError, ValueError):
                pass  # half written, most likely: the next look reads it
        return self._seconds


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
    """Ids like ULIDs: 48 bits of milliseconds and 80 of randomness.

    They count up within one millisecond, and for as long as the clock is behind the last one.
    """

    def __init__(self, clock: SystemClock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._last = 0

    def new(self, prefix: str) -> str:
        """A new id `prefix_` + 26 characters."""
        # Outside of the lock: asking the kernel lets other threads run.
        chance = int.from_bytes(os.urandom(10))
        with self._lock:
            number = (self._clock.time_ns() // 1_000_000) << 80 | chance
            if number <= self._last:
                number = self._last + 1
            self._last = number
        return f"{prefix}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"
