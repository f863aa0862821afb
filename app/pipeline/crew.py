"""A crew of threads for one lane: one while the target answers at once, as many as help when it makes them wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from app.core.ports import Busy, Clock

#: `Crew.look` wants to be called after this while work waits, in seconds.
LOOK_S = 0.05
#: Waiting shorter than this is no reason for another thread: so long one may wait for the interpreter alone.
_SHORT_S = 0.005
#: With nothing done since the last look, threads that were busy for no more than this part of the time hang.
_HANGING = 0.1
#: How many works tell how long one takes: the fastest of them was held up by nothing but the target.
_RECENT = 8
#: So many times as many threads there may be after one look, and so many more than just keep the interpreter busy.
_GROW, _SPARE = 2, 4


class Crew:
    """Threads that do one thing with whatever is put before them. They end with the process, whatever they do then."""

    def __init__(self, name: str, most: int, do: Callable[[Any], None], clock: Clock) -> None:
        self._name, self._most, self._do, self._clock = name, max(1, most), do, clock
        self._work: SimpleQueue[Any] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy: set[Busy] = set()  # one of each thread
        self._wanted = 1
        self._recent: deque[tuple[float, int]] = deque(maxlen=_RECENT)  # seconds that works took; threads at that time
        self._done = self._done_before = 0
        self._cpu_s = 0.0  # that a work keeps the interpreter busy, about
        self._looked_at = clock.monotonic()

    @property
    def threads(self) -> int:
        """How many there are."""
        return self._threads

    @property
    def waiting(self) -> int:
        """How much work nobody has begun with."""
        return self._work.qsize()

    def put(self, works: Iterable[Any]) -> None:
        """Have them done, in this order."""
        if not self.waiting:
            self._start_over()
        for work in works:
            self._work.put(work)
        self._fill_up()

    def take_back(self) -> list[Any]:
        """All that nobody has begun with."""
        found = []
        while True:
            try:
                found.append(self._work.get_nowait())
            except Empty:
                return found

    def look_due(self) -> float | None:
        """Seconds until `look` should be called; None when more threads would not help or may not be."""
        if not self.waiting or self._threads >= self._most:
            return None
        return max(0.0, self._looked_at + LOOK_S - self._clock.monotonic())

    def look(self) -> None:
        """See whether other threads than there are would do. One thread at a time may call this."""
        past_s = self._clock.monotonic() - self._looked_at
        if not self.waiting or past_s < LOOK_S:
            return
        done, busy_s = self._start_over()
        if done:
            self._cpu_s = busy_s / done
            useful = self._useful()
        else:
            useful = self._most if busy_s < past_s * _HANGING else self._threads
        self._wanted = min(max(useful, self._threads * 3 // 4, 1), self._threads * _GROW, self._most)
        self._fill_up()

    def close(self) -> None:
        """Let the threads go, each after what it is doing."""
        with self._lock:
            threads, self._most = self._threads, 0
        for _ in range(threads):
            self._work.put(None)

    def _start_over(self) -> tuple[int, float]:
        """How much was done since the last time, and for how long the threads were busy with it."""
        done = self._done - self._done_before
        self._done_before, self._looked_at = self._done, self._clock.monotonic()
        with self._lock:
            return done, sum(busy.since() for busy in self._busy)

    def _useful(self) -> int:
        """How many threads have something to do while others wait for the target.

        Time in which they waited for each other is none of it: in that, more threads would only wait, too.
        """
        waited = min(took - self._cpu_s * threads for took, threads in list(self._recent)) - _SHORT_S
        return 1 + int(_SPARE * max(0.0, waited) / max(self._cpu_s, 1e-6))

    def _fill_up(self) -> None:
        with self._lock:
            missing = min(self._wanted, self._threads + self.waiting, self._most) - self._threads
            self._threads += max(0, missing)
        for _ in range(missing):
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        busy = self._clock.busy()
        with self._lock:
            self._busy.add(busy)
        while (work := self._work.get()) is not None:
            threads, started = self._threads, self._clock.monotonic()
            self._do(work)
            self._recent.append((self._clock.monotonic() - started, threads))
            self._done += 1
            if self._threads > self._wanted and self._may_go():
                break
        with self._lock:
            self._busy.discard(busy)
            busy.close()

    def _may_go(self) -> bool:
        with self._lock:
            spare = self._threads > self._wanted and self._most > 0
            self._threads -= spare
        return spare
