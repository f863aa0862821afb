"""Which routes a change takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.changes import kind_of
from app.core.expressions import Value, Where
from app.model import Change, Json


@dataclass(frozen=True, slots=True)
class RouteCall:
    """One call of a route."""

    connection: str
    operation: str
    mapping: str
    when: Value | None = None  # bool; names: return, order, change, source, raw, answers, settings, delivery


@dataclass(frozen=True, slots=True)
class RouteTest:
    """A case beside a route; `given` and `expect` are as written."""

    name: str
    given: Mapping[str, Json]
    expect: Mapping[str, Json]
    where: Where


@dataclass(frozen=True, slots=True)
class Route:
    """When this change, make these calls."""

    name: str
    changes: tuple[str, ...]  # any of them; all of one kind of document
    where: Where
    source: str | None = None  # only from this connection
    when: Value | None = None  # bool; names: return, order, change, source
    calls: tuple[RouteCall, ...] = ()
    order: Literal["per_return", "free"] = "per_return"
    confirm: bool = False  # the source is asked again just before the first call
    settle_s: tuple[float, float] | None = None  # waits so long for newer pictures, one call for all; and at most
    tests: tuple[RouteTest, ...] = ()

    @property
    def kind(self) -> str:
        """The kind of document whose changes it takes."""
        return kind_of(self.changes[0])


def match(routes: Sequence[Route], change: Change, document_body: Json, source: str) -> list[Route]:
    """The routes that the change takes, in the order of the file. Raises `DataError` when a `when` cannot be told."""
    return [route for route in routes if takes(route, change, document_body, source)]


def takes(route: Route, change: Change, document_body: Json, source: str) -> bool:
    """Whether a change takes the route. Raises `DataError` when its `when` cannot be told."""
    if change.name not in route.changes or route.source not in (None, source):
        return False
    if route.when is None:
        return True
    names = {kind_of(change.name): document_body, "change": change_view(change), "source": source}
    return bool(route.when.render(names, f"route {route.name}: when"))


def wanted(call: RouteCall, number: int, names: Mapping[str, Any]) -> bool:
    """Whether a route's call (`number` counts from 1) is to be made. Raises `DataError` when that cannot be told."""
    return call.when is None or bool(call.when.render(names, f"calls[{number - 1}].when"))


def lane_after(routes: Sequence[Route], name: str, step: int) -> str:
    """The connection that a route calls after its call at `step`; "" when there is none, or no such route any more."""
    route = next((route for route in routes if route.name == name), None)
    following = route.calls[step + 1 :] if route else ()
    return following[0].connection if following else ""


def delivery_view(delivery_id: str, key: str) -> dict[str, Json]:
    """The delivery as expressions see it; `key` is the idempotency key of the current call."""
    return {"id": delivery_id, "key": key}


def change_view(change: Change) -> dict[str, Json]:
    """The change as expressions see it: `change.name`, `change.key` and its data."""
    return {**(change.data or {}), "name": change.name, "key": change.key}
