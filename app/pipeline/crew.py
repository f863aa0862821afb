"""A crew of threads for one lane: none while the target answers at once, as many as help when it makes them wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
    """Does one thing with whatever is put before it.

    While nothing makes it wait, whoever has a crew does the work himself (`here`, `do_next`): a second thread would
    only fight him for the interpreter. When he hangs in it, his thread becomes one of the crew (`adopt`, `serve`) and
    more come. Threads end with the process, whatever they do then.
    """

    def __init__(self, name: str, most: int, do: Callable[[Any], None], clock: Clock) -> None:
        self._name, self._most, self._do, self._clock = name, max(1, most), do, clock
        self._work: deque[Any] = deque()
        self._came = threading.Condition()  # work, or another number of threads that are wanted
        self._threads = self._wanted = 0
        self._busy: set[Busy] = set()  # one of each thread
        self._left_s = 0.0  # what those were busy who have left since the last look
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
        return len(self._work)

    @property
    def here(self) -> bool:
        """Whether the work is to be done by whoever has the crew."""
        return not self._wanted

    def put(self, works: Iterable[Any]) -> None:
        """Have them done, in this order."""
        if not self.waiting:
            self._start_over()
        with self._came:
            self._work.extend(works)
            self._came.notify_all()
        self._fill_up()

    def take_back(self) -> list[Any]:
        """All that nobody has begun with."""
        with self._came:
            found = list(self._work)
            self._work.clear()
        return found

    def do_next(self) -> bool:
        """Do the next work in this thread; False when there is none."""
        with self._came:
            if not self._work:
                return False
            work = self._work.popleft()
        self._carry_out(work)
        return True

    @contextmanager
    def counting(self, busy: Busy) -> Iterator[None]:
        """What this account tells meanwhile is spent on the work."""
        busy.since()
        with self._came:
            self._busy.add(busy)
        try:
            yield
        finally:
            with self._came:
                self._busy.discard(busy)
                self._left_s += busy.since()

    def adopt(self) -> None:
        """A thread that hangs in its work counts as one of the crew from now on: it is to call `serve` afterwards."""
        with self._came:
            self._threads += 1
            self._wanted = max(1, self._wanted)

    def serve(self) -> None:
        """Be one of the crew until it has too many."""
        busy = self._clock.busy()
        with self.counting(busy):
            while (work := self._next()) is not None:
                self._carry_out(work)
        busy.close()

    def look_due(self) -> float | None:
        """Seconds until `look` should be called; None when more threads would not help or may not be."""
        if not self.waiting or self.here or self._threads >= self._most:
            return None
        return max(0.0, self._looked_at + LOOK_S - self._clock.monotonic())

    def look(self) -> None:
        """See whether other threads than there are would do. One thread at a time may call this."""
        past_s = self._clock.monotonic() - self._looked_at
        if past_s < LOOK_S or not (self.waiting or self.here):
            return
        threads = max(1, self._threads)
        done, busy_s = self._start_over()
        if done:
            self._cpu_s = busy_s / done
            useful = self._useful()
        elif self.here:
            return
        else:
            useful = self._most if busy_s < past_s * _HANGING else threads
        wanted = min(max(useful, threads * 3 // 4, 1), threads * _GROW, self._most)
        with self._came:
            # One thread of the crew helps nobody who could do the work himself.
            self._wanted = 0 if useful <= 1 and wanted == 1 and done else wanted
            self._came.notify_all()
        self._fill_up()

    def close(self) -> None:
        """Let the threads go, each after what it is doing."""
        with self._came:
            self._most = self._wanted = 0
            self._came.notify_all()

    def _carry_out(self, work: Any) -> None:
        threads, started = max(1, self._threads), self._clock.monotonic()
        self._do(work)
        self._recent.append((self._clock.monotonic() - started, threads))
        self._done += 1

    def _start_over(self) -> tuple[int, float]:
        """How much was done since the last time, and for how long the threads were busy with it."""
        done = self._done - self._done_before
        self._done_before, self._looked_at = self._done, self._clock.monotonic()
        with self._came:
            left_s, self._left_s = self._left_s, 0.0
            return done, left_s + sum(busy.since() for busy in self._busy)

    def _useful(self) -> int:
        """How many threads have something to do while others wait for the target.

        Time in which they waited for each other is none of it: in that, more threads would only wait, too.
        """
        waited = min(took - self._cpu_s * threads for took, threads in list(self._recent)) - _SHORT_S
        return 1 + int(_SPARE * max(0.0, waited) / max(self._cpu_s, 1e-6))

    def _fill_up(self) -> None:
        with self._came:
            missing = min(self._wanted, self._threads + self.waiting, self._most) - self._threads
            self._threads += max(0, missing)
        for _ in range(missing):
            threading.Thread(target=self.serve, name=self._name, daemon=True).start()

    def _next(self) -> Any:
        """The next work; None when there is one thread too many, which is this one."""
        with self._came:
            while True:
                if self._threads > self._wanted:
                    self._threads -= 1
                    return None
                if self._work:
                    return self._work.popleft()
                self._came.wait()
