"""How long the fuzzing goes on, what counts as a hang, and the values that it is done with.

`BACKHAUL_FUZZ=20000 .venv/bin/python -m pytest tests/fuzz` tries so many inputs in each test; without the variable it
is as many as the profile of hypothesis says (tests/conftest.py).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_WANTED = int(os.environ.get("BACKHAUL_FUZZ", "0"))
#: What goes over each fuzz test. How long an input takes is no matter of hypothesis here: see `ends`.
fuzz = settings(
    max_examples=_WANTED or settings.default.max_examples,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
#: Whatever takes longer than this for one small input hangs, however busy the machine is.
LONGEST_S = 30


class Hangs(BaseException):
    """One input kept it busy for too long. No `Exception`, so that nothing takes it for a fault of the input."""


@contextmanager
def ends() -> Iterator[None]:
    """What is done meanwhile must come to an end."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hangs(f"more than {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


#: Words that mean something to somebody on the way.
WORDS = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "-0",
            "00123",
            "12E4",
            "1e999",
            "1_000",
            "0x10",
            "-1",
            "4.10",
            "NaN",
            "Infinity",
            "null",
            "true",
        ),
        *("2026-11-22T01:02:03Z", "2026-02-30", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "soon"),
        *("EUR", "JPY", "id", "data", "items", "error", "a.b", "__class__", "{{ x }}", "%s", "{0}", "<b>", "\0", "\n"),
        *("\ud800", "é", "\u0661", "²", "\u2028", "🙂", "x" * 300, "9" * 400, "../..", "'", '"', "\\"),
    ]
)
TEXTS = WORDS | st.text(max_size=20)
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 10**15, 10**30, -(10**400), 2**63, 2**64]),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.sampled_from([Decimal("1E+400"), Decimal("1E-400"), Decimal("-0.0"), Decimal("1" * 50 + ".5")]),
)


def json_values(keys: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[Any]:
    """Whatever JSON can hold, as the hub holds it."""
    return st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
        max_leaves=15,
    )
