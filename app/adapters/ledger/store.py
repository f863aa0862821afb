"""What every part of the ledger stands on: the database and the clock."""

from __future__ import annotations

from app.adapters.ledger.columns import to_ms
from app.adapters.ledger.engine import Database
from app.adapters.ledger.lapse import Lapse
from app.core.ports import Clock


class Store:
    """A part of the ledger."""

    def __init__(self, db: Database, clock: Clock, *, wary: bool = False) -> None:
        self._db = db
        self._clock = clock
        self._lapse = Lapse(wary=wary)

    def _now(self) -> int:
        return to_ms(self._clock.now())

    def _lapsed(self, now: int, lease_s: float) -> int:
        """Leases that end at this millisecond or before have ended, however the clock was put."""
        return min(now, self._lapse.ms(self._clock, lease_s))


def ahead(now: int, seconds: float) -> int:
    """The millisecond `seconds` after `now`."""
    return now + round(seconds * 1000)


def bare(lane: str) -> str:
    """The connection of a lane, whether it is written "out:wms" or "wms"."""
    return lane.removeprefix("out:").removeprefix("in:")
