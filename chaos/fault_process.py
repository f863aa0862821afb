"""Processes of the hub are killed, or their clock is put wrong."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

from chaos.fault_kit import Fault
from chaos.stage import HUB, WORKERS, Stage
from chaos.stage_site import LEASE_S

_HOUR_S = 3600.0
#: So many calls that take so many seconds.
_SLOW, _SLOW_S = 12, 2.0


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


class PauseWorker(KillWorker):
    """A machine that swaps, or is moved. What it had in hand has gone to another worker when it wakes, and it says what
    became of it all the same.
    """

    name, about, group = "pause_worker", "a worker stands still (SIGSTOP) for longer than its lease", "worker"
    shortest_s, longest_s = LEASE_S + 2.0, LEASE_S + 8.0

    def _break(self, stage: Stage) -> None:
        _in_hand(stage)
        stage.kill(self.details["worker"], signal.SIGSTOP)

    def _mend(self, stage: Stage) -> None:
        _no_longer_slow(stage)
        stage.kill(self.details["worker"], signal.SIGCONT)


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
        _in_hand(stage)
        stage.shift_clock(self.by_s)

    def _mend(self, stage: Stage) -> None:
        _no_longer_slow(stage)
        stage.shift_clock(0.0)


class ClockBack(ClockAhead):
    """All clocks of the hub."""

    name, about = "clock_back", "the clock jumps an hour back, and ahead later"
    by_s = -_HOUR_S


def _in_hand(stage: Stage) -> None:
    """Have calls under way, where there are any to be made: they are what such a fault may take from a worker."""
    stage.misbehave("warehouse", "*", "slow", _SLOW, seconds=_SLOW_S)
    time.sleep(_SLOW_S / 2)


def _no_longer_slow(stage: Stage) -> None:
    """Forget slow calls that nobody made: they would come before the faults that are planned next."""
    stage.misbehave_no_more("warehouse", "*", "slow")
