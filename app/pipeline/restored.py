"""Whether the ledger was put back from a backup, for whoever delivers. See `core.restores`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.core.ports import Clock
from app.core.restores import Restore, doubted
from app.model import DeliveryWork

#: A person may say at any time that all is caught up: while that matters it is asked for so often.
_ASK_AGAIN_S = 10.0


class RestoresLedger(Protocol):
    """The part of the ledger that knows when it was put back."""

    def restores(self) -> Sequence[Restore]:
        """Each time that it was, the oldest first."""


class Restored:
    """Doubts claimed deliveries. Nothing is asked more than once of a ledger that was never put back."""

    def __init__(self, ledger: RestoresLedger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._restores: Sequence[Restore] | None = None
        self._asked_at = 0.0

    def ask(self) -> None:
        """To be called before deliveries are claimed. Raises `LedgerUnavailable`."""
        if self._restores is None or (self._restores and self._clock.monotonic() - self._asked_at >= _ASK_AGAIN_S):
            self._restores, self._asked_at = self._ledger.restores(), self._clock.monotonic()

    def doubt(self, works: Sequence[DeliveryWork]) -> Sequence[DeliveryWork]:
        """The deliveries, each said to be sent that may have been."""
        return [doubted(work, self._restores) for work in works] if self._restores else works
