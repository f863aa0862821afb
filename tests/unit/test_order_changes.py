"""What is new in an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.files import schemas
from app.core.changes import ALL_CHANGES, DIFFERS, RETURN_CHANGES, kind_of
from app.core.documents import Breach, broken_laws
from app.core.jsontext import dump_text, loads
from app.core.order_changes import ORDER_CHANGES, delivered, order_changes
from app.core.validation import SchemaValidator
from app.model import Change


def an_order(**parts: Any) -> dict[str, Any]:
    return {"id": "o-1", "number": "#1", "source": "shop", "version": 1, "state": "placed", "lines": [line()], **parts}


def line(**parts: Any) -> dict[str, Any]:
    return {"key": "1", "sku": "00123", "quantity": 3, **parts}


def keys(before: Any, after: Any) -> list[str]:
    return [change.key for change in order_changes(before, after)]


def test_an_order_seen_first_is_placed_whatever_its_state() -> None:
    assert keys(None, an_order()) == ["order.placed"]
    assert keys(None, an_order(state="cancelled")) == ["order.placed", "order.cancelled"]


def test_the_same_order_under_a_new_version_says_nothing_new() -> None:
    assert keys(an_order(), an_order(version=2)) == []
    assert keys(an_order(), an_order(updated_at="2026-11-22T01:02:03Z", version=None)) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"state": "shipped"},
        {"lines": [line(quantity=2)]},
        {"lines": [line(state="cancelled")]},
        {"lines": [line(), line(key="2")]},
        {"lines": []},
        {"ship_to": {"city": "Kiel"}},
        {"totals": {"gross": "19.90", "currency": "EUR"}},
    ],
)
def test_an_order_that_looks_different_is_changed(parts: dict[str, Any]) -> None:
    after = an_order(version=2, **parts)
    assert SchemaValidator(schemas()["order"]).errors(after) == []
    assert keys(an_order(), after) == [f"order.changed:v{2:030d}"]


def test_an_order_that_is_what_it_was_before_is_changed_again() -> None:
    one, other = an_order(), an_order(version=2, number="#2")
    assert (
        len({*keys(one, other), *keys(other, an_order(version=3)), *keys(one, an_order(version=4, number="#2"))}) == 3
    )


def test_without_a_version_the_content_tells_changes_apart_in_any_order_of_its_fields() -> None:
    before = an_order(version=None)
    after = an_order(version=None, customer={"city": "Kiel", "name": "A"}, totals={"gross": "1"})
    other = {name: loads(dump_text(after[name])) for name in reversed(after)}
    other["customer"] = {"name": "A", "city": "Kiel"}
    assert keys(before, after) == keys(before, other)
    assert keys(before, after) != keys(before, an_order(version=None, number="#2"))


def test_cancelling_alone_is_no_other_change_and_going_on_after_it_is_one() -> None:
    cancelled = an_order(state="cancelled", version=2)
    assert keys(an_order(), cancelled) == ["order.cancelled"]
    assert keys(cancelled, an_order(version=3)) == [f"order.changed:v{3:030d}"]


def test_what_is_delivered_travels_as_a_difference() -> None:
    before = an_order(lines=[line(delivered=1)])
    (change,) = order_changes(before, an_order(version=2, lines=[line(delivered=3)]))
    assert (change.name, change.key) == ("line.delivered", "line.delivered:1:3")
    assert (change.data["quantity"], change.data["total"]) == (2, 3)


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        ({}, 0),
        ({"state": "shipped"}, 0),
        ({"state": "delivered"}, 3),
        ({"state": "delivered", "quantity": "1.50"}, Decimal("1.5")),
        ({"state": "delivered", "delivered": 2}, 2),
        ({"delivered": "2"}, 2),
    ],
)
def test_a_delivered_line_is_delivered_whole_unless_it_says_how_many(parts: dict[str, Any], count: Any) -> None:
    assert delivered(line(**parts)) == count


def test_a_delivered_line_without_quantity_is_one_item() -> None:
    assert delivered({"key": "1", "state": "delivered"}) == 1


def test_more_delivered_than_ordered_breaks_a_law() -> None:
    found = list(broken_laws("order", an_order(lines=[line(delivered=4), line(key="2", delivered=3)])))
    assert found == [Breach("delivered:1:4>3", "line 1: delivered 4 of 3 ordered")]


def test_of_the_facts_that_one_picture_tells_one_is_the_first() -> None:
    lines = [line(delivered=2), line(key="2", delivered=3)]
    for before, after in [
        (None, an_order(lines=lines, state="cancelled")),
        (an_order(), an_order(version=2, state="delivered", lines=lines)),
        (an_order(lines=[line(), line(key="2")]), an_order(version=2, lines=lines)),
    ]:
        told = [change.data["first"] for change in order_changes(before, after)]
        assert told == [True] + [False] * (len(told) - 1) and len(told) > 1


growing = st.lists(st.integers(0, 3), min_size=3, max_size=3).map(sorted)


@given(growing, st.sets(st.integers(0, 1)))
def test_skipped_pictures_add_up_to_the_same_delivered_items(totals: list[int], skipped: set[int]) -> None:
    before, fired = None, Decimal(0)
    for number, total in enumerate(totals):
        if number in skipped:
            continue
        after = an_order(version=number, lines=[line(delivered=total)])
        fired += sum(change.data["quantity"] for change in order_changes(before, after) if "quantity" in change.data)
        before = after
    assert fired == totals[-1]


def test_every_change_has_one_kind_and_a_shape_for_what_it_holds() -> None:
    assert not RETURN_CHANGES.keys() & ORDER_CHANGES.keys()
    assert {kind_of(name) for name in ORDER_CHANGES} == {"order"}
    assert {kind_of(name) for name in RETURN_CHANGES} == {"return"}
    assert set(DIFFERS) == {"return", "order"} and len(ALL_CHANGES) == len(RETURN_CHANGES) + len(ORDER_CHANGES)
    shape = schemas()["order"]["$defs"]["change"]
    cancelled = an_order(state="cancelled", version=2, number="#2", lines=[line(delivered=1)])
    pairs = [(None, cancelled), (an_order(), an_order(number="#2"))]
    found: list[Change] = [change for before, after in pairs for change in order_changes(before, after)]
    assert {change.name for change in found} == set(ORDER_CHANGES)
    for change in found:
        told = {**change.data, "name": change.name, "key": change.key}
        assert SchemaValidator({**shape, "$defs": schemas()["order"]["$defs"]}).errors(told) == []
