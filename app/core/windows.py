"""Windows: which span of time to ask a list for, in whole seconds, and its halves when too much came at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.polls import Window
from app.model import Json

#: Spans that follow each other share so much: whether a vendor's "after" takes in its own end is hardly ever said.
SEAM_S = 1
#: A span of this length is not halved any more.
SHORTEST_S = 1
#: So much the clocks of two machines may differ.
CLOCKS_DIFFER_S = 5.0


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time to ask for. `seam_s` of it were asked for before."""

    start: datetime
    end: datetime
    seam_s: int = 0

    @property
    def length_s(self) -> int:
        """How long it is, without the seam."""
        return round((self.end - self.start).total_seconds()) - self.seam_s

    def view(self) -> dict[str, Json]:
        """As expressions see it: `window.from` and `window.to`."""
        return {"from": seconds_text(self.start), "to": seconds_text(self.end)}

    def halves(self) -> tuple[Span, Span] | None:
        """The two halves, overlapping by a seam; None when it is too short for that."""
        if self.length_s <= SHORTEST_S:
            return None
        middle = self.start + timedelta(seconds=self.seam_s + self.length_s // 2)
        return Span(self.start, middle, self.seam_s), Span(middle - timedelta(seconds=SEAM_S), self.end, SEAM_S)


def next_span(window: Window, cursor: datetime | None, read_at: datetime | None, now: datetime) -> Span:
    """What to ask for next: from a little before the cursor to a little before now, `longest` at most.

    `read_at` is when the time before the cursor was read. What was old already then had come to rest: of it only a
    seam is read again. A cursor that is still to come was set by a clock that has been put back since: what changed
    before that was read is not known, so it begins anew.
    """
    if cursor is not None and cursor > now + timedelta(seconds=CLOCKS_DIFFER_S):
        cursor = read_at = None
    begin = cursor or now - timedelta(seconds=window.start_s)
    latest = max(_floor(now - timedelta(seconds=window.behind_s)), _floor(begin))
    end = min(latest, _floor(begin) + timedelta(seconds=max(window.longest_s, SHORTEST_S)))
    return Span(_floor(begin - timedelta(seconds=_overlap_s(window, cursor, read_at))), end)


def _overlap_s(window: Window, cursor: datetime | None, read_at: datetime | None) -> float:
    if cursor is None:
        return 0.0
    aged_s = (read_at - cursor).total_seconds() - window.behind_s if read_at else 0.0
    return max(SEAM_S, window.overlap_s - max(0.0, aged_s))


def caught_up(window: Window, cursor: datetime, began: datetime) -> bool:
    """Whether a look that began then has read all that was to be read at that time."""
    return cursor >= _floor(began - timedelta(seconds=window.behind_s))


def seconds_text(moment: datetime) -> str:
    """The time as "2026-11-22T01:02:03Z": whole seconds, the form that every vendor takes."""
    return moment.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def _floor(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
