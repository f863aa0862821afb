"""Reads a parsed file by its schema, forgivingly: what has the wrong form was reported already and reads as a default.

So `check` can go on to the faults in the expressions of a file whose form is faulty elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from app.core.exact import is_number
from app.core.expression_compiler import Names
from app.core.expressions import Environment, Value
from app.core.shapes import Shape
from app.core.source import Path, Source, Where
from app.core.times import seconds
from app.model import Json, Problem

T = TypeVar("T")
#: Keys whose values are numbers that are names: they lose their zeros when they stand without quotes.
_ID_LIKE = re.compile(
    r"(?:^|_)(?:id|number|no|code|sku|ean|gtin|barcode|zip|postcode|postal_code|phone)$", re.IGNORECASE
)
_ID_ENDING = re.compile(r"[a-z](?:Id|ID|Number|No|Code|Sku|SKU|Ean|EAN|Gtin|Barcode|Zip|Phone)$")


@dataclass(frozen=True, slots=True)
class Kit:
    """What reading needs beside the file: the compiler of expressions, and where faults go."""

    environment: Environment
    problems: list[Problem] = field(default_factory=list)

    def report(self, where: Where, what: str, todo: str, code: str) -> None:
        """Add a fault."""
        self.problems.append(Problem(where.file, where.line, where.column, what, todo, code))


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a file with its place and the part of the schema that describes it."""

    source: Source
    path: Path
    value: Json
    shape: Shape
    kit: Kit

    @classmethod
    def root(cls, source: Source, schema: Json, kit: Kit) -> Node:
        """The whole file."""
        return cls(source, (), source.value, Shape.of(schema), kit)

    @property
    def where(self) -> Where:
        """Where the value stands."""
        return self.source.where(self.path)

    @property
    def where_key(self) -> Where:
        """Where the value's key stands."""
        return self.source.where_key(self.path)

    @property
    def given(self) -> bool:
        """Whether there is a value that is not null."""
        return self.value is not None

    def get(self, key: str) -> Node:
        """The value of a key; null when it is not there."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Node(self.source, (*self.path, key), value, self._shape(self.shape.key(key)), self.kit)

    def items(self) -> Iterator[tuple[str, Node]]:
        """The keys of a mapping with their values."""
        for key in self.value if isinstance(self.value, dict) else ():
            yield key, self.get(key)

    def each(self) -> Iterator[Node]:
        """The items of a list."""
        shape = self._shape(self.shape.item())
        for index, item in enumerate(self.value if isinstance(self.value, list) else ()):
            yield Node(self.source, (*self.path, index), item, shape, self.kit)

    def _shape(self, shape: Shape | None) -> Shape:
        return shape.resolved() if shape else Shape({}, self.shape.root)

    def text(self, default: str = "") -> str:
        """The text, or the default when it is none."""
        return self.value if isinstance(self.value, str) else default

    def texts(self) -> list[str]:
        """The texts of a list."""
        return [item.value for item in self.each() if isinstance(item.value, str)]

    def flag(self, default: bool = False) -> bool:
        """True or false."""
        return self.value if isinstance(self.value, bool) else default

    def whole(self, default: int) -> int:
        """A whole number; digits as text count, because what comes from the environment is text."""
        text = str(self.value)
        if isinstance(self.value, bool) or not re.fullmatch(r"[0-9]{1,12}", text):
            return default
        return int(text)

    def number(self, default: float) -> float:
        """A number for settings of the hub itself, where a float does no harm."""
        return float(self.value) if isinstance(self.value, (int, Decimal)) else default

    def parsed(self, parse: Callable[[Json], T], default: T) -> T:
        """What `parse` makes of the value; the default when there is none or it fails."""
        if not self.given or isinstance(self.value, (bool, dict)):
            return default
        try:
            return parse(self.value)
        except ValueError:
            return default

    def seconds(self, default: float) -> float:
        """A duration in seconds."""
        return self.parsed(seconds, default)

    def template(self, shapes: Names | None = None, extra: Names | None = None, hide: Collection[str] = ()) -> Value:
        """The compiled value. Names: those of the schema less `hide`, and `extra`; `shapes` tells what they hold."""
        shapes = shapes or {}
        allowed = [name for name in self.shape.resolved().schema.get("x-names", ()) if name not in hide]
        names: Names = {**{name: shapes.get(name) for name in allowed}, **(extra or {})}
        self._ask_for_quotes(self.value, self.path)
        return self.kit.environment.compile_value(
            self.value,
            where=self.where,
            names=names,
            locate=self._locate,
            problems=self.kit.problems,
        )

    def _locate(self, path: Path, key: bool) -> Where:
        inner = (*self.path, *path)
        return self.source.where_key(inner) if key else self.source.where(inner)

    def optional(
        self, shapes: Names | None = None, extra: Names | None = None, hide: Collection[str] = ()
    ) -> Value | None:
        """`template`, or None when there is no value."""
        return self.template(shapes, extra, hide) if self.given else None

    def _ask_for_quotes(self, value: Json, path: Path) -> None:
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            if is_number(item) and isinstance(key, str) and (_ID_LIKE.search(key) or _ID_ENDING.search(key)):
                what = f"{key!r} is an id or number that names something, and {item} without quotes would be a figure"
                self.kit.report(self.source.where((*path, key)), what, f'write "{item}"', "quotes")
            elif isinstance(item, (dict, list)):
                self._ask_for_quotes(item, (*path, key))

    def report(self, what: str, todo: str, code: str) -> None:
        """Add a fault at the value."""
        self.kit.report(self.where, what, todo, code)
