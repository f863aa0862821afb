"""The calls of a route against each other and the route's source: answers, restarts, confirmation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.core.changes import kind_of
from app.core.lint_material import Material
from app.core.reading import Node
from app.core.routing import Route, RouteCall
from app.model import Json

#: `answers[1].state`, `answers[-1]`, but not what sees through a missing one: `answers[1].id | default(none)`.
_ANSWER = re.compile(r"\banswers\[\s*(-?[0-9]+)\s*\](?![\w.\[\]'\"-]*\s*\|\s*default\b)")


def check_calls(material: Material, route: Route, node: Node) -> None:
    """Report what is wrong with the calls of a route, each read as `node` of the file."""
    for step, (call, told) in enumerate(zip(route.calls, node.get("calls").each(), strict=True)):
        when = told.get("when")
        if when.value is False:
            when.report("when is false: the call is never made", "remove the call, or its when", "route")
        _check_answers(when, when.value, step, "it")
        mapping = material.mapping_nodes.get(call.mapping)
        if mapping is not None:
            texts = [mapping.get(key).value for key in ("references", "args", "body")]
            _check_answers(told.get("mapping"), texts, step, f"mapping {call.mapping!r}")
        if len(route.calls) == 1 and _may_restart(material, call):
            told.get("to").report(
                f"an answer of {call.operation!r} begins the delivery again, and the route has no other call",
                "let a call before it read anew, or say outcome: retry",
                "route",
            )
    _check_confirm(material, route, node)


def _check_answers(at: Node, value: Json, step: int, who: str) -> None:
    before = "no call comes" if step == 0 else f"only {step} call{'s come' if step > 1 else ' comes'}"
    for number in sorted({int(found) for text in _texts(value) for found in _ANSWER.findall(text)}):
        if number >= step or -number > step:
            what = f"{who} reads answers[{number}], and {before} before this one"
            at.report(what, "answers[0] is the answer of the first call", "answer")


def _may_restart(material: Material, call: RouteCall) -> bool:
    connection = material.connections.get(call.connection)
    operation = connection.connector.operations.get(call.operation) if connection else None
    return operation is not None and any(rule.outcome == "restart" for rule in operation.responses)


def _check_confirm(material: Material, route: Route, node: Node) -> None:
    if not route.confirm:
        return
    kind = kind_of(route.change)
    for name, connection in sorted(material.connections.items()):
        inbound = connection.connector.inbound
        if inbound is None or kind not in inbound.types.values() or route.source not in (None, name):
            continue
        if inbound.read is None:
            what = f"{name!r} cannot be asked again: connector {connection.connector.name} has no inbound.read"
            todo = "add it there, name another source, or take confirm away"
            node.get("confirm").report(what, todo, "route")


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
