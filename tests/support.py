"""Small helpers of the suites."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.adapters.ledger.engine import sqlite_module


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def move(self, seconds: float) -> None:
        """Let time pass, or run backwards."""
        self._now += timedelta(seconds=seconds)


def empty_sqlite(path: Path) -> None:
    """Delete all rows of a ledger's file."""
    # The ledger's own SQLite library: a second one in one process would let go of the first one's locks.
    connection = sqlite_module().connect(str(path), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if table != "alembic_version":
            connection.execute(f"DELETE FROM {table}")
    connection.execute("COMMIT")
    connection.close()


def eventually(check: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until it is so; it has to be within `seconds`."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)
