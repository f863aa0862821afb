"""Values with `{{ … }}` in them: compiled once from YAML, rendered for each message.

A scalar that is wholly one `{{ … }}` keeps the type of its expression; anything else becomes text. Nothing is ever
literal-evaluated, and a missing name is an error that says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.source import Where as Where
from app.model import Json


class Value:
    """A compiled YAML value."""

    def render(self, context: Mapping[str, Any], path: str = "") -> Any:
        """The value with its expressions worked out; `omit` at the root gives None.

        `path` is how errors call the place in what is made, for example "body". Raises `DataError`, or `UnknownWord`
        when a table lacks a word.
        """
        raise NotImplementedError


class Environment:
    """Compiles values against the given tables and the closed set of filters."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.tables = tables or {}

    def compile_value(self, node: Json, *, where: Where, names: frozenset[str]) -> Value:
        """The compiled form of a YAML node. Raises `ConfigError` with every fault in it."""
        raise NotImplementedError


def compile_value(node: Json, *, where: Where, names: frozenset[str]) -> Value:
    """`Environment.compile_value` without tables."""
    return Environment().compile_value(node, where=where, names=names)
