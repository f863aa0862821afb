"""Files of test cases that are not there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from app.core.lint_material import Material
from app.core.reading import Node


def check(material: Material) -> None:
    """Report what test cases name and nobody has."""
    routes = [*(node for _, node in material.routes), *(node for _, node in material.bridges)]
    for node in [*material.mapping_nodes.values(), *material.test_nodes.values(), *routes]:
        folder = posixpath.dirname(node.source.file)
        for told in _named_files(node):
            places = [posixpath.normpath(posixpath.join(folder, told.text())), posixpath.normpath(told.text())]
            if not any(material.exists(place) for place in places):
                told.report(
                    f"there is no file {told.text()!r}", f"it is looked for in {folder}/ and in the site", "file"
                )


def _named_files(node: Node) -> Iterator[Node]:
    if not node.shape.schema:
        return  # nothing is known of it, nor of what is in it
    if isinstance(node.value, str) and isinstance(node.shape.schema, dict) and node.shape.schema.get("x-file"):
        yield node
    for _, item in node.items():
        yield from _named_files(item)
    for item in node.each():
        yield from _named_files(item)
