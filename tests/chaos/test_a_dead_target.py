"""While one target is dead, deliveries to the others are as fast as ever: it refuses, says 503, or says nothing.

`pytest -m bench tests/chaos/test_a_dead_target.py -s` shows the figures; with CHAOS_POSTGRES=1 on PostgreSQL.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from chaos import isolation
from chaos.isolation_streams import known_to_erp, known_to_platform, pushing, returns
from chaos.looks import Looks
from chaos.stage import Stage

_POSTGRES = bool(os.environ.get("CHAOS_POSTGRES"))
_SEED = 5
_COUNT, _BLOCKS, _ROUNDS = 150, 3, 3
_SLOWER = 1.10
_DEAD = "warehouse"


@contextmanager
def _refusing(stage: Stage) -> Iterator[None]:
    """Nobody listens."""
    stage.keeper.hold(_DEAD)
    stage.kill(_DEAD, signal.SIGKILL)
    stage.until(f"the {_DEAD} is gone", lambda: not stage.keeper.pid(_DEAD), 10)
    try:
        yield
    finally:
        stage.keeper.release(_DEAD)


@contextmanager
def _answering_503(stage: Stage) -> Iterator[None]:
    stage.misbehave(_DEAD, "*", "503")
    try:
        yield
    finally:
        stage.misbehave_no_more(_DEAD, "*", "503")


@contextmanager
def _hanging(stage: Stage) -> Iterator[None]:
    """It takes every request, and never says a word."""
    stage.misbehave(_DEAD, "*", "timeout")
    try:
        yield
    finally:
        stage.misbehave_no_more(_DEAD, "*", "timeout")


_WAYS = {"says 503": _answering_503, "hangs": _hanging, "refuses": _refusing}


@pytest.mark.bench
def test_a_dead_target_slows_no_delivery_to_another(tmp_path: Path) -> None:
    chance = random.Random(_SEED)
    with isolation.pair(tmp_path, seed=_SEED, postgres=_POSTGRES) as stages:
        calm = _measure("all targets live", stages, chance, "CALM", 0.1)
        print(calm)
        every_s = isolation.unhurried(calm)
        slowed = []
        for way, dead in _WAYS.items():
            measured = isolation.within(_SLOWER, _rounds(way, dead, stages, chance, every_s))
            slowed += [measured] if measured[-1].ratio > _SLOWER else []
        assert not slowed, "\n".join(str(figures) for measured in slowed for figures in measured)


def _rounds(
    way: str,
    dead: Callable[[Stage], AbstractContextManager[None]],
    stages: tuple[Stage, Stage],
    chance: random.Random,
    every_s: float,
) -> Iterator[isolation.Figures]:
    first, second = stages
    for number in range(_ROUNDS):
        name = f"{way.replace(' ', '-')}{number}"
        yield _dead_at(first, second, way, dead, chance, f"{name}a", every_s) + _dead_at(
            second, first, way, dead, chance, f"{name}b", every_s
        )


def _dead_at(
    troubled: Stage,
    free: Stage,
    way: str,
    dead: Callable[[Stage], AbstractContextManager[None]],
    chance: random.Random,
    name: str,
    every_s: float,
) -> isolation.Figures:
    with dead(troubled):
        figures = _measure(f"the {_DEAD} {way}", (troubled, free), chance, name, every_s)
        still = Looks(troubled).waiting() or Counter()
        assert still.total() >= _COUNT // 2, f"the {_DEAD} is not dead: {still}"
    # Whatever was meant for the dead one arrives now, so that the next round finds no backlog.
    for stage in (troubled, free):
        isolation.waits(stage, f"all is delivered after the {_DEAD} {way}", {})
    return figures


def _measure(
    what: str, stages: tuple[Stage, Stage], chance: random.Random, name: str, every_s: float
) -> isolation.Figures:
    """Orders go to the portal, and are measured; as many returns go to the warehouse, dead or not."""
    wanted = returns(chance, f"R-{name}", _COUNT)
    for stage in stages:
        known_to_platform(stage, wanted)
        known_to_erp(stage, wanted)
    beside = [one.message() for one in wanted]
    return isolation.side_by_side(what, stages, pushing(name, _COUNT), every_s=every_s, blocks=_BLOCKS, beside=beside)
