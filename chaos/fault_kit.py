"""What a fault is: it begins, it ends, it knows when; whatever it breaks, its end mends."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.stage import Stage


class Fault(ABC):
    """One fault of a run. `details` say how it strikes; `lasts_s` among them how long."""

    name: ClassVar[str]
    about: ClassVar[str]
    #: Faults of one group never overlap: they would undo each other.
    group: ClassVar[str] = ""
    #: How long it lasts, in seconds, at least and at most; 0 is over at once.
    shortest_s: ClassVar[float] = 0.0
    longest_s: ClassVar[float] = 0.0
    #: Only with this ledger; "" with each.
    only_with: ClassVar[str] = ""

    def __init__(self, details: Mapping[str, Any]) -> None:
        self.details = details
        self.began_at: float | None = None  # the machine's time, seconds since 1970
        self.ended_at: float | None = None

    @classmethod
    def choose(cls, chance: random.Random) -> dict[str, Any]:
        """How it strikes this time, besides for how long."""
        return {}

    def begin(self, stage: Stage) -> None:
        """Break something."""
        self.began_at = time.time()
        self._break(stage)

    def end(self, stage: Stage) -> None:
        """Mend it; harmless when it is mended, or was never broken."""
        try:
            self._mend(stage)
        finally:
            if self.began_at is not None and self.ended_at is None:
                self.ended_at = time.time()

    @abstractmethod
    def _break(self, stage: Stage) -> None:
        """Do what this fault does."""

    def _mend(self, stage: Stage) -> None:  # noqa: B027
        """Nothing to mend for what heals by itself."""
