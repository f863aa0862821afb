"""Where something stands in the merchant's files, and a YAML file as values that know their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.model import Json

#: The way to a value inside a file: keys and list positions.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file; lines and columns count from 1. Printed as `file:line`."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed file. `places` tells where each value stands, `keys` where each key of a mapping stands."""

    file: str
    value: Json
    places: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    keys: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    def where(self, path: Path = ()) -> Where:
        """The place of the value at `path`, or of the nearest parent that is known."""
        return self._find(self.places, path)

    def where_key(self, path: Path) -> Where:
        """The place of the key that `path` ends with; for list items that of the item."""
        return self._find(self.keys, path) if path in self.keys else self.where(path)

    def _find(self, places: Mapping[Path, tuple[int, int]], path: Path) -> Where:
        while path and path not in places:
            path = path[:-1]
        line, column = places.get(path, (1, 1))
        return Where(self.file, line, column)
