"""What the sources share: the credentials of config/demo.yaml, times, signatures, and moments within a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import yaml

from app.core.signatures import sign

_ROOT = Path(__file__).parent.parent.parent
#: Where every vendor's own time begins.
_EPOCH = datetime(2026, 11, 20, 10, tzinfo=UTC)

Headers = Callable[[datetime], Mapping[str, str]]


@cache
def _simulators() -> dict[str, Any]:
    told = yaml.safe_load((_ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    return dict(told["simulators"])


def demo_env(simulator: str, name: str) -> str:
    """A value of the environment that config/demo.yaml gives the hub for a simulator."""
    return str(_simulators()[simulator]["env"][name])


def signed(scheme: Mapping[str, Any], body: bytes) -> Headers:
    """The headers of a message: signed for the time of sending."""
    return lambda now: {"Content-Type": "application/json", **sign(dict(scheme), body, now)}


def written(message: Any) -> bytes:
    """A message as vendors send it."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def moment(step: float) -> str:
    """The vendor's time so many minutes after its beginning, as ISO 8601 with milliseconds."""
    return (_EPOCH + timedelta(minutes=step)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def first_number(names: str) -> int:
    """Where the numbers of a plan begin, so that plans of other names have others."""
    return 1 + crc32(names.encode()) % 9_000 * 100_000


class Times:
    """Moments of a stream of `seconds`: objects begin anywhere in it, some of them together in bursts."""

    def __init__(self, random: Random, seconds: float) -> None:
        self._random, self._seconds = random, seconds
        self._bursts = [random.uniform(0, seconds * 0.8) for _ in range(max(1, int(seconds / 10)))]

    def begin(self) -> float:
        """When an object's first message is sent."""
        if self._random.random() < 0.3:
            return self._random.choice(self._bursts)
        return self._random.uniform(0, self._seconds * 0.85)

    def later(self, at_s: float, least: float = 0.0, most: float = 3.0) -> float:
        """A moment after that, within the stream."""
        return min(self._seconds, at_s + self._random.uniform(least, most))
