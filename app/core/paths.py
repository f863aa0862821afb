"""Paths of operations: every value that is put into one is escaped, so that it stays one segment; a list is several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.core.exact import Refused, text_of
from app.core.expression_nodes import Literal, Mixed, Node, RenderFault
from app.core.expressions import Value
from app.core.sandbox import Omit, Scope
from app.core.source import Where


@dataclass(frozen=True, slots=True)
class _Segment:
    """An expression within a path."""

    part: Node
    where: Where

    def render(self, scope: Scope) -> Any:
        found = self.part.render(scope)
        if isinstance(found, (list, tuple)) and found:
            return "/".join(self._escaped(one) for one in found)
        return self._escaped(found)

    def _escaped(self, found: Any) -> str:
        try:
            text = "" if found is None or isinstance(found, Omit) else text_of(found)
        except Refused as error:
            raise RenderFault(f"{error.what}, within a path", error.todo, self.where) from None
        if text in ("", ".", ".."):
            # An empty id would turn "one return" into "all returns", dots would leave the path.
            raise RenderFault(f"{text!r} cannot stand in a path", "the value must not be empty or dots", self.where)
        return quote(text, safe="")


def escaped(path: Value, where: Where) -> Value:
    """The path with its values percent-encoded: "#1004800" and "a/b" arrive as they are."""
    root = path.root
    if isinstance(root, Mixed):
        parts = tuple(part if isinstance(part, Literal) else _Segment(part, root.where) for part in root.parts)
        return Value(Mixed(parts, root.where), path.sandbox, path.monotonic)
    if isinstance(root, Literal):
        return path
    return Value(_Segment(root, where), path.sandbox, path.monotonic)
