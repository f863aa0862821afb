"""`config/bridges.yaml`, and the `bridge` block of a connector."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.bridges import DEADLINE_S, Bridge, BridgeDoor, Empty
from app.core.config_reader import read_test
from app.core.connectors import Connection
from app.core.expression_compiler import Names
from app.core.mapping_reader import DELIVERY
from app.core.reading import Node
from app.core.routing import RouteCall
from app.core.shapes import Shape


def read_door(node: Node) -> BridgeDoor | None:
    """The `bridge` block of a connector, None where there is none."""
    if not node.given:
        return None
    verify = node.get("verify")
    return BridgeDoor(
        verify=verify.value if isinstance(verify.value, dict) else {},
        error=node.get("errors").get("body").optional(),
    )


def read_bridges(node: Node, connections: Mapping[str, Connection]) -> list[tuple[Bridge, Node]]:
    """The bridges with the places they were read from."""
    return [(_bridge(item, connections), item) for item in node.get("bridges").each()]


def _bridge(node: Node, connections: Mapping[str, Connection]) -> Bridge:
    source = node.get("source").text()
    return Bridge(
        name=node.get("bridge").text(),
        source=source,
        path=node.get("path").text().strip("/"),
        where=node.where,
        calls=tuple(_call(item, connections) for item in node.get("calls").each()),
        answer=node.get("answer").text(),
        deadline_s=node.get("deadline").seconds(DEADLINE_S),
        once=node.get("once").optional(),
        empty=_empty(node.get("empty"), _settings(connections, source)),
        trace=tuple(item.template() for item in node.get("trace").each()),
        tests=tuple(read_test(case) for case in node.get("tests").each()),
    )


def _call(node: Node, connections: Mapping[str, Connection]) -> RouteCall:
    connection, _, operation = node.get("to").text().partition(".")
    shapes = {**_settings(connections, connection), "delivery": DELIVERY}
    return RouteCall(connection, operation, node.get("mapping").text(), node.get("when").optional(shapes))


def _empty(node: Node, shapes: Names) -> Empty | None:
    if not node.given:
        return None
    return Empty(node.get("status").whole(200), node.get("body").optional(shapes))


def _settings(connections: Mapping[str, Connection], name: str) -> dict[str, Shape | None]:
    """What `settings` holds; a secret is none of it."""
    found = connections.get(name)
    if found is None:
        return {}
    specs = found.connector.settings
    shown = {key: {"x-secret": spec.secret} for key, spec in specs.items()}
    return {"settings": Shape.of({"properties": shown, "additionalProperties": False})}
