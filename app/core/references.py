"""How a number of one system is translated into another's: the compiled `mappings/references/*.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from app.core.expressions import Value, Where
from app.errors import DataError


@dataclass(frozen=True, slots=True)
class Table:
    """Look into a table file. A miss goes on to the next step."""

    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """Look into the cross-references: captured from an answer or an event, or set by hand."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Ask a system. `take` gives one text or a list: none is a miss, two different ones are a conflict."""

    connection: str
    operation: str
    args: Value  # yaml `with:`; names: id, scope
    take: Value  # names: body, status, id, scope
    none: Literal["miss"] = "miss"
    many: Literal["conflict"] = "conflict"


@dataclass(frozen=True, slots=True)
class Derive:
    """Make the number from the other one."""

    value: Value  # text; names: id, scope


Step = Table | Stored | Lookup | Derive


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """The steps that translate numbers of `kind`; the first that answers wins."""

    kind: str
    from_system: str
    to_system: str
    steps: tuple[Step, ...]
    where: Where
    scope: Value | None = None  # text; names: return, order, connection; keeps equal numbers of two shops apart
    missing: Literal["park", "retry", "fail"] = "park"

    @property
    def key(self) -> tuple[str, str, str]:
        """(kind, from, to), as `Site.references` is keyed."""
        return self.kind, self.from_system, self.to_system


def one_meant(
    known: Iterable[tuple[str, str, str]], kind: str, from_system: str | None, to_system: str | None
) -> tuple[str, str, str]:
    """The one reference file that is meant, as (kind, from, to). A system that is None is left open.

    Raises `DataError` when none fits, or several do.
    """
    keys = sorted(known)
    fitting = [key for key in keys if key[0] == kind and from_system in (None, key[1]) and to_system in (None, key[2])]
    if len(fitting) == 1:
        return fitting[0]
    names = "; ".join(f"{kind} --from {source} --to {to}" for kind, source, to in keys) or "none"
    what = "several reference files fit, say which" if fitting else "no reference file translates that"
    raise DataError(f"{what}; known: {names}")
