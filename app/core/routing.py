"""Which routes a change takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.core.expressions import Value, Where
from app.model import Change, Json


@dataclass(frozen=True, slots=True)
class RouteCall:
    """One call of a route."""

    connection: str
    operation: str
    mapping: str


@dataclass(frozen=True, slots=True)
class Route:
    """When this change, make these calls."""

    name: str
    change: str
    where: Where
    source: str | None = None  # only from this connection
    when: Value | None = None  # bool; names: return, order, change, source
    calls: tuple[RouteCall, ...] = ()
    order: Literal["per_return", "free"] = "per_return"


def match(routes: Sequence[Route], change: Change, document_body: Json, source: str) -> list[Route]:
    """The routes that the change takes, in the order of the file. Raises `DataError` when a `when` cannot be told."""
    kind = "order" if change.name.startswith("order.") else "return"
    context = {kind: document_body, "change": change_view(change), "source": source}
    return [
        route
        for route in routes
        if route.change == change.name
        and route.source in (None, source)
        and (route.when is None or bool(route.when.render(context, f"route {route.name}: when")))
    ]


def change_view(change: Change) -> dict[str, Json]:
    """The change as expressions see it: `change.name`, `change.key` and its data."""
    return {**(change.data or {}), "name": change.name, "key": change.key}
