"""A clock that is put forward and back."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.support import HandClock


class BentClock(HandClock):
    """A clock that is put forward and back, while time passes as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.shift_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.shift_s)
