"""Whether a fact is still true of a newer picture."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.changes import ALL_CHANGES, DIFFERS
from app.core.holding import _TESTS, holds
from app.core.jsontext import dump_text, loads
from app.model import Change

LINE = {"key": "l1", "quantity": {"announced": 3, "received": 3, "accepted": 2}}
FULL: dict[str, Any] = {
    "id": "ro-1",
    "source": "shop",
    "state": "approved",
    "parcels": [{"id": "p1", "state": "labelled"}],
    "lines": [LINE],
}


def with_line(**parts: Any) -> dict[str, Any]:
    return {**FULL, "lines": [{**LINE, **parts}]}


def fact(name: str, before: Any, after: Any, kind: str = "return") -> Change:
    (found,) = (change for change in DIFFERS[kind](before, after) if change.name == name)
    return found


def test_every_change_has_its_test() -> None:
    assert set(_TESTS) == set(ALL_CHANGES)
    assert not holds(Change("return.unheard_of", "return.unheard_of"), FULL)


@pytest.mark.parametrize("name", ["return.registered", "return.approved", "return.labelled"])
@pytest.mark.parametrize("state", ["rejected", "cancelled"])
def test_what_opens_something_holds_until_the_return_has_ended(name: str, state: str) -> None:
    change = fact(name, None, FULL)
    assert holds(change, FULL) and not holds(change, {**FULL, "state": state})


def test_an_approval_holds_in_later_states_and_not_without_any() -> None:
    change = fact("return.approved", None, FULL)
    assert holds(change, {**FULL, "state": "decided"})
    assert not holds(change, {**FULL, "state": "requested"})
    assert not holds(change, {"id": "ro-1", "source": "shop"})


@pytest.mark.parametrize("state", ["rejected", "cancelled"])
def test_an_end_holds_while_it_is_shown(state: str) -> None:
    change = fact(f"return.{state}", FULL, {**FULL, "state": state})
    assert holds(change, {**FULL, "state": state}) and not holds(change, FULL)


def test_quantities_hold_as_long_as_they_are_reached() -> None:
    change = fact("line.accepted", None, FULL)
    assert holds(change, with_line(quantity={"accepted": 3}))
    assert not holds(change, with_line(quantity={"accepted": 1}))
    assert not holds(change, {**FULL, "lines": []})


def test_a_change_holds_as_it_comes_back_from_the_ledger() -> None:
    change = fact("line.accepted", None, with_line(quantity={"accepted": "1.50"}))
    stored = Change(change.name, change.key, loads(dump_text(change.data)))
    assert holds(stored, with_line(quantity={"accepted": "1.5"}))
    assert not holds(stored, with_line(quantity={"accepted": "1.4"}))


@pytest.mark.parametrize(
    ("name", "shown", "still", "no_more"),
    [
        ("parcel.labelled", "labelled", "delivered", "failed"),
        ("parcel.delivered", "delivered", "delivered", "in_transit"),
        ("parcel.failed", "failed", "failed", "labelled"),
    ],
)
def test_a_parcel_holds_by_its_state(name: str, shown: str, still: str, no_more: str) -> None:
    def parcel(state: str) -> dict[str, Any]:
        return {**FULL, "parcels": [{"id": "p1", "state": state}]}

    change = fact(name, None, parcel(shown))
    assert holds(change, parcel(still)) and not holds(change, parcel(no_more))
    assert not holds(change, {**FULL, "parcels": [{"id": "p2", "state": shown}]})


def test_a_refund_holds_by_its_state_and_amount() -> None:
    started, closed = with_line(refund={"state": "started", "amount": "1.00"}), with_line(refund={"state": "closed"})
    change = fact("refund.started", None, started)
    assert holds(change, closed) and not holds(change, with_line(refund={"state": "none"})) and not holds(change, FULL)
    assert not holds(fact("refund.closed", None, closed), started)
    more = with_line(refund={"state": "started", "amount": "2.00"})
    assert holds(fact("refund.changed", started, more), more)
    assert not holds(fact("refund.changed", started, more), started)
    withdrawn = fact("refund.withdrawn", closed, started)
    assert holds(withdrawn, started) and not holds(withdrawn, closed)


def test_a_reversal_holds_until_the_decision_is_back() -> None:
    change = fact("line.reversed", FULL, with_line(quantity={"accepted": 1}))
    assert holds(change, with_line(quantity={"accepted": 0})) and holds(change, {**FULL, "lines": []})
    assert not holds(change, FULL)
    turned = fact("line.reversed", {**FULL, "lines": [{"key": "l1", "state": "accepted"}]}, with_line(state="received"))
    assert not holds(turned, {**FULL, "lines": [{"key": "l1", "state": "accepted"}]})
    removed = fact("line.removed", FULL, {**FULL, "lines": []})
    assert holds(removed, {**FULL, "lines": []}) and not holds(removed, FULL)


def test_an_order_holds_until_it_is_cancelled_and_what_is_delivered_until_it_comes_back() -> None:
    order: dict[str, Any] = {"id": "o", "source": "shop", "state": "placed", "lines": [{"key": "1", "delivered": 2}]}
    cancelled = {**order, "state": "cancelled"}
    placed, gone = fact("order.placed", None, order, "order"), fact("order.cancelled", order, cancelled, "order")
    assert holds(placed, order) and not holds(placed, cancelled)
    assert holds(gone, cancelled) and not holds(gone, order)
    delivered = fact("line.delivered", None, order, "order")
    assert holds(delivered, order) and not holds(delivered, {**order, "lines": [{"key": "1", "delivered": 1}]})


states = st.sampled_from(["requested", "approved", "rejected", "cancelled", "in_transit", "decided", "closed"])
counts = st.integers(0, 3)
lines = st.lists(
    st.builds(
        lambda key, accepted, rejected, refund: {
            "key": key,
            "quantity": {"announced": 3, "received": 3, "accepted": accepted, "rejected": rejected},
            "refund": {"state": refund},
        },
        st.sampled_from("ab"),
        counts,
        counts,
        st.sampled_from(["none", "started", "closed"]),
    ),
    max_size=2,
    unique_by=lambda one: one["key"],
)
pictures = st.builds(lambda state, of: {"id": "r", "source": "s", "state": state, "lines": of}, states, lines)


@given(st.none() | pictures, pictures)
def test_what_is_new_in_a_picture_holds_in_it_unless_the_return_has_ended(before: Any, after: Any) -> None:
    for change in DIFFERS["return"](before, after):
        ended = after["state"] in ("rejected", "cancelled")
        assert holds(change, after) or (ended and change.name == "return.registered"), change
