"""Routes listen to changes: those of the right name, source and condition, in the order of the file."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.expressions import Where, compile_value
from app.core.routing import Route, change_view, match
from app.errors import DataError
from app.model import Change

WHERE = Where("config/routes.yaml", 1)
LABELLED = Change("return.labelled", "return.labelled")


def route(name: str, change: str = "return.labelled", source: str | None = None, when: Any = None) -> Route:
    compiled = None
    if when is not None:
        compiled = compile_value(when, where=WHERE, names=["return", "order", "change", "source", "raw"])
    return Route(name, (change,), WHERE, source, compiled)


def matched(*routes: Route, change: Change = LABELLED, body: Any = None, source: str = "shop") -> list[str]:
    return [found.name for found in match(routes, change, body or {"market": "EU"}, source)]


def test_a_change_takes_every_route_that_fits_in_the_order_of_the_file() -> None:
    assert matched(route("b"), route("a"), route("c", change="return.decided")) == ["b", "a"]


def test_a_source_and_a_condition_narrow_a_route() -> None:
    routes = [route("other", source="shop2"), route("same", source="shop")]
    routes += [route("eu", when="{{ return.market == 'EU' }}"), route("us", when="{{ return.market == 'US' }}")]
    routes += [route("never", when=False), route("from", when="{{ source == 'shop' }}")]
    assert matched(*routes) == ["same", "eu", "from"]


def test_a_condition_sees_the_change_with_its_data() -> None:
    change = Change("parcel.labelled", "parcel.labelled:1", {"parcel": {"id": "1"}, "first": False})
    wanted = route("r", "parcel.labelled", when="{{ not change.first and change.parcel.id == '1' }}")
    assert matched(wanted, change=change) == ["r"]
    assert change_view(change)["name"] == "parcel.labelled"


def test_a_condition_that_cannot_be_told_is_an_error_that_names_the_route() -> None:
    with pytest.raises(DataError, match=r"route r: when: return\.market is missing"):
        matched(route("r", when="{{ return.market == 'EU' }}"), body={"id": "1"})


def test_an_order_is_called_order() -> None:
    change = Change("order.placed", "order.placed")
    wanted = route("r", "order.placed", when="{{ order.market == 'EU' }}")
    assert matched(wanted, change=change) == ["r"]
