"""Values with `{{ … }}` in them: compiled once from YAML, rendered for each message.

A scalar that is wholly one `{{ … }}` keeps the type of its expression; anything else becomes text. Nothing is ever
literal-evaluated, and a missing name is an error that says which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.expression_code import Code
from app.core.expression_compiler import Compiler, Names
from app.core.expression_faults import FAULTS, explained
from app.core.expression_nodes import Node
from app.core.filters import TESTS, all_filters, guarded_filters, guarded_tests
from app.core.inspection import Vocabulary
from app.core.sandbox import OMIT, Run, Sandbox
from app.core.source import Path, Where
from app.errors import ConfigError, DataError
from app.model import Json, Problem

__all__ = ["Environment", "Value", "Where", "compile_value"]


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled YAML value."""

    root: Node
    sandbox: Sandbox
    monotonic: Callable[[], float] | None = None
    # Filled at the first rendering: most values of a site are never rendered by a process. Others than this class may
    # keep here what they made of the value.
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def render(self, context: Mapping[str, Any], path: str = "") -> Any:
        """The value with its expressions worked out; `omit` at the root gives None.

        `path` is how errors call the place in what is made, for example "body". Raises `DataError`, or `UnknownWord`
        when a table lacks a word.
        """
        code = self.kept.get("code") or self._code(path)
        try:
            made = code.call(Run(self.sandbox, self.monotonic), context)
        except FAULTS as error:
            told = explained(error, code, context, self.sandbox, path)
            if told is None:
                raise
            raise told from None
        return None if made is OMIT else made

    def _code(self, path: str) -> Code:
        # Threads that come at once make the same, and one of it is kept.
        try:
            code = self.kept["code"] = Code.of(self.root, self.sandbox)
        except RecursionError:
            raise DataError("it is nested too deeply", path=path, todo="make its expressions simpler") from None
        return code


class Environment:
    """Compiles values against the given tables and the closed set of filters.

    `monotonic` is the clock of the time limit of a rendering; without one there is no such limit.
    """

    def __init__(
        self, tables: Mapping[str, Mapping[str, str]] | None = None, monotonic: Callable[[], float] | None = None
    ) -> None:
        self.tables = tables or {}
        self._monotonic = monotonic
        specs = all_filters(self.tables)
        self._sandbox = Sandbox(guarded_filters(specs), guarded_tests(), specs)
        tests = {test.name for test in TESTS} | {"equalto"}
        self._words = Vocabulary(specs.keys(), tests | set(self._sandbox.tests), self.tables.keys())

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
        compiler = Compiler(self._words, locate or (lambda path, key: where), found)
        root = compiler.compile(node, (), known)
        if problems is not None:
            problems.extend(found)
        elif found:
            raise ConfigError(found)
        return Value(root, self._sandbox, self._monotonic)


def compile_value(node: Json, *, where: Where, names: Collection[str]) -> Value:
    """`Environment.compile_value` without tables."""
    return Environment().compile_value(node, where=where, names=names)
