"""The few statistics that the report needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that a `share` (0 to 1) of all do not exceed. Raises ValueError when there are none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over several runs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError without values."""
        if not values:
            raise ValueError("no values")
        return cls(median(values), min(values), max(values))


def figure(value: float) -> str:
    """A figure with as many places as it deserves: 1,234 · 56.7 · 8.90 · 0.123."""
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{places}f}"
