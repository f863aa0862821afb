"""What a filter is: a small function with a sentence and runnable examples, in a closed registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from app.core.exact import Refused
from app.core.sandbox import Missing, Run, measure, refuse_missing
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
    """One filter. `call` gets the value and the arguments, before them the rendering when `with_scope`."""

    name: str
    usage: str  # how it is written: "zero_pad(width)"
    does: str  # one sentence for the reference
    call: Callable[..., Any]
    examples: tuple[Example, ...]
    with_scope: bool = False
    takes_missing: bool = False


def guarded(spec: Filter) -> Callable[..., Any]:
    """The filter with its fence: missing values refused, size and time counted, lists made of iterators."""

    run, with_scope, takes_missing = spec.call, spec.with_scope, spec.takes_missing

    def call(scope: Run, value: Any, *args: Any, **named: Any) -> Any:
        if not takes_missing:
            for given in (value, *args, *named.values()):
                if type(given) is Missing:
                    refuse_missing(given)
        try:
            result = run(scope, value, *args, **named) if with_scope else run(value, *args, **named)
        except TypeError as error:
            raise misused(error, spec.name, spec.usage) from None
        if type(result) not in _KNOWN and isinstance(result, Iterator):
            result = bounded(result)
        scope.spend(len(result) if isinstance(result, (str, list)) else 0)
        return result

    return call


def misused(error: TypeError, name: str, usage: str) -> Refused:
    """What to say of a filter that was called with what it does not take."""
    return Refused(f"{name}: {_readable(error)}", f"it is written {usage}")


def made_of(left: int, result: Any) -> tuple[int, Any]:
    """What is left after a filter's result, and that result; an iterator becomes a list. Texts are counted before."""
    if type(result) is not list:
        if not isinstance(result, Iterator):
            return left, result
        result = bounded(result)
    return left - len(result), result


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
    for step in _steps(path):
        if isinstance(item, dict) and step in item:
            item = item[step]
        elif isinstance(item, list) and _NUMBER.fullmatch(step) and int(step) < len(item):
            item = item[int(step)]
        else:
            return Missing(f"{path!r} is missing in an item")
    return item


_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


@lru_cache(maxsize=1024)
def _steps_of(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _steps(path: Any) -> tuple[str, ...]:
    # Another kind of value may be equal to a text's number, and must not take its place among what is remembered.
    text = path if type(path) is str else str(path)
    # A path may be taken from a message: what is as long as nobody writes it is not remembered.
    return _steps_of(text) if len(text) <= 200 else tuple(text.split("."))


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
