"""A connection's concurrency: how many of its calls at a time this process may make."""

from __future__ import annotations

import threading
from contextlib import suppress

from app.core.ports import Clock
from app.errors import LedgerUnavailable
from app.pipeline.engine_ports import GateLedger

#: A share is held for so long, in seconds, unless it is renewed.
LEASE_S = 30.0
_RENEW_S = 10.0
#: A share that could not be renewed for so long is used no more: soon it may be somebody else's.
_LAPSED_S = 25.0
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
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._share = self._used = 0
        self._was_used = False  # since the last `tidy`
        self._asking = False  # one thread is with the ledger
        self._giving_up = False  # the ledger is to be told of a smaller share once enough calls are over
        self._renewed_at = self._grown_at = self._ask_from = float("-inf")
        self.waiting = 0

    def take_now(self) -> bool:
        """Whether a call may be made, without waiting and without asking the ledger."""
        with self._lock:
            if self._used >= self._share:
                return False
            self._used += 1
            self._was_used = True
            return True

    def take(self, patience_s: float) -> float | None:
        """None once a call may be made; else, after `patience_s`, seconds after which to ask again.

        Raises `LedgerUnavailable`.
        """
        deadline = self._clock.monotonic() + patience_s
        with self._lock:
            self.waiting += 1
        try:
            while not self.take_now():
                now = self._clock.monotonic()
                if now >= deadline:
                    return _AFTERWARDS_S
                with self._lock:
                    ask = self._share < self._cap and not self._asking and not self._giving_up and now >= self._ask_from
                    if ask:
                        self._asking = True
                        want = min(self._cap, max(2 * self._share, self._used + self.waiting))
                    elif self._used >= self._share:
                        self._changed.wait(min(deadline - now, _ASK_AGAIN_S))
                if ask:
                    self._settle(want)
            return None
        finally:
            with self._lock:
                self.waiting -= 1

    def give_back(self) -> None:
        """The call is over."""
        with self._lock:
            self._used -= 1
            if self.waiting:
                self._changed.notify()
            if not self._giving_up or self._used > self._share or self._asking:
                return
            self._asking, self._giving_up = True, False
            self._ask_from = self._clock.monotonic() + _STEP_BACK_S
        self._settle_quietly(self._share)

    def tidy(self) -> None:
        """To be called about once a second: renew a share that is in use, let go of one that was not since."""
        with self._lock:
            now = self._clock.monotonic()
            idle = not (self._used or self.waiting or self._was_used)
            self._was_used = False
            if now - self._renewed_at > _LAPSED_S:
                self._share = 0
            if self._share == 0 or self._asking or self._giving_up:
                return
            if self._share >= self._cap and self._used >= self._share and now - self._grown_at > _TURN_S:
                # What is under way still counts: `give_back` tells the ledger once enough of it is over.
                self._share, self._giving_up = self._cap // 2, True
                return
            if not idle and now - self._renewed_at < _RENEW_S:
                return
            self._asking = True
            if idle:
                self._share = 0
        self._settle_quietly(self._share)

    def release(self) -> None:
        """Let go of the share."""
        with self._lock:
            held, self._share = self._share, 0
        if held:
            with suppress(LedgerUnavailable):
                self._ledger.release_permits(self._connection, self._holder)

    def _settle_quietly(self, want: int) -> None:
        # The share lapses by itself; while the ledger is away nothing new is claimed either.
        with suppress(LedgerUnavailable):
            self._settle(want)

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
            with self._lock:
                self._asking = False
                now = self._clock.monotonic()
                if got is None or (got < want and got <= self._share):
                    self._ask_from = now + _ASK_AGAIN_S
                if got is not None:
                    if got > self._share:
                        self._grown_at = now
                    self._share, self._renewed_at = got, now
                self._changed.notify_all()
