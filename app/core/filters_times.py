"""Filters that calculate with times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.core.exact import Refused, shown, text_of
from app.core.filter_kit import Example, Filter
from app.core.times import iso, parse_time, seconds


def _shift_time(value: Any, by: str) -> str:
    text = text_of(by)
    try:
        wait = timedelta(seconds=seconds(text.removeprefix("-")))
    except (ValueError, OverflowError):
        raise Refused(f"{shown(by)} is no duration", "write it like 90s, 5m, 2h, 1d or -1d") from None
    try:
        moment = parse_time(text_of(value))
    except ValueError:
        raise Refused(f"{shown(value)} is no time", "times are written like 2026-11-22T01:02:03Z") from None
    try:
        return iso(moment - wait if text.startswith("-") else moment + wait)
    except OverflowError:
        raise Refused(f"{shown(value)} moved by {text} is no time that a calendar has") from None


FILTERS = (
    Filter(
        "shift_time",
        "shift_time(by)",
        "A time moved by a duration, backwards when it begins with a minus; UTC with milliseconds.",
        _shift_time,
        (
            Example("'2026-11-22T01:02:03Z' | shift_time('-1s')", "2026-11-22T01:02:02.000Z"),
            Example("'2026-12-31' | shift_time('1d')", "2027-01-01T00:00:00.000Z"),
            Example("'2026-11-22' | shift_time('soon')", fails="is no duration"),
        ),
    ),
)
