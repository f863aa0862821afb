"""`mappings/references/*.yaml` to `ReferenceFile`s."""

from __future__ import annotations

from pathlib import PurePosixPath

from app.core.expressions import Value
from app.core.reading import Node
from app.core.references import Derive, Lookup, ReferenceFile, Step, Stored, Table


def read_reference(node: Node) -> ReferenceFile:
    """The reference file."""
    missing = node.get("missing").text()
    return ReferenceFile(
        kind=node.get("reference").text(),
        from_system=node.get("from").text(),
        to_system=node.get("to").text(),
        steps=tuple(step for item in node.get("steps").each() for step in _step(item)),
        where=node.where,
        scope=node.get("scope").optional(),
        missing="retry" if missing == "retry" else "fail" if missing == "fail" else "park",
    )


def _step(node: Node) -> list[Step]:
    if node.get("table").given:
        return [Table(table_name(node.get("table").text()))]
    if node.get("stored").given:
        return [Stored()]
    if node.get("derive").given:
        return [Derive(node.get("derive").template())]
    if node.get("lookup").given:
        lookup = node.get("lookup")
        connection, _, operation = lookup.get("operation").text().partition(".")
        return [Lookup(connection, operation, _arguments(lookup), lookup.get("take").template())]
    return []


def table_name(told: str) -> str:
    """The name of a table from its file: `tables/orders.csv` is `orders`."""
    return PurePosixPath(told).stem if told.endswith((".csv", ".yaml", ".yml")) else PurePosixPath(told).name


def _arguments(lookup: Node) -> Value:
    told = lookup.get("with")
    return told.template() if told.given else lookup.kit.environment.compile_value({}, where=lookup.where, names=())
