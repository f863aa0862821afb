"""What a warehouse's result says of each item: whether it is there and accepted, why, and what it is worth."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.jsontext import dumps
from tests.connectors.nshift_kit import Make, NshiftHub, line, make, nshift, sqlite_ledger

__all__ = ["make", "nshift", "sqlite_ledger"]  # fixtures


@pytest.fixture
def hub(make: Make) -> NshiftHub:
    return make()


def test_14_present_is_not_what_is_missing_so_an_accepted_missing_item_is_refused(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.graded(line(condition="MISSING"))
    assert hub.updates() == []
    state, because = hub.state()
    assert state == "dead" and "items[0].isAccepted" in because


def test_14_what_is_not_accepted_is_worth_nothing(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera", "quantity": 2})
    hub.graded(line(accepted=1, rejected=1))
    amounts = [
        (item["isAccepted"], item["netAmount"], item["taxAmount"], item["grossAmount"])
        for item in hub.updates()[0]["items"]
    ]
    assert amounts == [(True, 31.2, 7.8, 39), (False, 0, 0, 0)]
    assert b'"netAmount":0.00' in sent(hub, "wms_update") and b'"grossAmount":39.00' in sent(hub, "wms_update")


@pytest.mark.parametrize(("net", "tax", "gross"), [("31.204", "7.801", "38.997"), ("31.20", "7.80", "39.01")])
def test_14_a_coin_that_floats_lost_is_put_right(hub: NshiftHub, net: str, tax: str, gross: str) -> None:
    hub.opens({"sku": "hera"})
    hub.graded(line(price={"net": net, "tax": tax, "gross": gross}))
    (item,) = hub.updates()[0]["items"]
    assert round(item["netAmount"] + item["taxAmount"], 2) == item["grossAmount"]
    assert hub.state()[0] == "done"


def test_14_amounts_that_do_not_add_up_are_refused(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.graded(line(price={"net": "31.20", "tax": "7.80", "gross": "39.50"}))
    state, because = hub.state()
    assert (hub.updates(), state) == ([], "dead") and "gross is 39.50" in because


def test_14_yen_have_no_decimals(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera", "quantity": 2}, currency="JPY")
    price = {"net": "910", "tax": "91", "gross": "1001", "currency": "JPY"}
    hub.graded(line(accepted=1, rejected=1, price=price), currency="JPY")
    body = sent(hub, "wms_update")
    assert b'"grossAmount":1001}' in body and b'"grossAmount":0}' in body
    assert hub.state()[0] == "done"


@pytest.mark.parametrize("more", [{"reasons": [{"code": "TOO_ORANGE"}]}, {"condition": "TOO_ORANGE"}])
def test_14_a_code_that_nobody_translated_waits_and_is_named(hub: NshiftHub, more: dict[str, Any]) -> None:
    hub.opens({"sku": "hera"})
    hub.graded(line(**more))
    state, because = hub.state()
    assert (hub.updates(), state) == ([], "parked") and "'TOO_ORANGE'" in because


@pytest.mark.parametrize(
    ("field", "sent_as"),
    [
        ("altForwardOrderIds", [{"type": "magentoId", "value": "10000254585"}]),
        ("alternativeOrderIds", ["10000254585"]),
        ("none", None),
    ],
)
def test_other_order_numbers_go_under_one_name(make: Make, field: str, sent_as: Any) -> None:
    hub = make(alternative_ids_field=field, alternative_ids_type="magentoId")
    hub.opens({"sku": "hera"})
    hub.graded(line(), orders=[{"number": "A-1", "alternatives": ["10000254585"]}])
    told = hub.updates()[0]
    assert {key: told[key] for key in told if key.startswith("alt")} == ({} if sent_as is None else {field: sent_as})


def test_the_number_of_a_return_is_always_text(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.graded(line())
    assert hub.updates()[0]["returnId"] == "4711"


def sent(hub: NshiftHub, operation: str) -> bytes:
    """The first request of an operation, byte for byte."""
    return next(dumps(request.body) for request in hub.http.requests if request.operation == operation)
