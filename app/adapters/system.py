"""The machine's own clock and randomness behind the ports of `core.ports`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
#: Ten bits are written at once.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = (40, 30, 20, 10, 0)
#: Every byte as a sign of the alphabet, each of them as often as the others.
_FIVE_BITS = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
_CHANCE, _DRAWN = 14, 256  # signs of an id; ids whose chance is drawn at once
#: So often a file that bends the clock is looked at, in seconds.
_LOOK_S = 0.2


class SystemClock:
    """The machine's clock; with `shift_file` so many seconds ahead of it as the file says, or behind it.

    Only what the clock on the wall shows is bent, as by a correction of the machine's clock: `monotonic` is not.
    """

    #: The time now, aware, UTC.
    now: Callable[[], datetime]
    #: The same time in nanoseconds since 1970.
    time_ns: Callable[[], int]
    #: Seconds since some fixed moment.
    monotonic: Callable[[], float]

    def __init__(self, shift_file: Path | None = None) -> None:
        # The functions themselves, for each event asks some forty times.
        self.now, self.time_ns, self.monotonic = partial(datetime.now, UTC), time.time_ns, time.monotonic
        if shift_file:
            shift = _Shift(shift_file)
            self.now, self.time_ns = shift.now, shift.time_ns


class _Shift:
    """How far the clock is bent. A file that is not there bends nothing, one that is no number changes nothing."""

    def __init__(self, file: Path) -> None:
        self._file, self._seconds, self._look_at = file, 0.0, float("-inf")

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead())

    def time_ns(self) -> int:
        return time.time_ns() + round(self._ahead() * 1e9)

    def _ahead(self) -> float:
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


class SystemIds:
    """Ids like ULIDs: 48 bits of milliseconds, 70 of chance, and 10 that count up within the millisecond.

    They count up for as long as the clock is behind the last one, too.
    """

    def __init__(self, clock: SystemClock | None = None) -> None:
        self._time_ns = (clock or SystemClock()).time_ns
        self._lock = threading.Lock()
        self._forks = _forks
        self._millis = self._count = 0
        self._start = ""
        self._chances: Iterator[str] = iter(())

    def new(self, prefix: str) -> str:
        """A new id `prefix_` + 26 characters."""
        millis = self._time_ns() // 1_000_000
        with self._lock:
            if millis > self._millis:
                self._begin(millis)
            elif self._count == len(_PAIRS) or self._forks != _forks:
                # There were more than there is room for, or this is a fork: as if it were later than it is.
                self._begin(self._millis + 1)
            count, self._count = self._count, self._count + 1
            return f"{prefix}_{self._start}{_PAIRS[count]}"

    def _begin(self, millis: int) -> None:
        if self._forks != _forks:
            self._forks, self._chances = _forks, iter(())
        chance = next(self._chances, None)
        if chance is None:
            self._chances = _draw()
            chance = next(self._chances)
        self._millis, self._count = millis, 0
        self._start = "".join([_PAIRS[millis >> shift & 1023] for shift in _SHIFTS]) + chance


def _draw() -> Iterator[str]:
    """Chance for many ids: asking the system for each lets another thread have the interpreter each time."""
    drawn = os.urandom(_CHANCE * _DRAWN).translate(_FIVE_BITS).decode("ascii")
    return (drawn[at : at + _CHANCE] for at in range(0, len(drawn), _CHANCE))


def _forked() -> None:
    global _forks
    _forks += 1


#: How often this process was forked off: what its parent has drawn, its parent uses.
_forks = 0
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
