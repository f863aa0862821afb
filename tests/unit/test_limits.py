"""No more of an order line is accepted or refunded than was delivered, whichever lines tell it."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.limits import beyond
from app.model import Change


def fact(name: str, key: str, *, delivered: Any = 1, line: str = "ol-1", **more: Any) -> Change:
    quantity = {} if delivered is None else {"delivered": delivered}
    data = {"line": {"key": key, "order_line": line, "quantity": quantity}, **more}
    return Change(name, f"{name}:{key}", data)


def test_a_line_in_the_place_of_another_is_beyond_what_was_delivered() -> None:
    old, new = fact("refund.started", "a"), fact("refund.started", "b")
    assert beyond([new], [old]) == [new]
    assert beyond([new], []) == []


def test_the_same_fact_again_is_not_counted_twice() -> None:
    old = fact("line.accepted", "a")
    assert beyond([old], [old]) == []


@pytest.mark.parametrize(("delivered", "refused"), [(1, 2), (2, 1), (3, 0), ("3", 0)])
def test_as_many_units_as_were_delivered_are_told(delivered: Any, refused: int) -> None:
    found = [fact("line.accepted", key, delivered=delivered) for key in "abc"]
    assert beyond(found, []) == found[3 - refused :]


def test_quantities_count_with_their_differences() -> None:
    first = fact("line.accepted", "a", delivered=3, quantity=2)
    assert beyond([fact("line.accepted", "b", delivered=3, quantity=1)], [first]) == []
    second = fact("line.accepted", "b", delivered=3, quantity=2)
    assert beyond([second], [first]) == [second]


def test_each_fact_and_each_order_line_has_a_limit_of_its_own() -> None:
    acted = [fact("line.accepted", "a")]
    found = [fact("refund.started", "a"), fact("line.accepted", "b", line="ol-2"), fact("line.rejected", "c")]
    assert beyond(found, acted) == []


def test_without_a_delivered_quantity_or_an_order_line_there_is_no_limit() -> None:
    found = [fact("line.accepted", "b", delivered=None), fact("line.accepted", "c", line="")]
    assert beyond(found, [fact("line.accepted", "a", delivered=None), fact("line.accepted", "d", line="")]) == []


def test_a_line_that_was_accepted_and_then_refunded_is_the_same_goods() -> None:
    acted = [fact("line.accepted", "a", quantity=1)]
    assert beyond([fact("refund.started", "a"), fact("refund.closed", "a")], acted) == []


def test_a_refund_of_a_line_in_the_place_of_an_accepted_one_is_beyond_what_was_delivered() -> None:
    acted, new = [fact("line.accepted", "a", quantity=1)], fact("refund.started", "b")
    assert beyond([new], acted) == [new]
    assert beyond([fact("refund.started", "b", delivered=2)], acted) == []
