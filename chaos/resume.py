"""How soon work went on after each fault: from its end to the next thing that took effect anywhere."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos.fault_kit import Fault
from chaos.plan import Recorded, Try, Violation

#: Longer than this nobody should have to wait.
MOST_S = 30.0


@dataclass(slots=True)
class Resumes:
    """After each fault (by `id`) how many seconds it took, where there was anything to do; the longest of them."""

    after: dict[int, float] = field(default_factory=dict)
    longest_s: float = 0.0
    violations: list[Violation] = field(default_factory=list)


def resumes(
    faults: Sequence[Fault], tries: Sequence[Try], recorded: Sequence[Recorded], stream_ended: float
) -> Resumes:
    """Measure it. Only faults that ended while vendors were sending are judged: later there may be nothing to do.

    Where another fault had begun before one ended, the time counts from the end of all of them; where one begins before
    anything took effect, the time that it lasts does not count.
    """
    found = Resumes()
    effects = sorted(one.ended_at for one in recorded if one.effect and one.ended_at)
    sent = sorted(one.at for one in tries)
    # Poison lasts for the whole run, and stops only what touches it.
    lasting = [fault for fault in faults if fault.group != "poison"]
    for fault in lasting:
        ended = _all_over(fault, lasting)
        if ended is None or ended > stream_ended or bisect_right(sent, ended) == len(sent):
            continue
        place = bisect_right(effects, ended)
        after = _quiet_s(ended, effects[place], lasting) if place < len(effects) else float("inf")
        found.after[id(fault)] = round(after, 2)
        found.longest_s = max(found.longest_s, after)
        if after > MOST_S:
            what = f"after {fault.name} nothing took effect for {after:.1f} s, which must be less than {MOST_S:.0f} s"
            found.violations.append(Violation("resume", what))
    return found


def _all_over(fault: Fault, faults: Sequence[Fault]) -> float | None:
    """When this fault and all that overlap it, directly or through others, had ended."""
    ended = fault.ended_at
    for other in sorted((one for one in faults if one.began_at is not None), key=lambda one: one.began_at or 0.0):
        began, over = other.began_at, other.ended_at
        if ended is not None and began is not None and over is not None and began <= ended < over:
            ended = over
    return ended


def _quiet_s(since: float, until: float, faults: Sequence[Fault]) -> float:
    """Seconds of a time in which no fault was under way."""
    quiet = 0.0
    for fault in sorted((one for one in faults if one.began_at is not None), key=lambda one: one.began_at or 0.0):
        began, over = fault.began_at or 0.0, fault.ended_at or until
        quiet += max(0.0, min(began, until) - since)
        since = max(since, min(over, until))
    return quiet + max(0.0, until - since)
