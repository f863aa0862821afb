"""Seals the ledger from time to time, beside the work of the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core.ports import Clock
from app.pipeline.engine_ports import SealedLedger

#: What was written before the last look is sealed at the next one, once whatever was under way then is over.
EVERY_S = 10.0
#: Transactions of one look: behind an outage the rest waits for the next, so that lanes are not looked at late.
_MOST = 16
#: After each of them others get so long to write, in seconds: longer than any of them waits before it looks again.
_PAUSE_S = 0.012


class Sealer:
    """Seals what has been there for one look. Only the one clock that holds the lease should do so."""

    def __init__(self, ledger: SealedLedger, clock: Clock, pause: Callable[[float], object] = time.sleep) -> None:
        self._ledger, self._clock, self._pause = ledger, clock, pause
        self._marks: dict[str, int] | None = None
        self._next = float("-inf")

    def look(self) -> int:
        """Seal if it is time; how many rows that were. Raises `LedgerUnavailable`."""
        now = self._clock.monotonic()
        if now < self._next:
            return 0
        sealed = 0
        if self._marks is not None:
            if not self._ledger.settled(self._marks):
                self._next = now + EVERY_S
                return 0
            for _ in range(_MOST):
                count = self._ledger.seal(self._marks)
                sealed += count
                if not count:
                    break
                self._pause(_PAUSE_S)
            else:
                return sealed
        self._marks, self._next = self._ledger.seal_marks(), now + EVERY_S
        return sealed
