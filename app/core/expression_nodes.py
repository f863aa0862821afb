"""The parts of a compiled value: what stands in the file, for `app.core.expression_code` to make a function of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from app.core.source import Where
from app.model import Json


@dataclass(frozen=True, slots=True)
class Literal:
    """A scalar without expressions, as it stands in the file."""

    value: Json


@dataclass(frozen=True, slots=True)
class Expression:
    """One `{{ … }}` that keeps its type."""

    text: str
    tree: nodes.Expr
    where: Where
    spelt: str  # a plain look-up as it is written, else ""


@dataclass(frozen=True, slots=True)
class Mixed:
    """Text with expressions in it: always text."""

    parts: tuple[Node, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Segment:
    """A value within a path. `escape` makes text of it, or raises `Refused` or `Told`."""

    part: Node
    escape: Callable[[Any], str]
    where: Where


@dataclass(frozen=True, slots=True)
class Object:
    """A mapping; with `condition` it is left out when that does not hold."""

    fields: tuple[tuple[str, Node], ...]
    condition: Node | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """A list as it is written."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """`$if` with `$do`: the value, or left out."""

    condition: Node
    do: Node


@dataclass(frozen=True, slots=True)
class Each:
    """`$each`, `$as`, `$do` and perhaps `$if`: one value for each item of a list."""

    each: Node
    name: str
    do: Node
    condition: Node | None
    where: Where


Node = Literal | Expression | Mixed | Segment | Object | Items | Chosen | Each


def may_be_left_out(node: Node) -> bool:
    """Whether the part can come to nothing, so that its field or item is not there."""
    if isinstance(node, Expression):
        return names_omit(node.tree)
    return isinstance(node, Chosen) or (isinstance(node, Object) and node.condition is not None)


def names_omit(tree: nodes.Node) -> bool:
    """Whether the expression names `omit`."""
    if isinstance(tree, nodes.Name):
        return tree.name == "omit"
    return any(map(names_omit, tree.iter_child_nodes()))
