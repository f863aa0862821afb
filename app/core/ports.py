"""The ports for time and new ids: tests and simulated runs bend them, everything else asks through them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Busy(Protocol):
    """An account of how busy one thread is; any thread may read it."""

    def since(self) -> float:
        """Seconds that it was busy since this was last asked."""

    def close(self) -> None:
        """Let go of the account."""


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The time now, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring how long something took."""

    def busy(self) -> Busy:
        """The account of the thread that asks: time that it ran or stood in the queue for a CPU, not what it waited."""


class Ids(Protocol):
    """Makes ids."""

    def new(self, prefix: str) -> str:
        """A new id such as "evt_01jd…": unique, and later ones sort after earlier ones of the same process."""
