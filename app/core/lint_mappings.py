"""Mappings and references against each other, the tables and the connections."""

from __future__ import annotations

from app.core.arguments import check_arguments
from app.core.lint_material import Material
from app.core.lint_routes import find_operation
from app.core.reading import Node
from app.core.reference_reader import table_name
from app.core.words import did_you_mean

Key = tuple[str, str, str]


def check(material: Material) -> None:
    """Report what is wrong with mappings and references."""
    known = {reference.key for reference, _ in material.references}
    wanted, in_use = material.used_references(), material.used_mappings()
    for name, node in material.mapping_nodes.items():
        for _, use in node.get("references").items():
            key = (use.get("kind").text(), use.get("from").text(), use.get("to").text())
            if key not in known and all(key) and not _some_broken(material) and material.matters(node, name in in_use):
                _unknown_reference(use, key, known)
    for reference, node in material.references:
        if material.matters(node, reference.key in wanted):
            _check_steps(material, node)


def _some_broken(material: Material) -> bool:
    return any(file.startswith("mappings/references/") for file in material.broken)


def _unknown_reference(use: Node, key: Key, known: set[Key]) -> None:
    spoken = {_spoken(each): each for each in known}
    what = f"no file in mappings/references/ translates {_spoken(key)}"
    use.report(what, did_you_mean(_spoken(key), spoken) if known else "add one", "reference")


def _spoken(key: Key) -> str:
    return f"{key[0]} from {key[1]} to {key[2]}"


def _check_steps(material: Material, node: Node) -> None:
    last = len(node.get("steps").value or ()) - 1 if isinstance(node.get("steps").value, list) else -1
    for index, step in enumerate(node.get("steps").each()):
        table = step.get("table")
        if isinstance(table.value, str) and table_name(table.value) not in material.tables:
            todo = did_you_mean(table_name(table.value), material.tables) + " (files in mappings/tables/)"
            table.report(f"unknown table {table.value!r}", todo, "table")
        lookup = step.get("lookup")
        if lookup.given:
            operation = find_operation(material, lookup.get("operation"))
            arguments = lookup.get("with")
            if operation:
                check_arguments(operation, arguments.value if arguments.given else {}, lookup, "the lookup")
        if step.get("derive").given and index < last:
            step.report("derive always answers: the steps behind it are never tried", "put it last", "reference")
