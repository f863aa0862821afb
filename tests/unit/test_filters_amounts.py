"""Amounts that are split, shared and balanced lose nothing, whatever they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.currencies import places_of
from app.core.exact import Refused
from app.core.filters import EXAMPLE_TABLES, all_filters

FILTERS = all_filters(EXAMPLE_TABLES)
money = st.decimals(min_value=-100_000, max_value=100_000, places=2)
currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF", "sek"])


def run(name: str, *args: Any) -> Any:
    made = FILTERS[name].call(*args)
    return list(made) if name == "per_unit" else made


@given(amount=money, parts=st.integers(1, 300))
def test_shares_add_up_keep_their_sign_and_differ_by_less_than_a_coin_each(amount: Decimal, parts: int) -> None:
    shares = [Decimal(share) for share in run("share", str(amount), parts)]
    assert sum(shares) == amount and len(shares) == parts
    assert all(share * amount >= 0 for share in shares)
    assert len(set(shares[:-1])) <= 1 and abs(shares[-1] - shares[0]) < Decimal("0.01") * parts
    assert all(share.as_tuple().exponent == -2 for share in shares)


@given(quantity=st.integers(0, 5_000), most=st.integers(1, 200))
def test_the_parts_of_a_quantity_add_up_and_none_is_too_great(quantity: int, most: int) -> None:
    parts = run("split_quantity", quantity, most)
    assert sum(parts) == quantity and all(0 < part <= most for part in parts)


@given(quantities=st.lists(st.integers(0, 30), max_size=5), most=st.integers(1, 10))
def test_every_unit_comes_once(quantities: list[int], most: int) -> None:
    items = [{"sku": str(number), "quantity": quantity} for number, quantity in enumerate(quantities)]
    units = run("per_unit", items, "quantity", most)
    for item in items:
        own = [made["unit"] for made in units if made["sku"] == item["sku"]]
        assert sum(unit["quantity"] for unit in own) == item["quantity"]
        assert [unit["before"] for unit in own] == [sum(u["quantity"] for u in own[:n]) for n in range(len(own))]
    assert [set(item) for item in items] == [{"sku", "quantity"}] * len(items), "what was given stays as it was"


@given(net=money, tax=money, off=st.sampled_from([-1, 0, 1]), currency=currencies)
def test_a_price_is_balanced_by_a_coin_at_most(net: Decimal, tax: Decimal, off: int, currency: str) -> None:
    places = places_of(currency)
    coin = Decimal(1).scaleb(-places)
    net, tax = round(net, places), round(tax, places)
    price = {"net": str(net), "tax": str(tax), "gross": str(net + tax + off * coin)}
    made = run("balanced", price, currency)
    assert Decimal(made["net"]) + Decimal(made["tax"]) == Decimal(made["gross"]) == Decimal(price["gross"])
    assert abs(Decimal(made["net"]) - net) + abs(Decimal(made["tax"]) - tax) <= coin
    assert tax or not Decimal(made["tax"]), "no tax out of nothing"
    with pytest.raises(Refused, match="but gross is"):
        run("balanced", {**price, "gross": str(net + tax + 2 * coin)}, currency)


@given(net=st.floats(0.01, 1_000), rate=st.sampled_from([0.0, 0.06, 0.12, 0.21, 0.25]))
def test_what_floats_made_of_a_price_is_put_right(net: float, rate: float) -> None:
    floats = {"net": net, "tax": net * rate, "gross": net * (1 + rate)}
    price = {name: Decimal(repr(value)) for name, value in floats.items()}
    made = run("balanced", price, "EUR")
    assert Decimal(made["net"]) + Decimal(made["tax"]) == Decimal(made["gross"])


@given(amount=money, currency=currencies)
def test_smallest_coins_and_back_is_the_same(amount: Decimal, currency: str) -> None:
    written = run("money", amount, currency)
    assert run("from_minor_units", run("in_minor_units", written, currency), currency) == written


@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)),
    offset=st.integers(-14 * 60, 14 * 60),
    zone=st.sampled_from(["", "[UTC]", "[Europe/Berlin]"]),
    cut=st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
)
def test_a_time_is_the_same_moment_however_it_is_written(moment: datetime, offset: int, zone: str, cut: str) -> None:
    written = moment.replace(tzinfo=timezone(timedelta(minutes=offset))).isoformat(timespec=cut)
    made = run("iso_time", written + zone)
    assert made.endswith("Z")
    assert abs(datetime.fromisoformat(made) - datetime.fromisoformat(written)) < timedelta(milliseconds=1)


@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)), seconds=st.integers(0, 10**7))
def test_a_time_moved_and_moved_back_is_the_same(moment: datetime, seconds: int) -> None:
    written = run("iso_time", moment.replace(tzinfo=UTC).isoformat())
    assert run("shift_time", run("shift_time", written, f"{seconds}s"), f"-{seconds}s") == written


@pytest.mark.parametrize("wrong", [{}, {"net": "1"}, {"net": "x", "gross": "1"}, "1", None])
def test_what_is_no_price_is_refused(wrong: Any) -> None:
    with pytest.raises(Refused):
        run("balanced", wrong, "EUR")


@pytest.mark.parametrize("wrong", ["", "EURO", "€", "12", "ÜÜÜ", None, 7])
def test_what_is_no_currency_is_refused(wrong: Any) -> None:
    with pytest.raises(Refused, match="is no currency"):
        places_of(wrong)


def test_a_price_in_another_currency_is_refused() -> None:
    with pytest.raises(Refused, match="is in SEK, not in EUR"):
        run("balanced", {"net": "1", "tax": "0", "gross": "1", "currency": "SEK"}, "EUR")


@pytest.mark.parametrize("amount", [10**6, "1000001"])
def test_too_many_parts_are_refused(amount: Any) -> None:
    for name in ("split_quantity", "share"):
        with pytest.raises(Refused, match="more than"):
            run(name, amount, 1 if name == "split_quantity" else amount)
