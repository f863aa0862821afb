"""What generated code calls to make a result plain JSON, to count it and to join texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from jinja2 import UndefinedError

from app.core.exact import Refused, calculate, decimal_of, is_number, kind_of, shown, text_of
from app.core.filter_kit import made_of
from app.core.filters_lists import join
from app.core.sandbox import MAX_OUTPUT, OMIT, Missing, Omit, Run, find, getitem, measure, refuse_missing
from app.model import Json

#: How deep lists and objects may be nested in what is made.
MAX_DEPTH = 100
#: What is JSON as it is, and counts as one step.
SCALARS = frozenset({int, bool, type(None), Decimal, Omit})
#: What a look-up may fail with that leads nowhere.
NOT_THERE = (KeyError, TypeError, IndexError, AttributeError, UndefinedError)


class Told(Exception):
    """A part of a value cannot be made; what and what to do are all that is said."""

    def __init__(self, what: str, todo: str) -> None:
        self.what, self.todo = what, todo
        super().__init__(what)


def settle(run: Run, left: int, value: Any) -> tuple[int, Any]:
    """What is left after a new result that is no text, and that result as JSON has it."""
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        size, plain = measure(value)
        if plain:
            return left - size, value
        if size > left:
            run.look(left - size)  # refuses it before it is copied
    made = plain_json(value)
    size, plain = measure(made)
    return left - size if plain else left, made


def settle_found(run: Run, left: int, value: Any) -> tuple[int, Any]:
    """`settle` for what a look-up found: it is measured once in a rendering."""
    kind = type(value)
    if kind is dict or kind is list:
        size, plain = run.size_of(value)
        if plain:
            return left - size, value
    return settle(run, left, value)


def plain_json(value: Any, depth: int = 0) -> Json:
    """The value as JSON has it. A missing part raises Jinja's error, what JSON lacks `Refused`."""
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
            plain = plain_json(item, depth + 1)
            if not isinstance(plain, Omit):
                made[key] = plain
        return made
    if isinstance(value, (list, tuple)):
        return [item for item in (plain_json(item, depth + 1) for item in value) if not isinstance(item, Omit)]
    raise Refused(f"{kind_of(value)} cannot be sent")


def glued(*parts: Any) -> str:
    """`a ~ b`. Raises `Refused` for what is no text."""
    try:
        made = "".join(parts)
    except TypeError:
        return join(list(parts))
    if len(made) > MAX_OUTPUT:
        raise Refused(f"the result is larger than {MAX_OUTPUT:,} characters")
    return made


def text_within(value: Any) -> str:
    """The value as a part of a text. Raises `Refused` for what is no text."""
    if isinstance(value, Omit):
        raise Told("omit within a text", "let the whole value be one {{ … }}")
    return text_of(value)


def signed(sign: str, value: Any) -> Any:
    """`+value` or `-value`. Raises `Refused` for what is no number."""
    if not is_number(value):
        raise Refused(f"{sign} before {kind_of(value)} cannot be calculated")
    if sign == "+":
        return value
    return calculate("-", 0, value if isinstance(value, int) else decimal_of(value))


def loop_of(index: int, items: list[Any]) -> dict[str, Any]:
    """What `loop` holds for an item."""
    count = len(items)
    return {"index": index + 1, "first": index == 0, "last": index + 1 == count, "length": count}


def no_list(found: Any) -> NoReturn:
    """`$each` over what is no list."""
    raise Told(f"{kind_of(found)} is no list", "give a default: default([])")


def no_condition(found: str) -> NoReturn:
    """`$if` with a text, which counts as a mistake: "false" would be true."""
    raise Told(f"{shown(found)} is text, a condition is true or false", "compare it with ==")


#: Everything that generated code can reach beside the constants and filters of its expressions.
KNOWN: Mapping[str, Any] = {
    "Missing": Missing,
    "NOT_THERE": NOT_THERE,
    "OMIT": OMIT,
    "SCALARS": SCALARS,
    "KeyError": KeyError,
    "calculate": calculate,
    "dict": dict,
    "enumerate": enumerate,
    "find": find,
    "getitem": getitem,
    "glued": glued,
    "join": "".join,
    "len": len,
    "list": list,
    "loop_of": loop_of,
    "made_of": made_of,
    "no_condition": no_condition,
    "no_list": no_list,
    "refuse_missing": refuse_missing,
    "settle": settle,
    "settle_found": settle_found,
    "signed": signed,
    "str": str,
    "text_within": text_within,
    "type": type,
}
