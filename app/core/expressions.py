"""Values with `{{ … }}` in them: compiled once from YAML, rendered for each message.

A scalar that is wholly one `{{ … }}` keeps the type of its expression; anything else becomes text. Nothing is ever
literal-evaluated, and a missing name is an error that says which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.exact import Refused
from app.core.expression_compiler import Compiler, Names
from app.core.expression_nodes import Node, RenderFault
from app.core.filters import TESTS, all_filters, jinja_filters, jinja_tests
from app.core.inspection import Vocabulary
from app.core.sandbox import OMIT, Budget, Sandbox, Scope
from app.core.source import Path, Where
from app.errors import ConfigError, DataError, UnknownWord
from app.model import Json, Problem

__all__ = ["Environment", "Value", "Where", "compile_value"]


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled YAML value."""

    root: Node
    sandbox: Sandbox
    monotonic: Callable[[], float] | None = None

    def render(self, context: Mapping[str, Any], path: str = "") -> Any:
        """The value with its expressions worked out; `omit` at the root gives None.

        `path` is how errors call the place in what is made, for example "body". Raises `DataError`, or `UnknownWord`
        when a table lacks a word.
        """
        scope = Scope(self.sandbox, {**context, "omit": OMIT}, Budget(self.monotonic))
        try:
            made = self.root.render(scope)
        except RenderFault as fault:
            kind = UnknownWord if fault.word else DataError
            place = (path + "".join(reversed(fault.steps))).removeprefix(".")
            raise kind(fault.what, path=place, where=str(fault.where), todo=fault.todo) from None
        except Refused as refused:
            raise DataError(refused.what, path=path, todo=refused.todo) from None
        return None if made is OMIT else made


class Environment:
    """Compiles values against the given tables and the closed set of filters.

    `monotonic` is the clock of the time limit of a rendering; without one there is no such limit.
    """

    def __init__(
        self, tables: Mapping[str, Mapping[str, str]] | None = None, monotonic: Callable[[], float] | None = None
    ) -> None:
        self.tables = tables or {}
        self._monotonic = monotonic
        self._sandbox = Sandbox(jinja_filters(self.tables), jinja_tests())
        tests = {test.name for test in TESTS} | {"equalto"}
        self._words = Vocabulary(all_filters(self.tables).keys(), tests | set(self._sandbox.tests), self.tables.keys())

    def compile_value(
        self,
        node: Json,
        *,
        where: Where,
        names: Collection[str] | Names,
        locate: Callable[[Path, bool], Where] | None = None,
        problems: list[Problem] | None = None,
    ) -> Value:
        """The compiled form of a YAML node.

        `names` are the names that its expressions may use, with their shapes where these are known. `locate` tells
        where a part of the node stands, or its key. Faults are added to `problems`; without that list they are
        raised, all together, as `ConfigError`.
        """
        known: Names = names if isinstance(names, Mapping) else dict.fromkeys(names)
        found: list[Problem] = []
        compiler = Compiler(self._sandbox, self._words, locate or (lambda path, key: where), found)
        root = compiler.compile(node, (), known)
        if problems is not None:
            problems.extend(found)
        elif found:
            raise ConfigError(found)
        return Value(root, self._sandbox, self._monotonic)


def compile_value(node: Json, *, where: Where, names: Collection[str]) -> Value:
    """`Environment.compile_value` without tables."""
    return Environment().compile_value(node, where=where, names=names)
