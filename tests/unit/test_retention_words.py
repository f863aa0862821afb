"""How long contents are kept is said in the files; the clock goes round and round, a little at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.connectors import Connection, Connector
from app.core.masking import Masker
from app.core.schema_check import FileSchema
from app.core.site import Hub, Site
from app.core.source import Where
from app.core.times import retention
from app.errors import LedgerUnavailable
from app.pipeline.retention import KINDS, PAUSE_S, ROUND_S, Retention, keeping
from tests.support import HandClock


class Rows:
    """A ledger of five rows of each kind, of which each look takes two."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.away = False

    def expire(self, kind: str, after: Any, keeps: Any, mask: Any, most: int) -> tuple[int | None, int]:
        if self.away:
            raise LedgerUnavailable("away")
        self.asked.append((kind, after))
        row = (after or 0) + 2
        return (row, 2) if row <= 5 else (None, 0)


def test_the_round_goes_through_every_kind_with_a_pause_between(clock: HandClock) -> None:
    rows = Rows()
    walk = Retention(rows, clock, lambda _: 1.0, Masker().value)
    assert walk.look() == 2 and walk.look() == 0
    for _ in range(14):
        clock.move(PAUSE_S)
        walk.look()
    assert rows.asked == [(kind, after) for kind in KINDS for after in (None, 2, 4)]
    clock.move(ROUND_S - 1)
    assert walk.look() == 0 and len(rows.asked) == 15
    clock.move(1)
    assert walk.look() == 2 and rows.asked[-1] == ("events", None)


def test_after_an_outage_the_round_goes_on_where_it_was(clock: HandClock) -> None:
    rows = Rows()
    walk = Retention(rows, clock, lambda _: 1.0, Masker().value)
    walk.look()
    clock.move(PAUSE_S)
    rows.away = True
    with pytest.raises(LedgerUnavailable):
        walk.look()
    rows.away = False
    walk.look()
    assert rows.asked == [("events", None), ("events", 2)]


@pytest.mark.parametrize(
    ("hub", "own", "kept"), [(90.0, None, 90.0), (90.0, 5.0, 5.0), (90.0, math.inf, None), (math.inf, None, None)]
)
def test_a_connection_says_how_long_and_else_the_hub_does(hub: float, own: float | None, kept: float | None) -> None:
    connector = Connector("shop", folder=None, where=Where("", 0, 0))  # type: ignore[arg-type]
    connection = Connection("shop", connector, Where("", 0, 0), "shop", retention_s=own)
    site: Any = Site(None, "", {}, Hub(retention_s=hub), {}, {"shop": connection}, {}, {}, {}, ())  # type: ignore[arg-type]
    keeps: Callable[[str], float | None] = keeping(site)
    assert keeps("shop") == kept and keeps("gone") == (None if hub == math.inf else hub)


@pytest.mark.parametrize(("said", "seconds"), [("90d", 7_776_000), ("keep", math.inf), ("36h", 129_600), (60, 60)])
def test_the_words_for_how_long(said: Any, seconds: float) -> None:
    assert retention(said) == seconds


@pytest.mark.parametrize("said", ["", "0d", 0, "for ever", "-1d", "90 days", "nan"])
def test_other_words_are_refused_with_what_to_write(said: Any) -> None:
    with pytest.raises(ValueError, match="for example 90d"):
        retention(said)


def test_ninety_days_where_nothing_is_said() -> None:
    assert Hub().retention_s == retention("90d")
    assert FileSchema({"x-format": "retention"}) is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["email", "sku", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_JSON, st.text("abcdefgh", min_size=4, max_size=9))
def test_what_names_a_person_is_what_is_hidden_by_its_key(value: Any, name: str) -> None:
    masker = Masker()
    assert name in set(masker.persons({"lines": [value, {"customer": {"name": name, "of age": True, "note": " "}}]}))
    assert name not in set(masker.persons({"sku": name}))
    assert set(masker.persons(masker.value(value))) <= {"***"} | set()
