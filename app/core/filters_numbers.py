"""Filters that calculate, always exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.core.exact import Refused, added, decimal_of, is_number, plain_number, round_half_up, shown
from app.core.filter_kit import Example, Filter, at, rows
from app.core.sandbox import refuse_missing


def _int(value: Any) -> int:
    number = decimal_of(value)
    if number != number.to_integral_value():
        raise Refused(f"{shown(value)} is no whole number", "round it first")
    return int(number)


def _round(value: Any, places: int = 0) -> int | Decimal:
    rounded = round_half_up(decimal_of(value), places)
    return int(rounded) if places == 0 else rounded


def _abs(value: Any) -> int | Decimal:
    if not is_number(value):
        raise Refused(f"{shown(value)} is no number", "turn text into a number with `| decimal`")
    number = plain_number(decimal_of(value)) if isinstance(value, int) else decimal_of(value)
    if number >= 0:
        return number
    # Python's own minus would round a decimal to 28 digits.
    return -number if isinstance(number, int) else number.copy_negate()


def _sum(value: Any, attribute: str | None = None) -> int | Decimal:
    amounts = []
    for item in rows(value, "sum"):
        amount = item if attribute is None else at(item, attribute)
        refuse_missing(amount)
        amounts.append(decimal_of(amount))
    return added(amounts)


def _least(value: Any) -> Any:
    return _extreme(value, "min")


def _greatest(value: Any) -> Any:
    return _extreme(value, "max")


def _extreme(value: Any, name: str) -> Any:
    items = rows(value, name)
    if not items:
        raise Refused(f"{name} of an empty list", "ask first: … if list else …")
    if not (all(is_number(item) for item in items) or all(isinstance(item, str) for item in items)):
        raise Refused(f"{name} needs only numbers or only texts")
    return min(items) if name == "min" else max(items)


FILTERS = (
    Filter(
        "decimal",
        "decimal",
        "The exact number in a text.",
        decimal_of,
        (Example("'19.90' | decimal + 1", Decimal("20.90")), Example("'1e5' | decimal", fails="is no number")),
    ),
    Filter(
        "int",
        "int",
        "The whole number in a text; anything else is an error, never 0.",
        _int,
        (Example("'3' | int", 3), Example("'3.5' | int", fails="no whole number")),
    ),
    Filter(
        "round",
        "round(places=0)",
        "A number rounded, halves away from zero.",
        _round,
        (Example("'2.5' | decimal | round", 3), Example("'2.675' | round(2)", Decimal("2.68"))),
    ),
    Filter(
        "abs",
        "abs",
        "The number without its sign.",
        _abs,
        (Example("(2 - 5) | abs", 3),),
    ),
    Filter(
        "sum",
        "sum(attribute)",
        "All numbers of a list added, or those at a dotted path of its items.",
        _sum,
        (
            Example("['1.10', 2] | sum", Decimal("3.10")),
            Example("lines | sum('qty')", 5, {"lines": [{"qty": 2}, {"qty": 3}]}),
        ),
    ),
    Filter("min", "min", "The least of numbers or texts.", _least, (Example("[3, 1] | min", 1),)),
    Filter("max", "max", "The greatest of numbers or texts.", _greatest, (Example("[3, 1] | max", 3),)),
)
