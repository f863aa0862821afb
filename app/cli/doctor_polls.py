"""What `backhaul doctor` says of polls: whether each that is on is read, and since when not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from app.core.site import Site
from app.core.times import iso
from app.pipeline.polls import Standing, standing

if TYPE_CHECKING:
    from app.bootstrap import Ledger

Level = Literal["ok", "warn", "fail"]


def look_at_polls(site: Site, ledger: Ledger, *, hub_runs: bool) -> Iterator[tuple[Level, str, str]]:
    """(level, about, what) of each poll that is on. Raises `LedgerUnavailable`."""
    now = datetime.now(UTC)
    for one in standing(site, ledger.polls()):
        if one.every_s is not None:
            level, what = _verdict(one, now, hub_runs)
            yield level, f"poll {one.key}", what


def _verdict(one: Standing, now: datetime, hub_runs: bool) -> tuple[Level, str]:
    state = one.state
    last = f"last read to its end {iso(state.good_at)}" if state and state.good_at else "never read to its end"
    if state is None or not state.on:
        return ("warn", "on, but no worker knows it yet: restart the hub") if hub_runs else ("ok", "runs with the hub")
    if state.failures:
        level: Level = "fail" if one.late(now) or state.fault == "config" else "warn"
        return level, f"failed {state.failures} times in a row: {state.because}; {last}"
    if state.because:
        return "warn", f"{state.because}; {last}"
    if hub_runs and one.late(now):
        return "fail", f"{last}, although it is due every {one.every_s:g} s; see the log"
    return "ok", f"{last}; {state.new:,} new of {state.found:,} found"
