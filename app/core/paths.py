"""Paths of operations: every value that is put into one is escaped, so that it stays one segment; a list is several."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from app.core.exact import text_of
from app.core.expression_nodes import Literal, Mixed, Node, Segment
from app.core.expression_values import Told
from app.core.expressions import Value
from app.core.sandbox import Omit
from app.core.source import Where


def escaped(path: Value, where: Where) -> Value:
    """The path with its values percent-encoded: "#1004800" and "a/b" arrive as they are."""
    known = path.kept.get("escaped")
    if known is None:
        known = path.kept["escaped"] = Value(_escaped(path.root, where), path.sandbox, path.monotonic)
    made: Value = known
    return made


def _escaped(root: Node, where: Where) -> Node:
    if isinstance(root, Mixed):
        parts = (part if isinstance(part, Literal) else Segment(part, _segments, root.where) for part in root.parts)
        return Mixed(tuple(parts), root.where)
    return root if isinstance(root, Literal) else Segment(root, _segments, where)


def _segments(found: Any) -> str:
    if isinstance(found, (list, tuple)) and found:
        return "/".join(map(_segment, found))
    return _segment(found)


def _segment(found: Any) -> str:
    text = "" if found is None or isinstance(found, Omit) else text_of(found)
    if text in ("", ".", ".."):
        # An empty id would turn "one return" into "all returns", dots would leave the path.
        raise Told(f"{text!r} cannot stand in a path", "the value must not be empty or dots")
    return quote(text, safe="")
