"""Small helpers of the suites."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


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
