"""Orders on their way to nShift: dates, quantities, amounts, and one bad order among many."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app.core.site import Site
from app.errors import DataError
from app.pipeline.rehearse import body_faults, render_call
from connectors.nshift.simulator import create_app
from tests.connectors.nshift_kit import Make, make, nshift, sqlite_ledger
from tests.connectors.nshift_site import ORDER_ROUTES

__all__ = ["make", "nshift", "sqlite_ledger"]  # fixtures

AUTH = {"Authorization": "Basic c2ltLXVzZXI6c2ltLXRva2Vu"}
LINE = {
    "key": "1",
    "sku": "SOFA",
    "title": "Sofa",
    "quantity": 1,
    "price": {"net": "8.50", "tax": "2.50", "gross": "11.00"},
}
ORDER: dict[str, Any] = {
    "id": "A-1",
    "source": "store",
    "state": "delivered",
    "currency": "SEK",
    "customer": {"id": "c-1"},
    "lines": [LINE],
}
SETTINGS = {"amounts": "line", "market_code": "root", "shipped_is_delivered": False}
Push = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def push(site: Site) -> Push:
    """The order as it is pushed; it fits the schema, unless `faults` are wanted instead."""
    mapping = site.mappings["order.to_nshift_orders"]
    operation = site.connectors["nshift"].operations["push_orders"]

    def render(settings: dict[str, Any] = SETTINGS, **order: Any) -> dict[str, Any]:
        names = {
            "order": {**ORDER, **order},
            "change": {},
            "settings": settings,
            "answers": [],
            "raw": {},
            "source": "",
        }
        _, body = render_call(mapping, names, lambda use, seen: "")
        assert isinstance(body, list) and len(body) == 1
        assert body_faults(operation, body) == []
        return dict(body[0])

    return render


@pytest.fixture
def vendor() -> FlaskClient:
    return create_app().test_client()


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2023-01-20T18:54:11.627+01:00[UTC]", "2023-01-20T17:54:11.627Z"),
        ("2016-12-20T00:00Z", "2016-12-20T00:00:00.000Z"),
        ("2023-01-20T18:54:11.627+01:00", "2023-01-20T17:54:11.627Z"),
    ],
)
def test_15_dates_go_out_in_utc(push: Push, written: str, sent: str) -> None:
    order = push(created_at=written, updated_at=written, shipped_at=written)
    assert {order[name] for name in ("createdAt", "updatedAt", "shipmentDate")} == {sent}


@pytest.mark.parametrize(
    ("quantity", "items"), [(1, [None]), (2, [2]), (98, [98]), (99, [98, None]), (150, [98, 52]), (196, [98, 98])]
)
def test_15_one_is_not_said_and_more_than_98_are_split(push: Push, quantity: int, items: list[int | None]) -> None:
    order = push(lines=[{**LINE, "quantity": quantity}])
    assert [item.get("quantity") for item in order["items"]] == items
    assert sum(item["grossAmount"] for item in order["items"]) == 11 * quantity
    assert {item["orderItemId"] for item in order["items"]} == {"1"}


amounts = st.decimals(min_value=0, max_value=10_000, places=2)


@given(quantity=st.integers(1, 500), net=amounts, tax=amounts)
def test_15_split_amounts_add_up_and_fit_each_other(site: Site, quantity: int, net: Decimal, tax: Decimal) -> None:
    push: Push = _unwrapped(site)
    price = {"net": str(net), "tax": str(tax), "gross": str(net + tax)}
    items = push(lines=[{**LINE, "quantity": quantity, "price": price}])["items"]
    assert sum(item["grossAmount"] for item in items) == (net + tax) * quantity
    assert all(item["netAmount"] + item["taxAmount"] == item["grossAmount"] for item in items)
    assert sum(item.get("quantity", 1) for item in items) == quantity


def test_15_attributes_are_a_list_in_the_order_of_their_names(push: Push) -> None:
    one = push(lines=[{**LINE, "attributes": {"size": "XL", "color": "red"}}])
    other = push(lines=[{**LINE, "attributes": {"color": "red", "size": "XL"}}])
    assert one == other
    assert one["items"][0]["productVariant"]["attributes"] == [
        {"name": "color", "value": "red"},
        {"name": "size", "value": "XL"},
    ]


def test_15_the_body_is_a_bare_list_that_nshift_takes(push: Push, vendor: FlaskClient) -> None:
    sent = [{key: _plain(value) for key, value in push().items()}]
    assert vendor.post("/push-api/push-orders-consolidated", json=sent, headers=AUTH).status_code == 200
    assert vendor.post("/push-api/push-orders-consolidated", json={"orders": sent}, headers=AUTH).status_code == 400


@pytest.mark.parametrize("lost", ["sku", "key"])
def test_15_a_line_that_the_warehouse_could_never_name_is_refused(push: Push, lost: str) -> None:
    with pytest.raises(DataError, match=f"{lost} is missing|{lost}"):
        push(lines=[{name: value for name, value in LINE.items() if name != lost}])


def test_an_order_without_currency_is_refused(push: Push) -> None:
    with pytest.raises(DataError, match="currency"):
        push(currency=None)


def test_a_guest_is_the_same_customer_each_time(push: Push) -> None:
    one, other = push(customer={"email": "Robin@Example.com "}), push(customer={"email": "robin@example.com"})
    assert one["customerId"] == one["customer"]["customerId"] == other["customerId"]
    assert one["customerId"].startswith("guest-") and "robin" not in one["customerId"]


@pytest.mark.parametrize(
    ("order", "line", "shipped_counts", "told"),
    [
        ("placed", "placed", False, "PENDING"),
        ("changed", "delivered", False, "DELIVERED"),
        ("delivered", "placed", False, "DELIVERED"),
        ("shipped", "placed", False, "PENDING"),
        ("shipped", "placed", True, "DELIVERED"),
        ("cancelled", "delivered", True, "PENDING"),
    ],
)
def test_only_what_is_delivered_may_be_returned(
    push: Push, order: str, line: str, shipped_counts: bool, told: str
) -> None:
    settings = {**SETTINGS, "shipped_is_delivered": shipped_counts}
    made = push(settings, state=order, lines=[{**LINE, "state": line}])
    assert made["items"][0]["statusOfDelivery"] == told
    assert (made["isPending"], made["isCancelled"]) == (order == "placed", order == "cancelled")


@pytest.mark.parametrize(("delivered", "told"), [(0, "PENDING"), (1, "PENDING"), (2, "DELIVERED")])
def test_a_line_is_delivered_once_all_of_it_is(push: Push, delivered: int, told: str) -> None:
    made = push(state="shipped", lines=[{**LINE, "quantity": 2, "delivered": delivered}])
    assert made["items"][0]["statusOfDelivery"] == told


def test_a_line_without_a_quantity_is_one(push: Push) -> None:
    (item,) = push(lines=[{name: value for name, value in LINE.items() if name != "quantity"}])["items"]
    assert "quantity" not in item and item["grossAmount"] == 11


def test_yen_have_no_decimals_in_orders_either(push: Push) -> None:
    made = push(currency="JPY", lines=[{**LINE, "price": {"net": "910", "tax": "91", "gross": "1001"}}])
    assert str(made["items"][0]["grossAmount"]) == "1001"


def test_an_address_goes_out_whole_and_only_with_a_street(push: Push) -> None:
    place = {"street": "Elm Street", "house_number": "4", "address_addition": "b", "city": "Hull", "country": "GB"}
    address = push(customer={"id": "c-1", **place})["customer"]["deliveryAddress"]
    assert address == {"streetAddress": "Elm Street 4 b", "city": "Hull", "country": "GB"}
    elsewhere = push(customer={"id": "c-1", **place}, ship_to={"street": "Oak Street", "city": "York"})
    assert elsewhere["customer"]["deliveryAddress"] == {"streetAddress": "Oak Street", "city": "York"}
    assert "deliveryAddress" not in push(customer={"id": "c-1", "city": "Hull"})["customer"]


# --- through the hub -----------------------------------------------------------------------------


def orders(make: Make) -> Any:
    """A hub that pushes what the shop tells."""
    return make({"config/routes.yaml": f"routes:{ORDER_ROUTES}"})


def test_15_one_bad_order_of_fifty_blocks_no_other(make: Make) -> None:
    hub = orders(make)
    for number in range(50):
        line = {key: value for key, value in LINE.items() if key != "sku" or number != 17}
        hub.ordered(**{**ORDER, "id": f"A-{number}", "lines": [line]})
    hub.run()
    states = sorted(row["state"] for row in hub.ledger.deliveries({}, 100))
    assert states == ["dead"] + ["done"] * 49
    assert len(hub.sim.effects()) == 49


def test_15_an_order_whose_total_differs_goes_out_and_it_is_said(make: Make) -> None:
    hub = orders(make)
    hub.ordered(**ORDER, totals={"net": "27", "tax": "5", "gross": "32.0"})
    hub.run()
    assert hub.state()[0] == "done"
    assert hub.received("push_orders")[0].body[0]["grossTotal"] == 32


def test_a_later_change_and_a_cancellation_are_pushed_again(make: Make) -> None:
    hub = orders(make)
    hub.ordered(**{**ORDER, "version": 1, "state": "placed"})
    hub.run()
    hub.ordered(**{**ORDER, "version": 2, "state": "cancelled"})
    hub.run()
    told = [one.body[0] for one in hub.received("push_orders")]
    assert (told[0]["isCancelled"], told[-1]["isCancelled"]) == (False, True)


def test_a_push_whose_answer_is_lost_waits_for_a_person_and_is_not_repeated(make: Make) -> None:
    hub = orders(make)
    hub.sim.misbehave("push_orders", "drop")
    hub.ordered(**ORDER)
    hub.run()
    hub.later(3600)
    assert (hub.state()[0], len(hub.received("push_orders"))) == ("in_doubt", 1)


def test_who_knows_that_orders_may_be_pushed_twice_pushes_again_after_a_lost_answer(make: Make) -> None:
    routes = ORDER_ROUTES.replace("nshift.push_orders,", "nshift.push_orders_repeatable,")
    hub = make({"config/routes.yaml": f"routes:{routes}"})
    hub.sim.misbehave("push_orders", "drop")
    hub.ordered(**ORDER)
    hub.run()
    hub.later(3600)
    assert (hub.state()[0], len(hub.received("push_orders"))) == ("done", 2)


def _unwrapped(site: Site) -> Push:
    # A fixture would be made anew for each example.
    return push.__wrapped__(site)  # type: ignore[attr-defined,no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
