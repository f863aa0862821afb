"""The sender: sends messages as vendors do, each again until it is answered with 2xx, and keeps every answer.

First tries of one object are begun in the order of the plan, one after the other; different objects do not wait for
each other. What was not taken is sent again later, when newer messages of the same object may have come before it:
vendors promise no order either.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import requests

from chaos.plan import Ask, Message, Try

#: Seconds between the tries of one message: doubled each time, within these bounds.
BACKOFF_S = (0.2, 2.0)
#: So long a vendor waits for an answer.
PATIENCE_S = 5.0
_COPY_AFTER_S = 0.05
_ASK_AGAIN_S = 0.3


@dataclass(slots=True)
class _Job:
    """A message on its way."""

    message: Message
    asks: deque[Ask]
    tries: int = 0
    copies_left: int = 0
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sending is."""

    messages: int
    begun: int  # tried at least once
    taken: int  # answered with 2xx


class Sender:
    """Sends a plan's messages to one hub. `start`, then `wait`; `log` may be read at any time."""

    def __init__(
        self,
        url: str,
        messages: Sequence[Message],
        ask: Callable[[Ask], None],
        *,
        until_s: float,
        threads: int = 32,
    ) -> None:
        """`ask` changes a simulated system; it raises `OSError` (as `requests` does) while that cannot be reached.

        No try is begun later than `until_s` seconds after the start.
        """
        self._url, self._ask, self._until_s, self._count = url.rstrip("/"), ask, until_s, threads
        self._log: list[Try] = []
        self._lock = threading.Condition()
        self._due: list[tuple[float, int, _Job]] = []
        self._number = count()
        self._open = len(messages) + sum(message.copies - 1 for message in messages)
        self._begun = self._taken = 0
        self._messages = len(messages)
        self._stopped = False
        self._next: dict[tuple[str, str], deque[_Job]] = defaultdict(deque)
        for message in sorted(messages, key=lambda one: one.at_s):
            self._next[message.source, message.object_id].append(_Job(message, deque(message.before)))
        self._threads = [threading.Thread(target=self._work, name=f"sender-{n}", daemon=True) for n in range(threads)]
        self._started = 0.0

    @property
    def log(self) -> list[Try]:
        """Every try until now, in the order of their answers."""
        with self._lock:
            return list(self._log)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        with self._lock:
            return Progress(self._messages, self._begun, self._taken)

    def start(self) -> None:
        """Begin the stream."""
        self._started = time.monotonic()
        with self._lock:
            for jobs in self._next.values():
                self._push(jobs[0], jobs[0].message.at_s)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no more tries."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until all is taken, or the time is over; whether no thread is at work any more."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # --- in the threads ----------------------------------------------------------------------------

    def _work(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (job := self._take()) is not None:
                if self._asked(job):
                    self._send(session, job)

    def _take(self) -> _Job | None:
        """The next job that is due; None when there is nothing left to do."""
        with self._lock:
            while not self._stopped and self._open > 0:
                now = time.monotonic() - self._started
                if now >= self._until_s:
                    break
                if self._due and self._due[0][0] <= now:
                    return heapq.heappop(self._due)[2]
                wake = min(self._until_s, self._due[0][0]) if self._due else self._until_s
                self._lock.wait(max(0.001, wake - now))
            self._lock.notify_all()
            return None

    def _asked(self, job: _Job) -> bool:
        """Let the simulated systems change first; False when one of them cannot be reached now."""
        while job.asks:
            try:
                self._ask(job.asks[0])
            except OSError:
                with self._lock:
                    self._push(job, time.monotonic() - self._started + _ASK_AGAIN_S)
                return False
            job.asks.popleft()
        return True

    def _send(self, session: requests.Session, job: _Job) -> None:
        message, copy = job.message, job.taken
        if not job.tries:
            with self._lock:
                self._begun += 1
        begun, began = time.time(), time.monotonic()
        status, error = 0, ""
        try:
            answer = session.post(
                f"{self._url}/webhooks/{message.source}",
                data=message.body,
                headers=dict(message.headers(datetime.now(UTC))),
                timeout=PATIENCE_S,
                allow_redirects=False,
            )
            status = answer.status_code
        except requests.RequestException as failed:
            error = type(failed).__name__
        made = Try(
            message.source,
            message.object_id,
            message.event_id,
            begun,
            time.monotonic() - began,
            status,
            error,
            copy,
        )
        with self._lock:
            self._log.append(made)
            self._follow(job, made)

    def _follow(self, job: _Job, made: Try) -> None:
        now = time.monotonic() - self._started
        if not job.tries:
            self._next_of(job, now)
        job.tries += 1
        if made.copy:
            self._open -= 1
            job.copies_left -= 1
        elif made.taken:
            job.taken = True
            job.copies_left = job.message.copies - 1
            self._open -= 1
            self._taken += 1
        if not job.taken:
            least, most = BACKOFF_S
            self._push(job, now + min(most, least * 2 ** (job.tries - 1)))
        elif job.copies_left:
            self._push(job, now + _COPY_AFTER_S * job.tries)
        if self._open <= 0:
            self._lock.notify_all()

    def _next_of(self, job: _Job, now: float) -> None:
        jobs = self._next[job.message.source, job.message.object_id]
        jobs.popleft()
        if jobs:
            self._push(jobs[0], max(now, jobs[0].message.at_s))

    def _push(self, job: _Job, at_s: float) -> None:
        heapq.heappush(self._due, (at_s, next(self._number), job))
        self._lock.notify()
