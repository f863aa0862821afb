"""Where the polls of a site stand, for lists and for the doctor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from app.core.polls import PollKey, PollState
from app.core.site import Site
from app.core.times import iso

#: A poll that was not read to its end for so many times its own rhythm is late, and for no less than so many seconds.
_LATE, _LATE_LEAST_S = 3.0, 900.0


@dataclass(frozen=True, slots=True)
class Standing:
    """One poll of one connection: what the files say of it, and what the ledger knows."""

    key: PollKey
    every_s: float | None  # None: the files have it off
    state: PollState | None  # None: it never ran

    @property
    def word(self) -> Literal["off", "never ran", "running", "failing", "on"]:
        """How it is with it, in a word."""
        if self.every_s is None:
            return "off"
        if self.state is None or not self.state.on:
            return "never ran"
        if self.state.running:
            return "running"
        return "failing" if self.state.failures else "on"

    def late(self, now: datetime) -> bool:
        """Whether it was not read to its end for much longer than its rhythm."""
        if self.every_s is None or self.state is None:
            return False
        since = self.state.good_at or self.state.since
        return now - since > timedelta(seconds=max(_LATE_LEAST_S, _LATE * self.every_s))

    def row(self) -> dict[str, Any]:
        """As lists show it."""
        state = self.state
        return {
            "poll": str(self.key),
            "state": self.word,
            "every_s": self.every_s,
            "good_at": _iso(state.good_at if state else None),
            "cursor": _iso(state.cursor if state else None),
            "due_at": _iso(state.due_at if state else None),
            "failures": state.failures if state else 0,
            "found": state.found if state else 0,
            "new": state.new if state else 0,
            "because": (state.because if state else "") or None,
            "fault": state.fault if state else None,
        }


def standing(site: Site, states: Sequence[PollState]) -> Iterator[Standing]:
    """Every poll that a connection of the site has, on or off."""
    known = {state.key: state for state in states}
    for connection in site.connections.values():
        for name in connection.connector.polls:
            key = PollKey(connection.name, name)
            yield Standing(key, connection.polls.get(name), known.get(key))


def _iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
