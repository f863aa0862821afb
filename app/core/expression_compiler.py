"""From a YAML node to compiled parts, with every fault on the way reported at its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from jinja2 import TemplateSyntaxError, nodes

from app.core.expression_nodes import Chosen, Each, Expression, Items, Literal, Mixed, Node, Object
from app.core.inspection import Fault, Vocabulary, exact, faults, shape_of, spell
from app.core.sandbox import parse_one
from app.core.shapes import Shape
from app.core.source import Path, Where
from app.core.template_text import TemplateFault, take_apart
from app.core.words import did_you_mean
from app.model import Json, Problem

Names = Mapping[str, Shape | None]
WORDS = ("$each", "$as", "$do", "$if")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = ("omit", "loop", "true", "false", "none", "not", "and", "or", "in", "is", "if", "else")
_LOOP = Shape.keys(("index", "first", "last", "length"))


class Compiler:
    """Compiles one YAML node; faults go to `problems`."""

    def __init__(self, words: Vocabulary, locate: Callable[[Path, bool], Where], problems: list[Problem]) -> None:
        self._words, self._locate, self._problems = words, locate, problems

    def compile(self, node: Json, path: Path, names: Names) -> Node:
        """The compiled part for the node at `path`."""
        if isinstance(node, str):
            return self._text(node, path, names)
        if isinstance(node, list):
            return Items(tuple(self.compile(item, (*path, index), names) for index, item in enumerate(node)))
        if isinstance(node, dict):
            return self._mapping(node, path, names)
        return Literal(node)

    def _text(self, text: str, path: Path, names: Names) -> Node:
        try:
            pieces = take_apart(text)
            if len(pieces) == 2 and not pieces[1].text.strip("\n"):
                # A block scalar ends with a line break that nobody means.
                pieces.pop()
        except TemplateFault as fault:
            return self._faulty(path, str(fault))
        parts: list[Node] = []
        for piece in pieces:
            parts.append(self._expression(piece.text, path, names) if piece.is_expression else Literal(piece.text))
        if not parts:
            return Literal("")
        return parts[0] if len(parts) == 1 else Mixed(tuple(parts), self._locate(path, False))

    def _expression(self, text: str, path: Path, names: Names) -> Node:
        try:
            tree = _tree(text)
        except TemplateSyntaxError as error:
            return self._faulty(path, f"{{{{ {text} }}}} is no expression: {error.message}")
        found = list(dict.fromkeys(faults(tree, names, self._words)))
        for fault in found:
            self._report(path, fault)
        if found:
            return Literal(None)
        return Expression(text, tree, self._locate(path, False), spell(tree))

    def _mapping(self, node: dict[str, Json], path: Path, names: Names) -> Node:
        reserved = [key for key in node if key.startswith("$") and not key.startswith("$$")]
        unknown = [key for key in reserved if key not in WORDS]
        for key in unknown:
            self._report((*path, key), Fault(f"unknown word {key!r}", did_you_mean(key, WORDS)), key=True)
        if unknown:
            return Literal(None)
        if "$each" in node:
            return self._each(node, path, names)
        if "$as" in node:
            self._report((*path, "$as"), Fault("'$as' needs $each beside it"), key=True)
        condition = self.compile(node["$if"], (*path, "$if"), names) if "$if" in node else None
        if "$do" in node:
            self._only(node, ("$if", "$do"), path)
            if condition is None:
                return self._faulty(path, "'$do' needs $each or $if beside it")
            return Chosen(condition, self.compile(node["$do"], (*path, "$do"), names))
        fields = []
        for key, value in node.items():
            if key in reserved:
                continue
            if "{{" in key:
                self._report((*path, key), Fault("a key cannot be an expression", "write the key as it is"), key=True)
            name = key.removeprefix("$") if key.startswith("$$") else key
            fields.append((name, self.compile(value, (*path, key), names)))
        return Object(tuple(fields), condition)

    def _each(self, node: dict[str, Json], path: Path, names: Names) -> Node:
        self._only(node, WORDS, path)
        each = self.compile(node["$each"], (*path, "$each"), names)
        name = node.get("$as")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
            return self._faulty((*path, "$as") if "$as" in node else path, _NO_NAME if name else _NO_AS)
        if name in names:
            return self._faulty((*path, "$as"), f"the name {name!r} is taken: choose another for $as")
        if "$do" not in node:
            return self._faulty(path, "'$each' needs $do beside it: what to make of each item")
        shape = shape_of(each.tree, names) if isinstance(each, Expression) else None
        inner = {**names, name: shape.item() if shape else None, "loop": _LOOP}
        condition = self.compile(node["$if"], (*path, "$if"), inner) if "$if" in node else None
        return Each(each, name, self.compile(node["$do"], (*path, "$do"), inner), condition, self._locate(path, False))

    def _only(self, node: dict[str, Json], words: tuple[str, ...], path: Path) -> None:
        for key in node:
            if key not in words and key not in WORDS:
                self._report(
                    (*path, key), Fault(f"{key!r} cannot stand beside {words[0]}", "put it under $do"), key=True
                )

    def _faulty(self, path: Path, text: str) -> Node:
        what, _, todo = text.partition(": ") if not text.startswith("{{ ") else (text, "", "")
        self._report(path, Fault(what, todo))
        return Literal(None)

    def _report(self, path: Path, fault: Fault, *, key: bool = False) -> None:
        where = self._locate(path, key)
        self._problems.append(Problem(where.file, where.line, where.column, fault.what, fault.todo, "expression"))


@lru_cache(maxsize=4096)
def _tree(text: str) -> nodes.Expr:
    # Many expressions are written more than once, nobody changes a tree, and parsing is the most of reading a site.
    return exact(parse_one(text))


_NO_AS = "'$each' needs $as beside it: a name for the item"
_NO_NAME = "'$as' takes a name: small letters, digits and _, no word of the language"
