"""The catalogue of faults, and when each of them strikes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from chaos import fault_ledger, fault_poison, fault_process, fault_redis
from chaos.fault_kit import Fault as Fault
from chaos.fault_target import TARGETS

_ALL: tuple[type[Fault], ...] = (
    fault_process.KillWeb,
    fault_process.KillWorker,
    fault_process.PauseWorker,
    fault_process.KillClock,
    fault_process.KillAll,
    fault_redis.RedisFlush,
    fault_redis.RedisPause,
    fault_redis.RedisKill,
    fault_ledger.PostgresRestart,
    fault_ledger.LedgerLock,
    fault_ledger.DiskFull,
    fault_process.ClockAhead,
    fault_process.ClockBack,
    *TARGETS,
    fault_poison.PoisonCall,
    fault_poison.PoisonMapping,
)
CATALOGUE: Mapping[str, type[Fault]] = {one.name: one for one in _ALL}
#: Nothing begins before this share of the run, and nothing but long poison ends behind the second.
_FIRST, _LAST = 0.04, 0.96
#: One fault about so often, in seconds, where all those chosen once take less.
_EVERY_S = 4.0
#: A long fault takes no more than this share of a run.
_SHARE = 0.25
_TRIES = 200


class Planned(NamedTuple):
    """A fault to come: when, counted from the beginning of the stream, which, and how."""

    at_s: float
    fault: str
    details: Mapping[str, Any]


def about() -> dict[str, str]:
    """Each fault with one line about it."""
    return {name: one.about for name, one in CATALOGUE.items()}


def named(wanted: Iterable[str], *, postgres: bool) -> tuple[str, ...]:
    """The names of faults that a run on this ledger can have; "all" stands for every one. Raises KeyError."""
    chosen = list(CATALOGUE) if "all" in (names := list(wanted)) else names
    ledger = "postgresql" if postgres else "sqlite"
    return tuple(name for name in chosen if CATALOGUE[name].only_with in ("", ledger))


def make(planned: Planned) -> Fault:
    """The fault itself."""
    return CATALOGUE[planned.fault](planned.details)


def schedule(chance: random.Random, names: Sequence[str], seconds: float) -> list[Planned]:
    """When each fault strikes in a run of so many seconds: each at least once, in the order of time.

    `details["lasts_s"]` says for how long. Faults of one group do not overlap, and all have ended when the run ends.
    The same chance makes the same schedule.
    """
    rounds = max(1, round(seconds / _EVERY_S / max(1, len(names))))
    found: list[Planned] = []
    for turn in range(rounds):
        for name in chance.sample(list(names), len(names)):
            one = CATALOGUE[name]
            if turn and one.group == "poison":
                continue
            planned = _place(chance, one, seconds, found)
            # In a short run the first turn must not leave one out: it is made shorter until there is room.
            if planned is not None:
                found.append(planned)
    return sorted(found, key=lambda planned: planned.at_s)


def _place(chance: random.Random, one: type[Fault], seconds: float, others: Sequence[Planned]) -> Planned | None:
    details = one.choose(chance)
    if one.group == "poison":
        at = seconds * _FIRST
        return Planned(at, one.name, details | {"lasts_s": max(seconds - at, 0.0)})
    lasts = min(chance.uniform(one.shortest_s, one.longest_s), seconds * _SHARE)
    for tried in range(_TRIES):
        at = chance.uniform(seconds * _FIRST, max(seconds * _LAST - lasts, seconds * _FIRST))
        if not one.group or all(_apart(at, lasts, other) for other in others if _group(other) == one.group):
            return Planned(round(at, 3), one.name, details | {"lasts_s": round(lasts, 3)})
        if tried % 20 == 19:
            lasts *= 0.8
    return None


def _group(planned: Planned) -> str:
    return CATALOGUE[planned.fault].group


def _apart(at: float, lasts: float, other: Planned) -> bool:
    return at + lasts < other.at_s or at > other.at_s + other.details["lasts_s"]
