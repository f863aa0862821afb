"""Times, durations, sizes and rates as people write them in YAML and vendors send them in JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|KB|MB|GB)?", re.IGNORECASE)
_SIZES = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")
# "[Europe/Berlin]" behind an offset repeats what the offset says; Java clients send it.
_ZONE_NAME = re.compile(r"\[[A-Za-z0-9_+\-/]+\]$")
_FRACTION = re.compile(r"(\.\d{6})\d+")


def seconds(text: str | int | float) -> float:
    """The seconds in "250ms", "20s", "5m", "2h", "1d"; a bare number is seconds. Raises ValueError."""
    found = _DURATION.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"{text!r} is no duration: write a number with ms, s, m, h or d, for example 30s")
    return float(found[1]) * _UNITS[found[2] or "s"]


def interval(text: str | int | float) -> float:
    """The seconds in a duration as `seconds` takes it, or infinity for "off". Raises ValueError."""
    if str(text).strip() == "off":
        return float("inf")
    try:
        found = seconds(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write how often, for example 1d, or not at all: off") from None
    if found < 60:
        raise ValueError(f"{text!r} is too often: write a minute or more, for example 1d, or off")
    return found


def retention(text: str | int | float) -> float:
    """The seconds in a duration as `seconds` takes it, or infinity for "keep". Raises ValueError."""
    if str(text).strip() == "keep":
        return float("inf")
    try:
        found = seconds(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time to keep: write days, for example 90d, or keep for ever: keep") from None
    if found <= 0:
        raise ValueError(f"{text!r} keeps nothing: write days, for example 90d")
    return found


def size(text: str | int) -> int:
    """The bytes in "2MiB", "64KB" or a bare number. Raises ValueError."""
    found = _SIZE.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"{text!r} is no size: write a number with KiB, MiB or GiB, for example 2MiB")
    return int(found[1]) * _SIZES[(found[2] or "B").lower()]


def rate(text: str | int | float) -> float:
    """Calls per second in "10/s", "150/m" or "1000/h". Raises ValueError."""
    found = _RATE.fullmatch(str(text).strip())
    if not found or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is no rate: write calls per s, m or h, for example 10/s")
    return float(found[1]) / _UNITS[found[2]]


def parse_time(text: str) -> datetime:
    """An aware UTC time from ISO 8601 as vendors write it; without an offset it counts as UTC. Raises ValueError.

    Takes minutes without seconds, any number of fraction digits, a date alone (midnight), and a zone name in
    brackets behind an offset.
    """
    cleaned = _FRACTION.sub(r"\1", _ZONE_NAME.sub("", text.strip()))
    moment = datetime.fromisoformat(cleaned)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside of all calendars") from None


def iso(moment: datetime) -> str:
    """The time as "2026-11-22T01:02:03.004Z": UTC, milliseconds, always the same length, so that it sorts as text."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
