"""What `backhaul doctor` says of the rounds in which the clock looks through the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from app.core.checkup import FACT, read_rounds

if TYPE_CHECKING:
    from app.bootstrap import Ledger

Told = tuple[Literal["ok", "warn", "fail"], str, str]


def look_at_checkup(ledger: Ledger) -> Told:
    """(level, about, what). Raises `LedgerUnavailable`."""
    about, kept = "ledger sound", ledger.fact(FACT)
    now, last = read_rounds(kept[1]) if kept else (None, None)
    for one in (now, last):
        if one is not None and one.unsound:
            some = "; ".join(one.named[:3])
            return "fail", about, f"{one.unsound} faults found since {one.began}: {some}; see `backhaul ledger verify`"
    if last is None:
        return "ok", about, "not looked through yet: the clock does, beside its work"
    return "ok", about, f"all {last.rows:,} rows, looked through until {last.ended}"
