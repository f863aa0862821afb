"""How busy a thread is: the time it ran or stood in the queue for a CPU. The rest of its time it waited."""

from __future__ import annotations

import os

_FILE = "/proc/thread-self/schedstat"


class Busy:
    """The kernel's account of the thread that makes this; any thread may read it.

    Without Linux a thread is never busy.
    """

    def __init__(self) -> None:
        try:
            self._file = os.open(_FILE, os.O_RDONLY | os.O_CLOEXEC)
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
