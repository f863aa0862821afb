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
#: Who held all of them, and was busy, for so long lets go of half for a moment, so that another process gets some.
_TURN_S = 2.0
_STEP_BACK_S = 0.15


class Permits:
    """This process's share of a connection's concurrency, grown as calls ask for it. Used by many threads."""

    def __init__(self, connection: str, cap: int, holder: str, ledger: GateLedger, clock: Clock) -> None:
        self._connection, self._cap, self._holder = connection, cap, holder
        self._ledger, self._clock = ledger, clock
        self._changed = threading.Condition()
        self._asking = False
        self._returning = False
        self._share = 0
        self._used = 0
        self._renewed_at = self._used_at = self._grown_at = self._ask_from = float("-inf")
        self.waiting = 0

    def take(self, patience_s: float) -> float | None:
        """None once a call may be made; else, after `patience_s`, seconds after which to ask again.

        Raises `LedgerUnavailable`.
        """
        deadline = self._clock.monotonic() + patience_s
        with self._changed:
            self.waiting += 1
            try:
                while self._used >= self._share:
                    now = self._clock.monotonic()
                    if now >= deadline:
                        return _AFTERWARDS_S
                    if not self._asking and not self._returning and self._share < self._cap and now >= self._ask_from:
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
            if not self._returning or self._used > self._share or self._asking:
                return
            self._asking, self._returning = True, False
            self._ask_from = self._used_at + _STEP_BACK_S
            want = self._share
        self._settle_quietly(want)

    def tidy(self) -> None:
        """Renew the share while it is in use, let go of it when nobody used it for a while."""
        with self._changed:
            now = self._clock.monotonic()
            if self._share == 0 or self._asking or self._returning:
                return
            idle = self._used == 0 and self.waiting == 0 and now - self._used_at > _IDLE_S
            if self._share >= self._cap and self._used >= self._share and now - self._grown_at > _TURN_S:
                # What is under way still counts: `give_back` tells the ledger once enough of it is over.
                self._share, self._returning = self._cap // 2, True
                return
            if not idle and now - self._renewed_at < _RENEW_S:
                return
            self._asking = True
            want = 0 if idle else self._share
            if idle:
                self._share = 0
        self._settle_quietly(want)

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

    def _ask(self) -> None:
        """Ask the ledger for more; the lock is let go meanwhile. Raises `LedgerUnavailable`."""
        self._asking = True
        want = min(self._cap, max(2 * self._share, self._used + self.waiting))
        self._changed.release()
        try:
            self._settle(want)
        finally:
            self._changed.acquire()

    def _settle_quietly(self, want: int) -> None:
        try:
            self._settle(want)
        except LedgerUnavailable:
            # The share lapses by itself; while the ledger is away nothing new is claimed either.
            return

    def _settle(self, want: int) -> None:
        """Make the ledger's word of the share and this one's agree. Called without the lock, with `_asking` set."""
        got = None
        try:
            if want:
                got = self._ledger.take_permits(self._connection, self._holder, self._cap, want, LEASE_S)
            else:
                self._ledger.release_permits(self._connection, self._holder)
                got = 0
        finally:
            with self._changed:
                self._asking = False
                now = self._clock.monotonic()
                if got is None:
                    self._ask_from = now + _ASK_AGAIN_S
                else:
                    if got > self._share:
                        self._grown_at = now
                    elif got < want:
                        self._ask_from = now + _ASK_AGAIN_S
                    self._share, self._renewed_at = got, now
                self._changed.notify_all()
