"""The ports for time and new ids: tests and simulated runs bend them, everything else asks through them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The time now, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring how long something took."""


class Ids(Protocol):
    """Makes ids."""

    def new(self, prefix: str) -> str:
        """A new id such as "evt_01jd…": unique, and later ones sort after earlier ones of the same process."""
