"""A connection's concurrency: how many of its calls at a time this process may make."""

from __future__ import annotations

import threading

from app.core.ports import Clock
from app.errors import LedgerUnavailable
from app.pipeline.engine_ports import GateLedger

#: A share is held for so long, in seconds, unless it is renewed.
LEASE_S = 30.0
_RENEW_S = 10.0
#: A share that nobody used for so long is let go.
_IDLE_S = 1.0
#: With every permit taken by others, the ledger is asked again after this.
_ASK_AGAIN_S = 0.1
_AFTERWARDS_S = 1.0


class Permits:
    """This process's share of a connection's concurrency, grown as calls ask for it. Used by many threads."""

    def __init__(self, connection: str, cap: int, holder: str, ledger: GateLedger, clock: Clock) -> None:
        self._connection, self._cap, self._holder = connection, cap, holder
        self._ledger, self._clock = ledger, clock
        self._changed = threading.Condition()
        self._asking = False
        self._share = 0
        self._used = 0
        self._renewed_at = self._used_at = self._asked_at = float("-inf")
        self.waiting = 0

    def take(self, patience_s: float) -> float | None:
        """None once a call may be made; else, after `patience_s`, seconds after which to ask again."""
        deadline = self._clock.monotonic() + patience_s
        with self._changed:
            self.waiting += 1
            try:
                while self._used >= self._share:
                    now = self._clock.monotonic()
                    if now >= deadline:
                        return _AFTERWARDS_S
                    if self._may_ask(now):
                        self._ask()
                    else:
                        self._changed.wait(min(deadline - now, _ASK_AGAIN_S))
                self._used += 1
                self._used_at = self._clock.monotonic()
                return None
            finally:
                self.waiting -= 1

    def give_back(self) -> None:
        """The call is over."""
        with self._changed:
            self._used -= 1
            self._used_at = self._clock.monotonic()
            self._changed.notify()

    def tidy(self) -> None:
        """Renew the share while it is in use, let go of it when nobody used it for a while."""
        with self._changed:
            now = self._clock.monotonic()
            idle = self._used == 0 and self.waiting == 0 and now - self._used_at > _IDLE_S
            if self._share == 0 or self._asking or (not idle and now - self._renewed_at < _RENEW_S):
                return
            self._asking = True
            want = 0 if idle else self._share
            if idle:
                self._share = 0
        try:
            self._settle(want)
        except LedgerUnavailable:
            # The share lapses by itself; while the ledger is away nothing new is claimed either.
            return

    def release(self) -> None:
        """Let go of the share."""
        with self._changed:
            if self._share == 0:
                return
            self._share = 0
        try:
            self._ledger.release_permits(self._connection, self._holder)
        except LedgerUnavailable:
            return

    def _may_ask(self, now: float) -> bool:
        if self._asking or self._share >= self._cap:
            return False
        return now - self._asked_at >= _ASK_AGAIN_S or self._asked_at < self._renewed_at

    def _ask(self) -> None:
        """Ask the ledger for more; the lock is let go meanwhile. Raises `LedgerUnavailable`."""
        self._asking = True
        want = min(self._cap, max(2 * self._share, self._used + self.waiting))
        self._asked_at = self._clock.monotonic()
        self._changed.release()
        try:
            self._settle(want)
        finally:
            self._changed.acquire()

    def _settle(self, want: int) -> None:
        """Make the ledger's word of the share and this one's agree. Called without the lock, with `_asking` set."""
        got = None
        try:
            if want:
                got = self._ledger.take_permits(self._connection, self._holder, self._cap, want, LEASE_S)
            else:
                self._ledger.release_permits(self._connection, self._holder)
        finally:
            with self._changed:
                self._asking = False
                if got is not None:
                    if got > self._share or got == want:
                        self._renewed_at = self._clock.monotonic()
                    self._share = got
                self._changed.notify_all()
