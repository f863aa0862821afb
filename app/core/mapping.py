"""A mapping: vendor message to document, or document to request. Compiled from `mappings/*.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.core.expressions import Value, Where
from app.model import Json


@dataclass(frozen=True, slots=True)
class ReferenceUse:
    """A number that the mapping needs translated; its answer is `refs.<name>`."""

    name: str
    kind: str
    from_system: str
    to_system: str
    id: Value  # text; names: as in `body`, without refs


@dataclass(frozen=True, slots=True)
class Split:
    """Makes one delivery a part: `each` gives the list, an item is called `name`, `key` tells the parts apart."""

    each: Value
    name: str
    key: Value


@dataclass(frozen=True, slots=True)
class MappingTest:
    """A case inside a mapping file; `given` and `expect` are as written."""

    name: str
    given: Mapping[str, Json]
    expect: Mapping[str, Json]
    where: Where


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A mapping. One to a request has `body` and perhaps `args`; one to a document has `document`."""

    name: str
    where: Where
    stamp: str = ""  # sha256 of the file's text
    references: tuple[ReferenceUse, ...] = ()
    split: Split | None = None
    args: Value | None = None
    body: Value | None = None
    document: Value | None = None
    tests: tuple[MappingTest, ...] = field(default=())
