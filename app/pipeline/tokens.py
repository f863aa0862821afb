"""A connection's rate: tokens of the ledger's bucket, which all processes share, taken a few at a time."""

from __future__ import annotations

import threading

from app.core.ports import Clock
from app.pipeline.engine_ports import GateLedger

#: Tokens that were taken and not used within this time are dropped: used later, they would exceed the rate.
_KEPT_S = 0.5
#: A handful for so many seconds of calling is taken at once.
_CHUNK_S = 0.2
_CHUNK_MOST = 32
#: The rate asked for is a little lower than the target's, for calls that arrive closer together than they were sent.
_MARGIN = 0.95


class Tokens:
    """Hands out this process's part of the rate, one call at a time and in the order of asking."""

    def __init__(
        self, connection: str, rate: float, ledger: GateLedger, clock: Clock, stopping: threading.Event
    ) -> None:
        self._connection, self._rate = connection, rate * _MARGIN
        self._ledger, self._clock, self._stopping = ledger, clock, stopping
        self._chunk = max(1, min(_CHUNK_MOST, int(self._rate * _CHUNK_S)))
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._tokens = 0
        self._taken_at = 0.0
        self.waiting = 0

    def take(self, patience_s: float) -> float | None:
        """None once a call may be made; else, after `patience_s` or less, seconds after which to ask again."""
        deadline = self._clock.monotonic() + patience_s
        self._wait(1)
        try:
            if not self._turn.acquire(timeout=max(0.0, patience_s)):
                return max(1.0, self.waiting / self._rate)
            try:
                return self._take(deadline)
            finally:
                self._turn.release()
        finally:
            self._wait(-1)

    def _take(self, deadline: float) -> float | None:
        while True:
            now = self._clock.monotonic()
            if self._tokens > 0 and now - self._taken_at < _KEPT_S:
                self._tokens -= 1
                return None
            got, wait_s = self._ledger.take_tokens(self._connection, self._rate, self._chunk)
            if got > 0:
                self._tokens, self._taken_at = got - 1, self._clock.monotonic()
                return None
            # The one whose turn it is waits for all that stand behind it: the ledger is asked once for each token.
            if now + wait_s > deadline or self._stopping.wait(max(0.002, wait_s)):
                return wait_s + (self.waiting - 1) / self._rate

    def _wait(self, more: int) -> None:
        with self._count:
            self.waiting += more
