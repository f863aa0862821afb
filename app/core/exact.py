"""Values as exact text and numbers: what filters and mixed texts are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation, localcontext
from typing import Any, cast

from app.core.times import iso

#: Digits that a number may have; ids longer than that are text anyway, and 9 ** 9 ** 9 must not be tried.
MAX_DIGITS = 1000
_SMALL = 10**15
#: Nearly every number in a text.
_PLAIN = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")


class Refused(Exception):
    """An operation cannot be done with these values. Carries what and what to do; the renderer adds the place."""

    def __init__(self, what: str, todo: str = "") -> None:
        self.what, self.todo = what, todo
        super().__init__(what)


def kind_of(value: Any) -> str:
    """What a person would call the value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, Decimal, float)):
        return "a number"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


def text_of(value: Any) -> str:
    """The value as text, digit for digit. Raises `Refused` for what has no one text: null, lists, objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        # Nearly every number is written as it is; an exponent may stand for more digits than fit the memory.
        return str(value) if _is_short(value) else format(_sane(value), "f")
    if isinstance(value, datetime):
        return iso(value.replace(tzinfo=value.tzinfo or UTC))
    raise Refused(f"{kind_of(value)} cannot be written as text", "give a default, or pick a field of it")


def is_number(value: Any) -> bool:
    """Whether it is a whole number or an exact decimal; true and false are none."""
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def decimal_of(value: Any) -> Decimal:
    """The exact decimal in a number or in plain decimal text such as "-12.50". Raises `Refused` for all else."""
    kind = type(value)
    if kind is int and -_SMALL < value < _SMALL:
        return Decimal(value)
    if kind is str and _PLAIN.fullmatch(value):
        return Decimal(value)
    if kind is Decimal and _is_short(value):
        return cast(Decimal, value)
    if is_number(value):
        return _sane(Decimal(value))
    if isinstance(value, str):
        digits = value.strip().removeprefix("-").replace(".", "", 1)
        if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS:
            try:
                return Decimal(value.strip())
            except InvalidOperation:  # "-" alone and the like
                pass
    raise Refused(f"{shown(value)} is no number", "numbers are written like 12 or -12.50")


def _is_short(value: Decimal) -> bool:
    """Whether the number surely has few digits: most are written as they are."""
    text = str(value)
    return len(text) < 100 and "E" not in text and value.is_finite()


def _sane(value: Decimal) -> Decimal:
    """The decimal, unless writing it out would take more digits than any number needs: 1e999999999 fits no memory."""
    if not value.is_finite() or _digits(value) > MAX_DIGITS:
        raise Refused("the number is too big to be written out")
    return value


def plain_number(value: Decimal) -> int | Decimal:
    """The number as an int when it is whole, else as the decimal."""
    return int(value) if value == value.to_integral_value() else value


def added(amounts: Iterable[Decimal]) -> int | Decimal:
    """The sum, exact to the last digit, which Python's own `sum` is for 28 digits only."""
    with localcontext(_EXACT):
        return plain_number(sum(amounts, Decimal(0)))


def round_half_up(value: Decimal, places: int) -> Decimal:
    """The decimal with exactly `places` digits behind the point; a half goes away from zero, as merchants expect."""
    if not isinstance(places, int) or not 0 <= places <= 12:
        raise Refused(f"{shown(places)} is no number of places", "write 0 to 12")
    return value.quantize(_PLACES[places], context=_HALF_UP)


_PLACES = [Decimal(1).scaleb(-places) for places in range(13)]
_HALF_UP = Context(prec=MAX_DIGITS, rounding=ROUND_HALF_UP)
_EXACT = Context(prec=2 * MAX_DIGITS)


def calculate(operator: str, left: Any, right: Any) -> Any:
    """`left operator right` for numbers, and `+` for two texts or two lists. Exact, never a float. Raises `Refused`."""
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    if operator == "+" and isinstance(left, list) and isinstance(right, list):
        return left + right
    if operator == "**":
        raise Refused("** is not part of the language")
    if not (is_number(left) and is_number(right)):
        hint = "join texts with ~" if operator == "+" else "turn text into a number with `| decimal`"
        raise Refused(f"{kind_of(left)} {operator} {kind_of(right)} cannot be calculated", hint)
    if operator in ("/", "//", "%") and right == 0:
        raise Refused("division by zero")
    if _digits(left) + _digits(right) > MAX_DIGITS:
        raise Refused("the number is too big to be calculated with")
    if isinstance(left, int) and isinstance(right, int) and operator != "/":
        return _INTS[operator](left, right)
    return plain_number(_decimals(operator, Decimal(left), Decimal(right)))


_INTS = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
    "//": int.__floordiv__,
    "%": int.__mod__,
}


def _decimals(operator: str, left: Decimal, right: Decimal) -> Decimal:
    if operator == "/":
        division = Context(prec=60, rounding=ROUND_HALF_UP)
        result = division.divide(left, right)
        return result if division.flags[Inexact] else result.normalize(division)
    if operator == "+":
        return _EXACT.add(left, right)
    if operator == "-":
        return _EXACT.subtract(left, right)
    if operator == "*":
        return _EXACT.multiply(left, right)
    return _EXACT.divide_int(left, right) if operator == "//" else _EXACT.remainder(left, right)


def _digits(value: int | Decimal) -> int:
    if isinstance(value, int):
        return value.bit_length() // 3
    _, digits, exponent = value.as_tuple()
    return len(digits) + abs(exponent if isinstance(exponent, int) else MAX_DIGITS)


def shown(value: Any) -> str:
    """The value for an error text: quoted, and cut when long."""
    text = repr(value) if isinstance(value, (str, int, Decimal, bool)) else kind_of(value)
    return text if len(text) <= 60 else text[:57] + "..."
