"""Looks through an expression's syntax tree: what is wrong with it before it ever runs, and what was missing after."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from app.core.sandbox import Missing, Scope
from app.core.shapes import Shape
from app.core.words import did_you_mean

#: What Python or plain Jinja would call, and what the language offers instead.
_INSTEAD = {
    "startswith": "write `x is startswith('…')`",
    "endswith": "write `x is endswith('…')`",
    "strip": "use the filter `trim`",
    "get": "write `x.key | default(…)`",
    "append": "use `+` to join two lists",
    "format": "join texts with ~",
    "zfill": "use the filter `zero_pad`",
    "removeprefix": "use the filter `strip_prefix`",
    "removesuffix": "use the filter `strip_suffix`",
    "range": "loop over a list with $each",
    "values": "use the filter `items`",
    "keys": "use the filter `items`",
}
_ALLOWED = (
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Getitem,
    nodes.Getattr,
    nodes.Slice,
    nodes.Concat,
    nodes.Compare,
    nodes.Operand,
    nodes.BinExpr,
    nodes.UnaryExpr,
)
#: Filters whose result has the shape of what they are given.
_SAME_SHAPE = {"where", "sort", "unique", "reverse", "selectattr", "rejectattr", "select", "reject", "list", "default"}
_BY_NAME = {"map", "select", "reject"}
_SEES_MISSING = {"default"}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What expressions may use: filters and tests by name, tables by name."""

    filters: Collection[str]
    tests: Collection[str]
    tables: Collection[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in an expression."""

    what: str
    todo: str = ""


#: How many comparisons `a < b < c …` may have: each stands within the one before in the code that they become.
MAX_IN_A_ROW = 10
#: The filter that `~` becomes. Nobody can write its name.
GLUE = "~"


class _Exact(NodeTransformer):
    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        # Jinja's own `~` writes null as "None".
        parts = [self.visit(part) for part in node.nodes]
        return nodes.Filter(nodes.List(parts, lineno=1), GLUE, [], [], None, None, lineno=1)


def exact(tree: nodes.Expr) -> nodes.Expr:
    """The tree with Jinja's inexact parts replaced by exact ones."""
    replaced: nodes.Expr = _Exact().visit(tree)
    return replaced


def faults(tree: nodes.Expr, names: Mapping[str, Shape | None], words: Vocabulary) -> Iterator[Fault]:
    """Everything in the expression that is not allowed, not known or does not exist."""
    for node in _walk(tree):
        if isinstance(node, nodes.Call):
            yield _call(node, words)
        elif not isinstance(node, _ALLOWED):
            yield Fault(f"{type(node).__name__.lower()} is not part of the language")
        elif isinstance(node, nodes.Name):
            if node.name not in names and node.name != "omit":
                yield Fault(f"unknown name {node.name!r}", did_you_mean(node.name, [*names, "omit"]))
        elif isinstance(node, nodes.Const) and isinstance(node.value, float):
            yield Fault(f"{node.value} would be inexact", "write it as text and turn it: '0.5' | decimal")
        elif isinstance(node, nodes.Tuple) and any(isinstance(item, nodes.Slice) for item in node.items):
            yield Fault("a slice stands alone in its brackets", "write x[1:3]")
        elif isinstance(node, nodes.Compare) and len(node.ops) > MAX_IN_A_ROW:
            yield Fault(f"more than {MAX_IN_A_ROW} comparisons in a row", "join them with and")
        elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
            yield Fault("an inline if needs an else", "write `… if … else omit`")
        elif isinstance(node, nodes.Pow):
            yield Fault("** is not part of the language")
        elif isinstance(node, nodes.Filter):
            yield from _filter(node, words)
        elif isinstance(node, nodes.Test) and node.name not in words.tests:
            yield Fault(f"unknown test 'is {node.name}'", did_you_mean(node.name, words.tests))
        elif isinstance(node, (nodes.Getattr, nodes.Getitem)):
            yield from _field(node, names)


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    yield tree
    for child in tree.iter_child_nodes():
        # The name of what is called is told by the call itself.
        if not (isinstance(tree, nodes.Call) and child is tree.node and isinstance(child, nodes.Name)):
            yield from _walk(child)


def _call(node: nodes.Call, words: Vocabulary) -> Fault:
    called = node.node
    name = called.attr if isinstance(called, nodes.Getattr) else getattr(called, "name", "")
    instead = _INSTEAD.get(name) or (f"use the filter: x | {name}" if name in words.filters else "use a filter")
    return Fault(f"{name or 'an expression'}(…) calls something, and nothing can be called", instead)


def _filter(node: nodes.Filter, words: Vocabulary) -> Iterator[Fault]:
    first = node.args[0] if node.args else None
    word = first.value if isinstance(first, nodes.Const) else None
    if node.name not in words.filters and node.name != GLUE:
        yield Fault(f"unknown filter {node.name!r}", did_you_mean(node.name, words.filters))
    elif node.name == "table" and isinstance(word, str) and word not in words.tables:
        yield Fault(f"unknown table {word!r}", did_you_mean(word, words.tables) + " (files in mappings/tables/)")
    elif node.name in _BY_NAME and isinstance(word, str):
        known = words.filters if node.name == "map" else words.tests
        if word not in known:
            kind = "filter" if node.name == "map" else "test"
            yield Fault(f"unknown {kind} {word!r} in {node.name}(…)", did_you_mean(word, known))


def _field(node: nodes.Getattr | nodes.Getitem, names: Mapping[str, Shape | None]) -> Iterator[Fault]:
    key, parent = _key(node), shape_of(node.node, names)
    fields = parent.fields() if parent else None
    if not isinstance(key, str) or fields is None:
        return
    if key not in fields:
        yield Fault(f"{spell(node.node) or 'it'} has no {key!r}", did_you_mean(key, fields))
    elif fields[key].get("x-secret"):
        yield Fault(f"{spell(node)} is a secret: it may be used in auth and verify only", "send it by an auth scheme")


def shape_of(tree: nodes.Node, names: Mapping[str, Shape | None]) -> Shape | None:
    """What an expression gives, as far as it is known."""
    if isinstance(tree, nodes.Name):
        return names.get(tree.name)
    if isinstance(tree, (nodes.Getattr, nodes.Getitem)):
        parent, key = shape_of(tree.node, names), _key(tree)
        if parent is None or key is None:
            return None
        return parent.key(key) if isinstance(key, str) else parent.item()
    if isinstance(tree, nodes.Filter) and tree.node is not None:
        inner = shape_of(tree.node, names)
        if tree.name in ("first", "last"):
            return inner.item() if inner else None
        return inner if tree.name in _SAME_SHAPE else None
    return None


def spell(tree: nodes.Node | None) -> str:
    """A plain look-up such as `return.lines[0].sku` as it is written; "" for anything else."""
    if isinstance(tree, nodes.Name):
        return tree.name
    if isinstance(tree, (nodes.Getattr, nodes.Getitem)):
        parent, key = spell(tree.node), _key(tree)
        if parent and isinstance(key, str):
            return f"{parent}.{key}"
        if parent and isinstance(key, int):
            return f"{parent}[{key}]"
    return ""


def what_is_missing(tree: nodes.Node, scope: Scope) -> str:
    """The first look-up of the expression that leads nowhere, with where it stopped; "" when none does."""
    if isinstance(tree, nodes.Filter) and tree.name in _SEES_MISSING:
        return ""
    if isinstance(tree, nodes.Test) and tree.name in ("defined", "undefined"):
        return ""
    if isinstance(tree, (nodes.Name, nodes.Getattr, nodes.Getitem)) and spell(tree):
        return _stopped_at(tree, scope)
    found = (what_is_missing(child, scope) for child in tree.iter_child_nodes())
    return next((text for text in found if text), "")


def _stopped_at(tree: nodes.Node, scope: Scope) -> str:
    chain: list[nodes.Node] = []
    node: Any = tree
    while not isinstance(node, nodes.Name):
        chain.append(node)
        node = node.node
    value: Any = scope.parent.get(node.name, Missing(name=node.name))
    known = scope.aliases.get(node.name, node.name)
    if isinstance(value, Missing):
        return f"{known} is missing"
    for step in reversed(chain):
        key = _key(step)
        if value is None:
            return f"{known} is null"
        value = scope.environment.getitem(value, key)
        known += f".{key}" if isinstance(key, str) else f"[{key}]"
        if isinstance(value, Missing):
            return f"{known} is missing"
    return ""


def _key(node: nodes.Node) -> str | int | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        key = node.arg.value
        return key if isinstance(key, (str, int)) and not isinstance(key, bool) else None
    return None
