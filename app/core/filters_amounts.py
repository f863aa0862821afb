"""Filters for quantities and amounts that are rounded, split, shared out and made to add up."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

from app.core.currencies import places_of
from app.core.exact import MAX_DIGITS, Refused, decimal_of, kind_of, round_half_up, shown
from app.core.filter_kit import MAX_ITEMS, NOT_GIVEN, Example, Filter, at, rows
from app.core.sandbox import Missing, refuse_missing

_EXACT = Context(prec=2 * MAX_DIGITS)
_DOWN = Context(prec=2 * MAX_DIGITS, rounding=ROUND_DOWN)


def _places(given: Any) -> int:
    """The places meant by a number of places or by a currency."""
    return places_of(given) if isinstance(given, str) else given


def _rounded(value: Any, places: int) -> Decimal:
    rounded = round_half_up(decimal_of(value), places)
    return rounded if rounded else abs(rounded)  # nobody owes -0.00


def _money(value: Any, places: int | str = 2) -> str:
    return format(_rounded(value, _places(places)), "f")


def _in_minor_units(value: Any, places: int | str) -> int:
    amount, places = decimal_of(value), _places(places)
    if amount != round_half_up(amount, places):
        raise Refused(f"{shown(value)} has more than {places} decimal places", "round it first: … | money('EUR')")
    return int(_EXACT.scaleb(amount, places))


def _from_minor_units(value: Any, places: int | str) -> str:
    return format(_EXACT.scaleb(Decimal(_count(value, "from_minor_units", least=None)), -_places(places)), "f")


def _split_quantity(value: Any, most: int) -> list[int]:
    most = _count(most, "split_quantity", least=1)
    whole, rest = divmod(_count(value, "split_quantity"), most)
    if whole >= MAX_ITEMS:
        raise Refused(f"more than {MAX_ITEMS:,} parts")
    return [most] * whole + ([rest] if rest else [])


def _per_unit(
    value: Any, quantity: str = "quantity", most: int = 1, default: Any = NOT_GIVEN
) -> Iterator[dict[str, Any]]:
    for item in rows(value, "per_unit"):
        if not isinstance(item, dict):
            raise Refused(f"per_unit needs a list of objects, one item is {kind_of(item)}")
        found = at(item, quantity)
        if isinstance(found, Missing) and default is not NOT_GIVEN:
            found = default
        refuse_missing(found)
        total, before = _count(found, "per_unit"), 0
        for number, size in enumerate(_split_quantity(total, most), 1):
            unit = {"of": quantity, "number": number, "quantity": size, "before": before, "total": total}
            before += size
            yield {**item, "unit": unit}


def _share(value: Any, parts: int) -> list[str]:
    amount, parts = decimal_of(value), _count(parts, "share", least=1)
    if parts > MAX_ITEMS:
        raise Refused(f"more than {MAX_ITEMS:,} parts")
    exponent = amount.as_tuple().exponent
    step = Decimal(1).scaleb(min(0, exponent if isinstance(exponent, int) else 0))
    # Towards zero, so that the rest has the amount's own sign.
    each = _DOWN.quantize(_DOWN.divide(amount, Decimal(parts)), step)
    rest = _EXACT.subtract(amount, _EXACT.multiply(each, Decimal(parts - 1)))
    return [format(each, "f")] * (parts - 1) + [format(rest.quantize(step, context=_EXACT), "f")]


def _balanced(value: Any, currency: str | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"balanced needs a price, not {kind_of(value)}", "an object with net, tax and gross")
    own = value.get("currency")
    if currency and own and currency != own:
        raise Refused(f"the price is in {own}, not in {currency}", "correct the price at its source")
    code = currency or own
    places = places_of(code)
    given = {name: value.get(name) for name in ("net", "tax", "gross")}
    missing = [name for name, amount in given.items() if amount is None]
    if len(missing) > 1:
        raise Refused(f"the price lacks {' and '.join(missing)}", "two of net, tax and gross must be known")
    known = {name: _rounded(amount, places) for name, amount in given.items() if amount is not None}
    net = known["net"] if "net" in known else known["gross"] - known["tax"]
    tax = known["tax"] if "tax" in known else known["gross"] - net
    gross = known.get("gross", net + tax)
    off = gross - net - tax
    if abs(off) > Decimal(1).scaleb(-places):
        what = f"net {net} and tax {tax} make {net + tax}, but gross is {gross}"
        raise Refused(what, "correct the price at its source")
    # One smallest coin is rounding. A tax of nothing stays nothing: then the net amount takes it.
    if tax and (tax + off) * tax >= 0:
        tax += off
    else:
        net += off
    amounts = {"net": net, "tax": tax, "gross": gross}
    return {**value, **{name: format(amount, "f") for name, amount in amounts.items()}, "currency": code}


def _count(value: Any, name: str, least: int | None = 0) -> int:
    number = decimal_of(value)
    if number != number.to_integral_value() or (least is not None and number < least):
        bound = "" if least is None else f" from {least}"
        raise Refused(f"{name}: {shown(value)} is no whole number{bound}")
    return int(number)


_LINES = {"lines": [{"sku": "A", "n": 2}, {"sku": "B", "n": 1}]}
_PRICE = {"price": {"net": "8.333", "tax": "1.67", "gross": "10", "currency": "EUR"}}

FILTERS = (
    Filter(
        "money",
        "money(places=2) or money('JPY')",
        "An amount as text with fixed places or those of a currency, halves rounded away from zero.",
        _money,
        (
            Example("'19.9' | money", "19.90"),
            Example("2.675 | money", fails="inexact"),
            Example("5 | money(0)", "5"),
            Example("'1999.5' | money('JPY')", "2000"),
            Example("'1' | money('KWD')", "1.000"),
            Example("'-0.001' | money", "0.00"),
            Example("1 | money('Euro')", fails="is no currency"),
        ),
    ),
    Filter(
        "in_minor_units",
        "in_minor_units(places) or in_minor_units('EUR')",
        "An amount as a whole number of its smallest coin.",
        _in_minor_units,
        (
            Example("'19.90' | in_minor_units('EUR')", 1990),
            Example("'1990' | in_minor_units('JPY')", 1990),
            Example("'0.005' | in_minor_units(2)", fails="more than 2 decimal places"),
        ),
    ),
    Filter(
        "from_minor_units",
        "from_minor_units(places) or from_minor_units('EUR')",
        "An amount from a whole number of its smallest coin.",
        _from_minor_units,
        (
            Example("1990 | from_minor_units('EUR')", "19.90"),
            Example("-5 | from_minor_units(2)", "-0.05"),
            Example("'1.5' | from_minor_units(2)", fails="is no whole number"),
        ),
    ),
    Filter(
        "split_quantity",
        "split_quantity(most)",
        "A quantity in parts of at most `most`.",
        _split_quantity,
        (
            Example("150 | split_quantity(98)", [98, 52]),
            Example("98 | split_quantity(98)", [98]),
            Example("0 | split_quantity(98)", []),
            Example("'1.5' | split_quantity(98)", fails="no whole number"),
        ),
    ),
    Filter(
        "per_unit",
        "per_unit(quantity='quantity', most=1, default)",
        "Each item once for every unit of its quantity, or for every `most` units; `unit` tells which one: "
        "{of, number, quantity, before, total}.",
        _per_unit,
        (
            Example("lines | per_unit('n') | join('', 'sku')", "AAB", _LINES),
            Example("lines | per_unit('n') | map(attribute='unit.number')", [1, 2, 1], _LINES),
            Example(
                "[{'sku': 'A', 'quantity': 150}] | per_unit('quantity', 98) | map(attribute='unit.quantity')", [98, 52]
            ),
            Example("[{'sku': 'A'}] | per_unit", fails="is missing"),
            Example("[{'sku': 'A'}] | per_unit(default=1) | length", 1),
        ),
    ),
    Filter(
        "share",
        "share(parts)",
        "An amount in so many parts that add up to it, with its own places; the last part takes the rest.",
        _share,
        (
            Example("'10.00' | share(3)", ["3.33", "3.33", "3.34"]),
            Example("'1000' | share(3)", ["333", "333", "334"]),
            Example("'10.00' | share(0)", fails="is no whole number from 1"),
        ),
    ),
    Filter(
        "balanced",
        "balanced(currency)",
        "A price {net, tax, gross} rounded to its currency so that net and tax make gross: one smallest coin is taken "
        "up by the tax, a missing amount is worked out, and more than that is refused.",
        _balanced,
        (
            Example("(price | balanced).net", "8.33", _PRICE),
            Example("({'gross': '12.5', 'net': 10} | balanced('EUR')).tax", "2.50"),
            Example("{'net': 8, 'tax': 2, 'gross': 11} | balanced('EUR')", fails="make 10.00, but gross is 11.00"),
            Example("{'gross': 8} | balanced('EUR')", fails="lacks net and tax"),
        ),
    ),
)
