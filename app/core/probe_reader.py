"""The `probe:` of an operation: how to look at the target whether what a call would do is done."""

from __future__ import annotations

from app.core.connectors import Probe
from app.core.expression_compiler import Names
from app.core.mapping_reader import DELIVERY
from app.core.reading import Node


def read_probe(node: Node, shapes: Names) -> Probe | None:
    """The probe; None where there is none. `shapes` tell what the connector's names hold."""
    if not node.given:
        return None
    shapes = {**shapes, "delivery": DELIVERY}
    told = node.get("with")
    return Probe(
        operation=node.get("operation").text(),
        args=told.template(shapes)
        if told.given
        else node.kit.environment.compile_value({}, where=node.where, names=()),
        found=node.get("found").template(shapes),
        before=node.get("before").flag(),
        answer=node.get("answer").optional(shapes),
        unclear=node.get("unclear").optional(shapes),
    )
