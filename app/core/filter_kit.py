"""What a filter is: a small function with a sentence and runnable examples, in a closed registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.core.exact import Refused
from app.core.sandbox import Missing, Scope, measure, refuse_missing
from app.model import Json

#: How many items a list may have that a filter makes.
MAX_ITEMS = 100_000
#: Stands for an argument that was left out, where null is an argument too.
NOT_GIVEN: Any = object()


# What is surely no iterator: asking is slow.
_KNOWN = frozenset({str, list, dict, bool, int, type(None), Decimal})


@dataclass(frozen=True, slots=True)
class Example:
    """An expression with what it gives; the tests run it, the reference prints it. `fails` is part of its error."""

    expression: str
    gives: Json = None
    given: Mapping[str, Json] = field(default_factory=dict)
    fails: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter. `call` gets the value and the arguments, before them the scope when `with_scope`."""

    name: str
    usage: str  # how it is written: "zero_pad(width)"
    does: str  # one sentence for the reference
    call: Callable[..., Any]
    examples: tuple[Example, ...]
    with_scope: bool = False
    takes_missing: bool = False


def guarded(spec: Filter) -> Callable[..., Any]:
    """The filter as Jinja calls it: missing values refused, size and time counted, lists made of iterators."""

    run, with_scope, takes_missing = spec.call, spec.with_scope, spec.takes_missing

    def call(scope: Scope, value: Any, *args: Any, **named: Any) -> Any:
        if not takes_missing:
            refuse_missing(value)
            for given in args:
                refuse_missing(given)
            for given in named.values():
                refuse_missing(given)
        try:
            result = run(scope, value, *args, **named) if with_scope else run(value, *args, **named)
        except TypeError as error:
            raise Refused(f"{spec.name}: {_readable(error)}", f"it is written {spec.usage}") from None
        if type(result) not in _KNOWN and isinstance(result, Iterator):
            result = bounded(result)
        scope.budget.spend(len(result) if isinstance(result, (str, list)) else 0)
        return result

    return call


def bounded(items: Iterator[Any]) -> list[Any]:
    """The items as a list. Raises `Refused` when there are too many."""
    made: list[Any] = []
    for item in items:
        if len(made) >= MAX_ITEMS:
            raise Refused(f"more than {MAX_ITEMS:,} items")
        made.append(item)
    return made


def rows(value: Any, name: str) -> list[Any]:
    """The value when it is a list. Raises `Refused` for anything else, so that a text is never taken for letters."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, Iterator):
        return bounded(value)
    raise Refused(f"{name} needs a list", "give a default: default([])")


def at(item: Any, path: str) -> Any:
    """The value at a dotted path such as "price.gross"; `Missing` when something on the way is not there."""
    for step in str(path).split("."):
        if isinstance(item, dict) and step in item:
            item = item[step]
        elif isinstance(item, list) and step.isdigit() and int(step) < len(item):
            item = item[int(step)]
        else:
            return Missing(f"{path!r} is missing in an item")
    return item


def key_of(value: Any) -> Any:
    """Something that equal values share, usable as a key of a dict. 1 and "1" and true stay apart."""
    if isinstance(value, (dict, list)):
        if measure(value)[0] > 10_000:
            raise Refused("too big to be compared")
        return (type(value).__name__, repr(value))
    return (isinstance(value, str), isinstance(value, bool), value)


def _readable(error: TypeError) -> str:
    text = str(error)
    # "_pad() missing 1 required positional argument: 'width'" names a function that no merchant knows.
    return text.split("() ", 1)[-1]
