"""The state of a connection, as all processes share it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LaneState:
    """Whether a connection may be called now. Shared by all processes through the ledger."""

    connection: str
    paused: bool = False
    because: str = ""  # why it is paused, or what opened the breaker
    failures: int = 0  # consecutive remote or transient failures
    open_until: datetime | None = None  # breaker: no call before; then one trial call
    opened_times: int = 0  # openings in a row; the wait grows with it
