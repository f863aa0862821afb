"""The calls of a route against each other and the route's source: answers, restarts, confirmation."""

from __future__ import annotations

import re

from app.core.arguments import texts_in
from app.core.lint_material import Material
from app.core.reading import Node
from app.core.routing import Route, RouteCall
from app.model import Json

#: `answers[1].state`, `answers[-1]`, but not what sees through a missing one: `answers[1].id | default(none)`.
_ANSWER = re.compile(r"\banswers\[\s*(-?[0-9]+)\s*\](?![\w.\[\]'\"-]*\s*\|\s*default\b)")
#: The name `change` in an expression, not the key or attribute of something else.
_CHANGE = re.compile(r"\{\{.*(?<![\w.'\"])change\.", re.DOTALL)


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
    _check_settle(material, route, node)


def _check_answers(at: Node, value: Json, step: int, who: str) -> None:
    before = "no call comes" if step == 0 else f"only {step} call{'s come' if step > 1 else ' comes'}"
    for number in sorted({int(found) for text in texts_in(value) for found in _ANSWER.findall(text)}):
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
    kind = route.kind
    for name, connection in sorted(material.connections.items()):
        inbound = connection.connector.inbound
        if inbound is None or kind not in inbound.types.values() or route.source not in (None, name):
            continue
        if inbound.read is None:
            what = f"{name!r} cannot be asked again: connector {connection.connector.name} has no inbound.read"
            todo = "add it there, name another source, or take confirm away"
            node.get("confirm").report(what, todo, "route")


def _check_settle(material: Material, route: Route, node: Node) -> None:
    settle, cap = node.get("settle"), node.get("settle_cap")
    if route.settle_s is None:
        if cap.given:
            cap.report("settle_cap without settle caps nothing", "say settle, or take settle_cap away", "route")
        return
    if route.settle_s[1] < route.settle_s[0]:
        cap.report("settle_cap is shorter than settle", "make it longer", "route")
    if route.order == "free":
        settle.report("settle wants the order that order: free gives up", "take one of them away", "route")
    for call, told in zip(route.calls, node.get("calls").each(), strict=True):
        mapping = material.mapping_nodes.get(call.mapping)
        parts = [mapping.get(key).value for key in ("split", "references", "args", "body")] if mapping else []
        if any(_CHANGE.search(text) for text in texts_in([*parts, told.get("when").value])):
            what = f"{call.mapping!r} reads `change`, and what a merged change told would be lost"
            told.get("mapping").report(what, "make the call of the whole picture, or take settle away", "route")
