"""What every part of the ledger stands on: the database and the clock."""

from __future__ import annotations

from app.adapters.ledger.columns import to_ms
from app.adapters.ledger.engine import Database
from app.core.ports import Clock


class Store:
    """A part of the ledger."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def _now(self) -> int:
        return to_ms(self._clock.now())


def ahead(now: int, seconds: float) -> int:
    """The millisecond `seconds` after `now`."""
    return now + round(seconds * 1000)


def bare(lane: str) -> str:
    """The connection of a lane, whether it is written "out:wms" or "wms"."""
    return lane.removeprefix("out:").removeprefix("in:")
