"""The compiled parts of a value. Each renders itself in a scope; a fault gathers its path on the way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from jinja2 import TemplateError, UndefinedError, nodes

from app.core.exact import Refused, kind_of, shown, text_of
from app.core.inspection import what_is_missing
from app.core.sandbox import OMIT, Missing, Omit, Scope
from app.core.source import Where
from app.errors import UnknownWord
from app.model import Json

#: How deep lists and objects may be nested in what is made.
MAX_DEPTH = 100


_SCALARS = frozenset({int, bool, type(None), Decimal, Omit})
_FAULTS = (
    *(UnknownWord, Refused, TemplateError),
    *(TypeError, ValueError, LookupError, ArithmeticError, RecursionError),
)


class RenderFault(Exception):
    """A value could not be rendered. `steps` is the path from the fault outwards, so innermost first."""

    def __init__(self, what: str, todo: str, where: Where, word: bool = False) -> None:
        self.what, self.todo, self.where, self.word = what, todo, where, word
        self.steps: list[str] = []
        super().__init__(what)


class Node(Protocol):
    """A compiled part of a value."""

    def render(self, scope: Scope) -> Any:
        """The part's value; `OMIT` when it is left out. Raises `RenderFault`."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A scalar without expressions, as it stands in the file."""

    value: Json

    def render(self, scope: Scope) -> Any:
        """The scalar."""
        scope.budget.spend(len(self.value) if isinstance(self.value, str) else 0)
        return self.value


@dataclass(frozen=True, slots=True)
class Expression:
    """One `{{ … }}` that keeps its type."""

    text: str
    tree: nodes.Expr
    evaluate: Callable[[Scope], Any]
    where: Where
    spelt: str  # a plain look-up as it is written, else ""

    def render(self, scope: Scope) -> Any:
        """What the expression gives, as JSON has it."""
        try:
            found = self.evaluate(scope)
            kind = type(found)
            if kind is str:
                scope.budget.spend(len(found))
                return found
            if kind in _SCALARS:
                scope.budget.spend(0)
                return found
            if kind is dict or kind is list:
                spend = scope.budget.spend_on if self.spelt else scope.budget.spend_on_new
                if spend(found):
                    return found
            plain = _plain(found, 0)
            scope.budget.spend_on_new(plain)
            return plain
        except _FAULTS as error:
            raise self._fault(error, scope) from None

    def items(self, scope: Scope) -> Any:
        """`render` for what is only gone through: a list of the message is not measured before its items are."""
        if self.spelt:
            try:
                found = self.evaluate(scope)
            except _FAULTS as error:
                raise self._fault(error, scope) from None
            if type(found) is list:
                return found
        return self.render(scope)

    def _fault(self, error: Exception, scope: Scope) -> RenderFault:
        if isinstance(error, UnknownWord):
            return RenderFault(error.what, error.todo, self.where, word=True)
        if isinstance(error, Refused):
            return RenderFault(f"{error.what} in {{{{ {self.text} }}}}", error.todo, self.where)
        if isinstance(error, UndefinedError):
            what = what_is_missing(self.tree, scope) or f"{error} in {{{{ {self.text} }}}}"
            return RenderFault(what, "correct its source, or give a default: {{ … | default(…) }}", self.where)
        what = f"{{{{ {self.text} }}}} cannot be worked out: {error or type(error).__name__}"
        return RenderFault(what, "", self.where)


def _plain(value: Any, depth: int) -> Json:
    """The value as JSON has it. A missing part raises Jinja's error."""
    if isinstance(value, Missing):
        str(value)
    if value is None or isinstance(value, (bool, int, Decimal, Omit)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, datetime):
        return text_of(value)
    if depth > MAX_DEPTH:
        raise Refused("nested too deeply")
    if isinstance(value, dict):
        made = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise Refused(f"the key {shown(key)} is no text", "keys of objects are text")
            plain = _plain(item, depth + 1)
            if not isinstance(plain, Omit):
                made[key] = plain
        return made
    if isinstance(value, (list, tuple)):
        return [item for item in (_plain(item, depth + 1) for item in value) if not isinstance(item, Omit)]
    raise Refused(f"{kind_of(value)} cannot be sent")


