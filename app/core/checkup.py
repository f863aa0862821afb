"""What is kept of the rounds in which the clock looks through the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from app.model import Json

#: The name under which the ledger keeps it.
FACT = "checkup"
#: Of what is unsound so much is kept by name; all of it is in the log.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the ledger that cannot be."""

    row: str
    what: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one part of the ledger, looked at."""

    rows: int
    faults: tuple[Fault, ...]
    after: Json  # where the next piece begins; None: this was the last of its part


@dataclass(frozen=True, slots=True)
class Round:
    """One time through the ledger. Times are ISO text; `ended` is empty while it goes on."""

    began: str
    ended: str = ""
    rows: int = 0
    unsound: int = 0
    named: tuple[str, ...] = ()


def read_rounds(kept: Json) -> tuple[Round | None, Round | None]:
    """(the round that goes on, the last one that ended) of what the ledger keeps."""
    told = kept if isinstance(kept, dict) else {}
    now, last = (
        Round(**{**one, "named": tuple(one["named"])}) if one else None for one in map(told.get, ("now", "last"))
    )
    return now, last
