"""Looks through the whole ledger again and again, a few rows at a time, beside the work of the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from math import inf, isinf
from typing import Protocol

import structlog

from app.core.checkup import FACT, NAMED, Piece, Round, read_rounds
from app.core.ports import Clock
from app.core.times import iso, parse_time
from app.model import Json

log = structlog.get_logger()

#: Rows of one look, and what lies between two, in seconds: forty million rows a day, some milliseconds each time.
MOST, PAUSE_S = 500, 1.0
#: How far it came is kept so often: each time is a commit.
_KEEP_S = 60.0
#: With nothing to do it is looked so often whether it is time again.
_IDLE_S = 60.0
#: Clocks of several machines differ a little; in seconds.
_MARGIN_S = 5.0


class CheckedLedger(Protocol):
    """The part of the ledger that can be looked through."""

    def parts(self) -> Sequence[str]:
        """What it consists of, for `look_at`."""

    def look_at(self, part: str, after: Json, most: int, /) -> Piece:
        """Look at up to `most` rows of a part behind `after`; None is its beginning."""

    def fact(self, name: str, /) -> tuple[datetime, Json] | None:
        """What is kept under a name, and since when."""

    def put_fact(self, name: str, value: Json, /) -> None:
        """Keep a value under a name."""


class Checkup:
    """Goes through the ledger once in a while. Only the one clock that holds the lease should do so."""

    def __init__(self, ledger: CheckedLedger, clock: Clock, every_s: float) -> None:
        """A round begins `every_s` after the beginning of the last one; infinity: never."""
        self._ledger, self._clock, self._every_s = ledger, clock, every_s
        self._read = False
        self._now: Round | None = None
        self._last: Round | None = None
        self._part, self._after = "", None
        self._next = self._keep_at = -inf

    def look(self) -> int:
        """Look at some rows if it is time; at how many. Raises `LedgerUnavailable`."""
        at = self._clock.monotonic()
        if at < self._next or isinf(self._every_s):
            return 0
        if not self._read:
            self._go_on()
        if self._now is None and not self._is_time():
            self._next = at + _IDLE_S
            return 0
        if self._now is None:
            self._now, self._part, self._after = Round(iso(self._clock.now())), self._ledger.parts()[0], None
        piece = self._ledger.look_at(self._part, self._after, MOST)
        self._next = at + PAUSE_S
        for fault in piece.faults:
            log.error("ledger.unsound", part=self._part, row=fault.row, what=fault.what)
        told = (f"{self._part} {fault.row} {fault.what}" for fault in piece.faults)
        self._now = replace(
            self._now,
            rows=self._now.rows + piece.rows,
            unsound=self._now.unsound + len(piece.faults),
            named=(*self._now.named, *told)[:NAMED],
        )
        over = self._step(piece)
        if over or piece.faults or at >= self._keep_at:
            self._keep_at = at + _KEEP_S
            self._keep()
        return piece.rows

    def _go_on(self) -> None:
        """Where the clock before this one stopped."""
        found = self._ledger.fact(FACT)
        kept = found[1] if found else {}
        self._now, self._last = read_rounds(kept)
        if self._now is not None:
            self._part, self._after = kept["part"], kept["after"]
            if self._part not in self._ledger.parts():
                # Of another version of the hub.
                self._now = None
        self._read = True

    def _is_time(self) -> bool:
        if self._last is None:
            return True
        past_s = (self._clock.now() - parse_time(self._last.began)).total_seconds()
        return past_s >= self._every_s or past_s < -_MARGIN_S

    def _step(self, piece: Piece) -> bool:
        """On to the next piece; whether the round is over."""
        assert self._now is not None
        self._after = piece.after
        if piece.after is not None:
            return False
        parts = list(self._ledger.parts())
        place = parts.index(self._part) + 1
        if place < len(parts):
            self._part = parts[place]
            return False
        self._last, self._now = replace(self._now, ended=iso(self._clock.now())), None
        tell = log.error if self._last.unsound else log.info
        tell("ledger.verified", rows=self._last.rows, unsound=self._last.unsound)
        return True

    def _keep(self) -> None:
        rounds = {"now": self._now and asdict(self._now), "last": self._last and asdict(self._last)}
        self._ledger.put_fact(FACT, {**rounds, "part": self._part, "after": self._after})
