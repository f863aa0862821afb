"""Routes against everything that they name."""

from __future__ import annotations

from app.core.arguments import check_arguments
from app.core.changes import ALL_CHANGES, DIFFERS, kind_of
from app.core.connectors import Connection
from app.core.field_check import field_faults
from app.core.jsontext import loads
from app.core.lint_calls import check_calls
from app.core.lint_material import Material
from app.core.reading import Node
from app.core.routing import Route
from app.core.shapes import Shape
from app.core.words import did_you_mean
from app.errors import DataError
from app.model import Json

_A = {"return": "a return", "order": "an order"}


def check(material: Material) -> None:
    """Report what is wrong with the routes."""
    names: dict[str, Node] = {}
    same: dict[tuple[object, ...], str] = {}
    for route, node in material.routes:
        if route.name in names:
            what = f"the route {route.name!r} is given twice, at {names[route.name].where} too"
            node.get("route").report(what, "give it another name", "route")
        names.setdefault(route.name, node)
        twin = (route.changes, route.source, str(node.get("when").value), str(node.get("calls").value))
        if route.name and twin in same:
            node.report(f"the route {route.name!r} does the same as {same[twin]!r}", "remove one of them", "route")
        same.setdefault(twin, route.name)
        _check_match(material, route, node)
        for call in node.get("calls").each():
            check_call(material, call)
        check_calls(material, route, node)


def _check_match(material: Material, route: Route, node: Node) -> None:
    told = node.get("change")
    for change in list(told.each()) if isinstance(told.value, list) else [told]:
        if isinstance(change.value, str) and change.value not in ALL_CHANGES:
            what = f"unknown change {change.value!r}: the route can never match"
            change.report(what, did_you_mean(change.value, ALL_CHANGES), "route")
    if len({kind_of(change) for change in route.changes}) > 1:
        told.report("the changes are of a return and of an order", "make a route for each of the two", "route")
    if node.get("when").value is False:
        node.get("when").report("when is false: the route can never match", "remove the route, or its when", "route")
    source = node.get("source")
    kind = route.kind
    if route.source is not None:
        connection = material.connections.get(route.source)
        if connection is None and route.source not in material.connection_names():
            todo = did_you_mean(route.source, material.connection_names())
            source.report(f"unknown connection {route.source!r}: the route can never match", todo, "route")
        elif connection is not None and not _tells(connection, kind):
            what = f"{route.source!r} never tells of {_A[kind]}: the route can never match"
            source.report(what, f"connector {connection.connector.name} has no inbound for it", "route")
    elif (
        kind in DIFFERS
        and material.connections
        and not any(_tells(each, kind) for each in material.connections.values())
    ):
        node.report(
            f"no connection tells of {_A[kind]}: the route can never match", "add one that has inbound", "route"
        )


def _tells(connection: Connection, kind: str) -> bool:
    inbound = connection.connector.inbound
    return inbound is not None and kind in inbound.types.values()


def check_call(material: Material, node: Node) -> None:
    """Report what is wrong with the `to` and the `mapping` of a call of a route or bridge."""
    to, used = node.get("to"), node.get("mapping")
    mapping = material.mapping_nodes.get(used.text())
    if isinstance(used.value, str) and used.value not in material.mappings:
        if f"mappings/{used.value}.yaml" not in material.broken:
            used.report(f"unknown mapping {used.value!r}", did_you_mean(used.value, material.mappings), "mapping")
    elif mapping and mapping.get("document").given:
        used.report(f"mapping {used.value!r} makes a document, not a request", "name one with body or args", "mapping")
    operation = find_operation(material, to)
    if operation and mapping:
        _check_body(material, used, operation, mapping)
        arguments = mapping.get("args")
        check_arguments(operation, arguments.value if arguments.given else {}, used, f"mapping {used.value}")


def find_operation(material: Material, to: Node) -> Node | None:
    """The operation that "connection.operation" names; None when there is none, which is then reported."""
    name, dot, wanted = to.text().partition(".")
    if not dot:
        return None
    connection = material.connections.get(name)
    if connection is None:
        if name not in material.connection_names():
            to.report(f"unknown connection {name!r}", did_you_mean(name, material.connection_names()), "connection")
        return None
    operations = material.connector_nodes[connection.connector.name].get("operations")
    known = [key for key, _ in operations.items()]
    if wanted not in known:
        what = f"{name!r} (connector {connection.connector.name}) has no operation {wanted!r}"
        to.report(what, did_you_mean(wanted, known), "operation")
        return None
    return operations.get(wanted)


def _check_body(material: Material, used: Node, operation: Node, mapping: Node) -> None:
    """What the mapping writes against the operation's schema: told at the mapping's own lines."""
    schema = _body_schema(material, operation)
    body = mapping.get("body")
    if schema is None:
        return
    if not body.given:
        used.report(f"mapping {used.value!r} makes no body, and {operation.path[-1]} needs one", "add body", "mapping")
        return
    for path, what, todo in field_faults(body.value, Shape.of(schema), f"the body of {operation.path[-1]}"):
        where = body.source.where_key((*body.path, *path))
        mapping.kit.report(where, what, f"{todo} (schema of connector {operation.source.file})", "field")


def _body_schema(material: Material, operation: Node) -> Json:
    told = operation.get("body").value
    folder = operation.source.file.rpartition("/")[0]
    text = material.texts.get(f"{folder}/{told}") if isinstance(told, str) else None
    try:
        return loads(text) if text is not None else None
    except DataError:
        return None  # reported where the operation names it
