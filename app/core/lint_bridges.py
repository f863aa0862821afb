"""Bridges against everything that they name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from app.core.bridges import Bridge
from app.core.lint_material import Material
from app.core.lint_routes import check_call
from app.core.mapping_reader import KINDS
from app.core.outcomes import is_safe
from app.core.reading import Kit, Node
from app.core.words import did_you_mean

#: What a route's mapping starts from, and a bridge's has not.
_ROUTES_ONLY = (*KINDS, "change", "source", "raw")
_ANSWER_LACKS = (*_ROUTES_ONLY, "delivery", "refs")


def check(material: Material) -> None:
    """Report what is wrong with the bridges, and mappings of routes that ask for what only a bridge has."""
    names: set[str] = set()
    paths: dict[tuple[str, str], str] = {}
    for bridge, node in material.bridges:
        if bridge.name in names:
            node.get("bridge").report(f"the bridge {bridge.name!r} is given twice", "give it another name", "bridge")
        names.add(bridge.name)
        twin = paths.setdefault((bridge.source, bridge.path), bridge.name)
        if twin != bridge.name:
            what = f"the bridge {bridge.name!r} has the address of {twin!r}"
            node.get("path").report(what, "give it another path", "bridge")
        _check_bridge(material, bridge, node)
    _check_routes(material)


def _check_bridge(material: Material, bridge: Bridge, node: Node) -> None:
    source, connection = node.get("source"), material.connections.get(bridge.source)
    if connection is None and bridge.source and bridge.source not in material.connection_names():
        todo = did_you_mean(bridge.source, material.connection_names())
        source.report(f"unknown connection {bridge.source!r}: nobody can ask", todo, "connection")
    elif connection is not None and connection.connector.bridge is None:
        what = f"connector {connection.connector.name} does not say how a question is verified: nobody can ask"
        source.report(what, "give it bridge: {verify: {scheme: …}}", "bridge")
    if bridge.deadline_s <= 0:
        node.get("deadline").report("no call can be made in no time", "write a time such as 8s", "bridge")
    for call in node.get("calls").each():
        check_call(material, call)
        mapping = material.mapping_nodes.get(call.get("mapping").text())
        if mapping is not None and not mapping.get("document").given:
            _check_names(call.get("mapping"), mapping, _ROUTES_ONLY, "request, answers, settings, delivery and refs")
            if mapping.get("split").given:
                what = f"mapping {call.get('mapping').value!r} splits, and a bridge makes one request a call"
                call.get("mapping").report(what, "name one without split", "mapping")
    _check_answer(material, node.get("answer"))
    if bridge.once is None:
        _check_safe(material, bridge, node)


def _check_answer(material: Material, used: Node) -> None:
    if not isinstance(used.value, str) or f"mappings/{used.value}.yaml" in material.broken:
        return
    mapping = material.mapping_nodes.get(used.value)
    if mapping is None:
        used.report(f"unknown mapping {used.value!r}", did_you_mean(used.value, material.mapping_nodes), "mapping")
        return
    more = [key for key in ("document", "args", "references", "split") if mapping.get(key).given]
    if more or not mapping.get("body").given:
        what = f"{more[0]!r} is not for an answer" if more else "it makes no body"
        used.report(f"mapping {used.value!r} cannot make an answer: {what}", "name one with body alone", "mapping")
        return
    _check_names(used, mapping, _ANSWER_LACKS, "request, answers and settings")


def _check_names(used: Node, mapping: Node, lacking: Collection[str], there: str) -> None:
    """Report names that the mapping may use, but not here: told at the mapping's own lines."""
    kit = Kit(mapping.kit.environment, [])
    parts = [mapping.get("args"), mapping.get("body"), *(use.get("id") for _, use in mapping.get("references").items())]
    for part in parts:
        replace(part, kit=kit).optional(hide=lacking)
    for problem in kit.problems:
        if any(problem.what == f"unknown name {name!r}" for name in lacking):
            name = problem.what.split("'")[1]
            what = f"{name!r} is not there in mapping {used.value!r}: {used.source.file} uses it for a bridge"
            mapping.kit.problems.append(replace(problem, what=what, todo=f"there are {there}"))


def _check_safe(material: Material, bridge: Bridge, node: Node) -> None:
    for call in bridge.calls:
        connection = material.connections.get(call.connection)
        operation = connection.connector.operations.get(call.operation) if connection else None
        if operation is not None and not is_safe(operation):
            what = f"{call.connection}.{call.operation} changes something, and who asks again would change it again"
            todo = "add once: what tells questions apart; or safe: true to the operation, if it only looks"
            node.report(f"bridge {bridge.name!r}: {what}", todo, "bridge")
            return


def _check_routes(material: Material) -> None:
    asked = {call.mapping for bridge, _ in material.bridges for call in bridge.calls}
    used = {call.mapping for route, _ in material.routes for call in route.calls} - asked
    for name in sorted(used):
        mapping = material.mapping_nodes.get(name)
        # One that begins with a document has no `request` anyway: its reader says so.
        if mapping is None or name.partition(".")[0] in KINDS:
            continue
        kit = Kit(mapping.kit.environment, [])
        for key in ("args", "body"):
            replace(mapping.get(key), kit=kit).optional(hide=("request",))
        for problem in kit.problems:
            if problem.what == "unknown name 'request'":
                what = f"'request' is not there in mapping {name!r}: a route uses it, and only bridges are asked"
                mapping.kit.problems.append(replace(problem, what=what, todo="use return, order or change"))
