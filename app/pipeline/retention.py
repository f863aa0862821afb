"""Retention: the clock takes old contents out of the ledger, a little at a time, beside its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from app.core.masking import Masker
from app.core.ports import Clock
from app.core.site import Site
from app.model import Json

log = structlog.get_logger()

#: In the order in which they are looked through.
KINDS = ("events", "documents", "attempts", "calls", "questions")
#: Rows of one look, which is one transaction at most: nobody waits long behind it.
MOST = 200
#: Between two looks, and from the end of one round to the next, in seconds.
PAUSE_S, ROUND_S = 0.5, 3600.0


class ForgetfulLedger(Protocol):
    """The part of the ledger that takes old contents out."""

    def expire(
        self,
        kind: str,
        after: str | int | None,
        keeps: Callable[[str], float | None],
        mask: Callable[[Json], Json],
        most: int,
        /,
    ) -> tuple[str | int | None, int]:
        """Look at some rows; the last one, None when there are no more, and of how many contents were taken."""


class Retention:
    """Walks through all that the ledger holds, round after round. Only the one clock that holds the lease should."""

    def __init__(
        self,
        ledger: ForgetfulLedger,
        clock: Clock,
        keeps: Callable[[str], float | None],
        mask: Callable[[Json], Json],
    ) -> None:
        """`keeps` says how many seconds a connection's contents are kept (None: for ever), `mask` hides persons."""
        self._ledger, self._clock, self._keeps, self._mask = ledger, clock, keeps, mask
        self._kind, self._taken = 0, 0
        self._after: str | int | None = None
        self._next = float("-inf")

    def look(self) -> int:
        """Look at some rows if it is time; of how many contents were taken. Raises `LedgerUnavailable`."""
        now = self._clock.monotonic()
        if now < self._next:
            return 0
        self._after, taken = self._ledger.expire(KINDS[self._kind], self._after, self._keeps, self._mask, MOST)
        self._taken += taken
        self._next = now + PAUSE_S
        if self._after is None:
            self._kind = (self._kind + 1) % len(KINDS)
            if self._kind == 0:
                self._next = now + ROUND_S
                if self._taken:
                    log.info("retention.round", rows=self._taken)
                self._taken = 0
        return taken


def keeping(site: Site) -> Callable[[str], float | None]:
    """How many seconds the contents of a connection are kept by the files of a site; None is for ever.

    A connection that the files do not know any more is kept as the hub's own word says.
    """
    hub_s = site.hub.retention_s
    own = {name: one.retention_s for name, one in site.connections.items() if one.retention_s is not None}

    def keeps(connection: str) -> float | None:
        seconds = own.get(connection, hub_s)
        return None if seconds == float("inf") else seconds

    return keeps


def persons_masked(site: Site) -> Callable[[Json], Json]:
    """Hides what any connector of a site calls personal."""
    return Masker(key for connector in site.connectors.values() for key in connector.personal).value
