"""Polls: what is asked of a vendor from time to time, and what the ledger knows of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.core.expressions import Value
from app.core.source import Where
from app.model import Fault

#: The pseudo header of an event that a poll brought: its value is the poll's name. No header of HTTP can be called so.
BROUGHT_BY = ":poll"


@dataclass(frozen=True, slots=True)
class Window:
    """Which span of time one look asks for. All in seconds."""

    overlap_s: float = 300.0  # how far each look reaches back behind the end of the last one
    behind_s: float = 60.0  # how far a look's end stays behind now: the vendor's list lags a little
    longest_s: float = 86_400.0  # a longer time is read piece by piece
    start_s: float = 604_800.0  # how far back the very first look begins
    whole: Value | None = None  # bool; False: not all of it came, ask for halves; names: body, items, window, settings


@dataclass(frozen=True, slots=True)
class Poll:
    """One list that is read from time to time."""

    name: str
    where: Where
    operation: str
    args: Value  # yaml `with:`; names: window, settings
    every_s: float
    payload: Value  # what becomes the body of an event; names: item, settings
    window: Window | None = None  # None: the list is read as it is, without a span of time
    items: Value | None = None  # list; where the operation has no paging; names: body, settings
    wanted: Value | None = None  # yaml `where:`; bool; names: item, window, settings


@dataclass(frozen=True, slots=True)
class PollKey:
    """One poll of one connection."""

    connection: str
    name: str

    @classmethod
    def of(cls, text: str) -> PollKey:
        """The key that is written as this text: neither a connection's name nor a poll's has a dot."""
        connection, _, name = text.partition(".")
        return cls(connection, name)

    def __str__(self) -> str:
        return f"{self.connection}.{self.name}"


@dataclass(frozen=True, slots=True)
class PollWork:
    """A claimed poll: one span of time is to be read."""

    key: PollKey
    cursor: datetime | None  # all up to here is in the ledger; None: it was never read
    read_at: datetime | None  # when that was asked for
    attempts: int  # this try included; tries in a row that failed, and this one


@dataclass(frozen=True, slots=True)
class PollFinish:
    """What a worker says of a claimed poll. Written only if its token still holds it."""

    key: PollKey
    due_at: datetime
    good: bool  # a list was read to its end, and all that is in it is in the ledger
    because: str = ""
    fault: Fault | None = None
    cursor: datetime | None = None  # None leaves it where it is
    read_at: datetime | None = None  # when what lies before the cursor was asked for
    counted: bool = True  # False: nothing was tried
    found: int = 0  # items that were wanted
    new: int = 0  # of these, events that were not there
    told_at: datetime | None = None  # when `due_at` was said, by the clock of then


@dataclass(frozen=True, slots=True)
class PollState:
    """What the ledger knows of a poll, for people."""

    key: PollKey
    on: bool
    running: bool
    due_at: datetime | None  # None: it is off
    cursor: datetime | None
    good_at: datetime | None  # when a list was read to its end last
    since: datetime  # when the ledger first heard of it
    failures: int  # in a row
    because: str  # why the last try failed; "" when it did not
    fault: Fault | None
    found: int  # over all times
    new: int