@dataclass(frozen=True, slots=True)
class Mixed:
    """Text with expressions in it: always text."""

    parts: tuple[Node, ...]
    where: Where

    def render(self, scope: Scope) -> str:
        """The whole text."""
        made = []
        for part in self.parts:
            found = part.render(scope)
            if isinstance(found, Omit):
                raise RenderFault("omit within a text", "let the whole value be one {{ … }}", self.where)
            try:
                made.append(text_of(found))
            except Refused as error:
                raise RenderFault(f"{error.what}, within a text", error.todo, self.where) from None
        return "".join(made)


@dataclass(frozen=True, slots=True)
class Object:
    """A mapping; with `condition` it is left out when that does not hold."""

    fields: tuple[tuple[str, Node], ...]
    condition: Node | None = None

    def render(self, scope: Scope) -> Any:
        """The object without omitted fields."""
        if self.condition is not None and not holds(self.condition, scope):
            return OMIT
        made: dict[str, Any] = {}
        for key, node in self.fields:
            try:
                found = node.render(scope)
            except RenderFault as fault:
                fault.steps.append(f".{key}")
                raise
            if found is not OMIT:
                made[key] = found
        return made


@dataclass(frozen=True, slots=True)
class Items:
    """A list as it is written."""

    nodes: tuple[Node, ...]

    def render(self, scope: Scope) -> list[Any]:
        """The list without omitted items."""
        made = []
        for index, node in enumerate(self.nodes):
            try:
                found = node.render(scope)
            except RenderFault as fault:
                fault.steps.append(f"[{index}]")
                raise
            if found is not OMIT:
                made.append(found)
        return made


@dataclass(frozen=True, slots=True)
class Chosen:
    """`$if` with `$do`: the value, or left out."""

    condition: Node
    do: Node

    def render(self, scope: Scope) -> Any:
        """The value when the condition holds."""
        return self.do.render(scope) if holds(self.condition, scope) else OMIT


@dataclass(frozen=True, slots=True)
class Each:
    """`$each`, `$as`, `$do` and perhaps `$if`: one value for each item of a list."""

    each: Node
    name: str
    do: Node
    condition: Node | None
    where: Where

    def render(self, scope: Scope) -> list[Any]:
        """The made list, without omitted items."""
        each = self.each
        try:
            items = each.items(scope) if isinstance(each, Expression) else each.render(scope)
        except RenderFault as fault:
            fault.steps.append(".$each")
            raise
        if not isinstance(items, list):
            no_list = RenderFault(f"{kind_of(items)} is no list", "give a default: default([])", self.where)
            no_list.steps.append(".$each")
            raise no_list
        spelt, count = each.spelt if isinstance(each, Expression) else "", len(items)
        made: list[Any] = []
        for index, item in enumerate(items):
            scope.budget.spend(0)
            loop = {"index": index + 1, "first": index == 0, "last": index + 1 == count, "length": count}
            inner = scope.inner({self.name: item, "loop": loop}, (self.name, spelt, index))
            try:
                if self.condition is not None and not holds(self.condition, inner):
                    continue
                found = self.do.render(inner)
            except RenderFault as fault:
                fault.steps.append(f"[{index}]")
                raise
            if found is not OMIT:
                made.append(found)
        return made


def holds(condition: Node, scope: Scope) -> bool:
    """Whether a `$if` holds. Text counts as a mistake: "false" would be true."""
    try:
        found = condition.render(scope)
    except RenderFault as fault:
        fault.steps.append(".$if")
        raise
    if isinstance(found, str):
        where = condition.where if isinstance(condition, (Expression, Mixed)) else Where("", 1)
        raise RenderFault(f"{shown(found)} is text, a condition is true or false", "compare it with ==", where)
    return bool(found)
