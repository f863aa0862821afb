"""One thread that carries many strands: it goes on with whichever has got what it waits for."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from typing import Any, NamedTuple

import structlog
from greenlet import getcurrent

from app.core.ports import Clock
from app.core.strands import Strand

log = structlog.get_logger()

#: A thread that was at one strand for so long without a pause hangs.
HANGS_S = 0.05
#: Strands whose time to wait is over are looked for so often while others go on.
_OVERDUE_S = 0.05
#: No wait for strands is longer: after that whoever waits looks around.
_LONGEST_S = 60.0


class RelievedError(Exception):
    """Another thread has taken the place of this one, which hung in a strand."""


class _Waiting(NamedTuple):
    strand: Strand
    until: float


class Strands:
    """The strands of the thread that makes this; others may `ring`, and ask if it `hangs`.

    `do` is what each piece of work is given to, in a strand.
    """

    def __init__(self, do: Callable[[Any], None], clock: Clock) -> None:
        self._do, self._clock = do, clock
        self._idle: list[Strand] = []
        self._waiting: dict[int, _Waiting] = {}  # by what is waited for: a file descriptor
        self._ready: deque[tuple[Strand, bool]] = deque()
        self._helped: deque[Strand] = deque()  # another thread has done what they asked for
        self._under_way = 0
        self._looked_at = 0.0
        self._lock = threading.RLock()  # a signal may ring while its thread does
        self._at_it_since: float | None = None
        self._relieved = False
        self._rung = False
        self._bell, self._button = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._button, False)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)

    # --- from other threads ----------------------------------------------------------------------

    def ring(self) -> None:
        """End a `wait`, or the next one."""
        with self._lock:
            if not self._rung and self._button >= 0:
                self._rung = True
                with suppress(BlockingIOError):
                    os.write(self._button, b"!")

    def hangs(self) -> bool:
        """Whether the thread hangs in a strand; said once.

        Then another one has to take its place: here `RelievedError` is raised as soon as the strand waits or ends, and
        all that is left to do is `finish`.
        """
        with self._lock:
            since = self._at_it_since
            if self._relieved or since is None or self._clock.monotonic() - since < HANGS_S:
                return False
            self._relieved = True
            return True

    # --- the thread that carries them ------------------------------------------------------------

    def begin(self, work: Any) -> None:
        """Do this in a strand, until it waits or is done. Raises `RelievedError`."""
        self._under_way += 1
        self._switch(self._idle.pop() if self._idle else Strand(self._live, self), work)

    def go_on(self) -> bool:
        """Let one strand go on that need not wait any more; False when there is none. Raises `RelievedError`."""
        if not self._ready:
            self._look(0.0)
            if not self._ready:
                return False
        self._switch(*self._ready.popleft())
        return True

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until a strand may go on or somebody rings, a minute at most; whether somebody did."""
        return self._look(0.0 if self._ready else timeout_s)

    def finish(self, each: Callable[[], object]) -> None:
        """See what is under way through to its end, calling `each` now and whenever a strand went on."""
        each()
        while self._under_way:
            self._look(0.0 if self._ready else None)
            while self._ready:
                strand, value = self._ready.popleft()
                try:
                    strand.switch(value)
                except Exception as error:
                    log.error("strand.failed", exc_info=error)
                each()

    def close(self) -> None:
        """Let go of all. To be called once nothing is under way: what a strand holds, it gives back itself."""
        for strand in self._idle:
            strand.throw()
        with self._lock:
            os.close(self._bell)
            os.close(self._button)
            self._button = -1

    def _live(self, work: Any) -> None:
        strand = getcurrent()
        assert isinstance(strand, Strand)
        while True:
            try:
                self._do(work)
            finally:
                self._under_way -= 1
            self._idle.append(strand)
            work = self._leave(strand)

    def _switch(self, strand: Strand, value: Any) -> None:
        self._at_it_since = self._clock.monotonic()
        try:
            strand.switch(value)
        finally:
            with self._lock:
                self._at_it_since = None
            if self._relieved:
                raise RelievedError

    def _look(self, timeout_s: float | None) -> bool:
        """Find the strands that need not wait any more; whether somebody rang."""
        now = self._clock.monotonic()
        wait_s = _LONGEST_S if timeout_s is None else min(timeout_s, _LONGEST_S)
        if wait_s:
            first = min((found.until for found in self._waiting.values()), default=now + wait_s)
            wait_s = max(0.0, min(wait_s, first - now))
        rung = False
        for fd, _ in self._poll.poll(ceil(wait_s * 1000)):
            if fd == self._bell:
                rung = True
            else:
                self._poll.unregister(fd)
                self._ready.append((self._waiting.pop(fd).strand, True))
        if rung:
            os.read(self._bell, 64)
            # Only now: who rings in between is heard, for all he did before is looked at after this.
            self._rung = False
            while self._helped:
                self._ready.append((self._helped.popleft(), True))
        if timeout_s != 0.0 or now - self._looked_at > _OVERDUE_S:
            self._looked_at = now
            self._find_overdue()
        return rung

    def _find_overdue(self) -> None:
        now = self._clock.monotonic()
        for fd in [fd for fd, found in self._waiting.items() if found.until <= now]:
            self._poll.unregister(fd)
            self._ready.append((self._waiting.pop(fd).strand, False))

    # --- in a strand -----------------------------------------------------------------------------

    def until_ready(self, fd: int, until: float, *, write: bool = False) -> bool:
        """As in `Carrier`."""
        strand = getcurrent()
        assert isinstance(strand, Strand)
        self._poll.register(fd, select.POLLOUT if write else select.POLLIN)
        self._waiting[fd] = _Waiting(strand, until)
        return bool(self._leave(strand))

    def until_done(self, do: Callable[[], object]) -> None:
        """As in `Carrier`."""
        strand = getcurrent()
        assert isinstance(strand, Strand)

        def run() -> None:
            do()
            self._helped.append(strand)
            self.ring()

        try:
            threading.Thread(target=run, name="aside", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            do()
            return
        self._leave(strand)

    def _leave(self, strand: Strand) -> Any:
        assert strand.parent is not None
        return strand.parent.switch()
