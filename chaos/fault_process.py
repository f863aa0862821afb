"""Processes of the hub are killed, or their clock is put wrong."""

from __future__ import annotations

import random
from typing import Any

from chaos.fault_kit import Fault
from chaos.stage import HUB, WORKERS, Stage

_HOUR_S = 3600.0


class KillWeb(Fault):
    """The process that takes messages."""

    name, about = "kill_web", "kill -9 of the web process"

    def _break(self, stage: Stage) -> None:
        stage.kill("web")


class KillWorker(Fault):
    """One of the processes that make calls."""

    name, about = "kill_worker", "kill -9 of a worker"

    @classmethod
    def choose(cls, chance: random.Random) -> dict[str, Any]:
        """Which one."""
        return {"worker": chance.choice(WORKERS)}

    def _break(self, stage: Stage) -> None:
        stage.kill(self.details["worker"])


class KillClock(Fault):
    """The process that wakes what is due."""

    name, about = "kill_clock", "kill -9 of the clock"

    def _break(self, stage: Stage) -> None:
        stage.kill("clock")


class KillAll(Fault):
    """The whole hub, as by a power cut."""

    name, about = "kill_all", "kill -9 of web, workers and clock at once"

    def _break(self, stage: Stage) -> None:
        for one in HUB:
            stage.kill(one)


class ClockAhead(Fault):
    """All clocks of the hub."""

    name, about, group = "clock_ahead", "the clock jumps an hour ahead, and back later", "clock"
    shortest_s, longest_s = 5.0, 20.0
    by_s = _HOUR_S

    def _break(self, stage: Stage) -> None:
        stage.shift_clock(self.by_s)

    def _mend(self, stage: Stage) -> None:
        stage.shift_clock(0.0)


class ClockBack(ClockAhead):
    """All clocks of the hub."""

    name, about = "clock_back", "the clock jumps an hour back, and ahead later"
    by_s = -_HOUR_S
