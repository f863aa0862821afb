"""The simulated nShift takes, refuses and lists as the vendor's documents say; their examples go through as given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.core.site import Site
from app.pipeline.rehearse import body_faults
from connectors.nshift.simulator import create_app
from tests.connectors.example_site import ROOT

AUTH = {"Authorization": "Basic c2ltLXVzZXI6c2ltLXRva2Vu"}
CREATED = "2026-11-20T09:30:00Z"
SAID: dict[str, Any] = {
    "forwardOrderId": "A-1",
    "returnId": "4711",
    "updatedAt": "2026-11-22T10:00:00Z",
    "itemCount": 1,
}
ITEM: dict[str, Any] = {
    **{"forwardOrderItemId": "1", "sku": "hera", "isAccepted": True},
    **{"netAmount": 39.0, "taxAmount": 0.0, "grossAmount": 39.0},
}


@pytest.fixture
def vendor() -> FlaskClient:
    return create_app().test_client()


def seed(vendor: FlaskClient, *items: dict[str, Any], **more: Any) -> None:
    record = {"returnOrderId": 4711, "orderId": "A-1", "createdAt": CREATED, "items": list(items) or [{"sku": "hera"}]}
    answer = vendor.post("/_sim/seed", json={"now": "2026-11-22T10:00:05Z", "returns": [record], **more})
    assert answer.status_code == 200, answer.text


def update(vendor: FlaskClient, *items: dict[str, Any], **more: Any) -> Any:
    told = {**SAID, "items": list(items) or [ITEM], **more}
    return vendor.post("/public-api/v3/wms-update", json={"returns": [told]}, headers=AUTH)


def listed(vendor: FlaskClient, **query: str) -> Any:
    return vendor.get("/public-api/v3/return-orders", query_string=query, headers=AUTH).json


def state(vendor: FlaskClient) -> str:
    return str(listed(vendor)["records"][0]["status"])


def fixture(name: str) -> Any:
    return json.loads((ROOT / "connectors" / "nshift" / "fixtures" / f"{name}.json").read_text(encoding="utf-8"))


# --- the vendor's examples -----------------------------------------------------------------------


def test_the_vendors_result_is_valid_and_taken_as_given(site: Site, vendor: FlaskClient) -> None:
    body = fixture("wms_update__vendor_example")
    assert body_faults(site.connectors["nshift"].operations["wms_update"], body) == []
    items = [{"sku": sku, "orderItemId": "1"} for sku in ("hera", "heras")]
    # Its itemCount is 1 and its items are 2: no rule of counting makes both right.
    told = {"returnOrderExtId": "20230221435", "orderId": "20230221435", "items": items}
    seed(vendor, returns=[told], quirks={"count_items": "nothing"})
    assert vendor.post("/wms-update", json=body, headers=AUTH).status_code == 200
    assert state(vendor) == "processed"


def test_the_vendors_order_is_taken_as_given(vendor: FlaskClient) -> None:
    body = fixture("push_orders__vendor_example")
    assert vendor.post("/push-api/push-orders-consolidated", json=body, headers=AUTH).status_code == 200


def test_errors_have_the_vendors_form(vendor: FlaskClient) -> None:
    answer = vendor.post("/wms-update", json={}, headers=AUTH)
    assert set(answer.json) == set(fixture("wms_update__bad_request")) == {"code", "error", "message", "timestamp"}
    assert (answer.status_code, answer.json["code"], answer.json["error"]) == (400, 400, "Bad Request")


# --- updates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "after"),
    [
        (ITEM, "processed"),
        ({**ITEM, "isAccepted": False}, "processed"),
        ({**ITEM, "isAccepted": False, "isPresent": False}, "awaiting_review"),
    ],
)
def test_an_update_decides_a_return_and_a_missing_item_leaves_it_in_review(
    vendor: FlaskClient, item: dict[str, Any], after: str
) -> None:
    seed(vendor)
    assert update(vendor, item).status_code == 200
    assert state(vendor) == after
    record = listed(vendor)["records"][0]
    assert (record["grossRefundItemsTotal"], record["updatedAt"]) == (39.0, "2026-11-22T10:00:05.000Z")


def test_only_exactly_the_items_of_the_return_are_taken(vendor: FlaskClient) -> None:
    seed(vendor, {"sku": "hera", "quantity": 2})
    assert "2 items, the request 1" in update(vendor).json["message"]
    assert "itemCount is 1" in update(vendor, ITEM, ITEM).json["message"]
    assert "sku heras" in update(vendor, ITEM, {**ITEM, "sku": "heras"}, itemCount=2).json["message"]
    assert state(vendor) == "not_processed"
    assert update(vendor, {**ITEM, "quantity": 2}, itemCount=2).status_code == 200


@pytest.mark.parametrize("status", [200, 400, 409])
def test_a_processed_return_cannot_be_told_again(vendor: FlaskClient, status: int) -> None:
    seed(vendor, quirks={"already_processed": status})
    update(vendor)
    assert update(vendor, {**ITEM, "isAccepted": False}).status_code == status
    assert listed(vendor)["records"][0]["items"][0]["status"] == "APPROVED"


@pytest.mark.parametrize("more", [{"returnId": "9"}, {"forwardOrderId": "A-2"}])
def test_an_unknown_return_is_refused(vendor: FlaskClient, more: dict[str, Any]) -> None:
    seed(vendor)
    assert update(vendor, **more).status_code == 400


# --- orders --------------------------------------------------------------------------------------


def order(number: str, **more: Any) -> dict[str, Any]:
    variant = {"productName": "Sofa", "sku": "SOFA"}
    item = {"orderItemId": "1", "statusOfDelivery": "DELIVERED", "productVariant": variant, **more}
    return {"orderId": number, "marketCode": "root", "customer": {"customerId": "c-1"}, "items": [item]}


def test_one_bad_order_refuses_the_whole_list(vendor: FlaskClient) -> None:
    path = "/push-api/push-orders-consolidated"
    for quantity in (1, 99):
        both = [order("A-1"), order("A-2", quantity=quantity)]
        assert vendor.post(path, json=both, headers=AUTH).status_code == 400
    assert vendor.post("/_sim/seed", json={}).json["orders"] == 0
    assert vendor.post(path, json=[order("A-1"), order("A-2", quantity=98)], headers=AUTH).status_code == 200
    assert vendor.post("/_sim/seed", json={}).json["orders"] == 2


# --- the list ------------------------------------------------------------------------------------


def test_a_window_holds_what_was_created_or_changed_in_it(vendor: FlaskClient) -> None:
    seed(vendor)
    assert (
        listed(vendor, createdAfter="2026-11-20T09:29:59Z", createdBefore="2026-11-20T09:30:01Z")["totalRecords"] == 1
    )
    assert listed(vendor, createdAfter="2026-11-20T09:30:01Z")["totalRecords"] == 0
    update(vendor)
    assert listed(vendor, updatedAfter="2026-11-22T10:00:00Z")["totalRecords"] == 1


def test_a_hidden_cap_cuts_the_records_and_not_their_number(vendor: FlaskClient) -> None:
    rows = [{"orderId": f"A-{number}", "items": [{"sku": "hera"}]} for number in range(5)]
    vendor.post("/_sim/seed", json={"returns": rows, "quirks": {"page_cap": 2}})
    answer = listed(vendor)
    assert (len(answer["records"]), answer["totalRecords"]) == (2, 5)


def test_a_plus_that_is_not_quoted_is_a_blank(vendor: FlaskClient) -> None:
    path = "/return-orders?updatedAfter=2026-11-20T09:30:00"
    assert vendor.get(path + "+05:00", headers=AUTH).status_code == 400
    assert vendor.get(path + "%2B05:00", headers=AUTH).status_code == 200


def test_a_page_cannot_be_asked_for(vendor: FlaskClient) -> None:
    assert vendor.get("/return-orders?page=1", headers=AUTH).status_code == 400


def test_who_has_no_password_is_told_so(vendor: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Bearer sim-token"}, {"Authorization": "Basic eDp5"}):
        assert vendor.get("/return-orders", headers=headers).status_code == 401
