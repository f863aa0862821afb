"""A crew of threads for one lane: as few as keep up, as many as a slow target needs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from app.core.ports import Clock

#: More threads than this join only when work is slow: with a fast target they would only fight for the interpreter.
_FIRST = 4
_SLOW_S = 0.005


class Crew:
    """Threads that do one thing with whatever is put before them. They end with the process, whatever they do then."""

    def __init__(self, name: str, most: int, do: Callable[[Any], None], clock: Clock) -> None:
        self._name, self._most, self._do, self._clock = name, max(1, most), do, clock
        self._work: SimpleQueue[Any] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._done = 0
        self._done_before = 0

    def put(self, work: Any) -> None:
        """Have it done."""
        self._work.put(work)
        with self._lock:
            grow = self._threads < min(_FIRST, self._most) and self._idle < self._work.qsize()
            self._threads += grow
        if grow:
            self._start()

    def take_back(self) -> list[Any]:
        """All that nobody has begun with."""
        found = []
        while True:
            try:
                found.append(self._work.get_nowait())
            except Empty:
                return found

    def look(self) -> None:
        """To be called about once a second: with work waiting and nothing done since, more hands are needed."""
        with self._lock:
            stuck = self._done == self._done_before
            self._done_before = self._done
            threads = self._threads
        if stuck:
            for _ in range(threads):
                self._join_in()

    def close(self) -> None:
        """Let the threads go, each after what it is doing."""
        with self._lock:
            threads, self._most = self._threads, 0
        for _ in range(threads):
            self._work.put(None)

    def _join_in(self) -> None:
        with self._lock:
            grow = self._threads < self._most and self._idle == 0 and self._work.qsize() > 0
            self._threads += grow
        if grow:
            self._start()

    def _start(self) -> None:
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            work = self._work.get()
            with self._lock:
                self._idle -= 1
            if work is None:
                return
            started = self._clock.monotonic()
            self._do(work)
            with self._lock:
                self._done += 1
            if self._clock.monotonic() - started > _SLOW_S:
                self._join_in()
