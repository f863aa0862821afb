"""The simulated Digital River behaves as its public documents say."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from connectors.digital_river.simulator import SECRET, create_app
from connectors.simkit import TOKEN, Simulator
from connectors.simserve import running
from tests.connectors.digital_river_site import MUG, ORDER, SHIRT

AUTH = {"Authorization": f"Bearer {TOKEN}"}
WANTED = {
    "fulfillmentOrderId": "9292981838",
    "upstreamId": "192251820336",
    "items": [{"fulfillmentOrderItemId": SHIRT, "quantity": 2}],
}
REFUND = {"orderId": "192251820336", "currency": "USD", "items": [{"itemId": "8001", "quantity": 2}]}


@pytest.fixture
def vendor() -> Iterator[FlaskClient]:
    with create_app().test_client() as client:
        client.post("/_sim/seed", json={"orders": [ORDER]})
        yield client


def get(vendor: FlaskClient, path: str, **query: Any) -> Any:
    return vendor.get(path, query_string=query, headers=AUTH)


def post(vendor: FlaskClient, path: str, body: Any) -> Any:
    return vendor.post(path, json=body, headers=AUTH)


def asked(vendor: FlaskClient, **more: Any) -> str:
    """The id of a return that was asked for."""
    answer = post(vendor, "/fulfillment-returns", {**WANTED, **more})
    assert answer.status_code == 201
    return str(answer.json["id"])


def types(vendor: FlaskClient) -> list[str]:
    """The events so far, oldest first."""
    return [event["type"] for event in reversed(get(vendor, "/events", limit=100).json["data"])]


def test_ids_of_fulfillment_orders_are_numbers_and_text_in_returns(vendor: FlaskClient) -> None:
    order = get(vendor, "/fulfillment-orders/9292981838").json
    assert (order["id"], order["items"][0]["id"]) == (9292981838, 12345678901234567890)
    made = post(vendor, "/fulfillment-returns", WANTED).json
    assert made["fulfillmentOrderId"] == "9292981838"
    assert made["items"][0]["fulfillmentOrderItemId"] == SHIRT


def test_a_return_goes_from_created_over_pending_to_accepted_and_tells_each_step(vendor: FlaskClient) -> None:
    id_ = asked(vendor)
    made = get(vendor, f"/fulfillment-returns/{id_}").json
    assert (made["state"], made["type"], made["items"][0]["state"], "location" in made) == (
        "created",
        "client",
        "pending",
        False,
    )
    approved = vendor.post("/_sim/fulfill", json={"return": id_, "do": "approve"}).json
    assert (approved["state"], approved["items"][0]["state"]) == ("pending", "pending")
    assert approved["location"]["address"]["city"] == "Memphis"
    part = vendor.post("/_sim/fulfill", json={"return": id_, "do": "accept", "items": {SHIRT: 1}}).json
    assert (part["state"], part["items"][0]["quantity"], part["items"][0]["quantityAccepted"]) == ("accepted", 2, 1)
    assert types(vendor) == [f"fulfillment_return.{word}" for word in ("created", "pending", "accepted")]


def test_the_rest_of_a_partial_acceptance_may_have_no_event(vendor: FlaskClient) -> None:
    id_ = asked(vendor)
    vendor.post("/_sim/fulfill", json={"return": id_, "do": "accept", "items": {SHIRT: 1}})
    vendor.post("/_sim/fulfill", json={"return": id_, "do": "accept", "quiet": True})
    assert get(vendor, f"/fulfillment-returns/{id_}").json["items"][0]["quantityAccepted"] == 2
    assert types(vendor).count("fulfillment_return.accepted") == 1


def test_a_rejected_return_and_one_that_nobody_asked_for(vendor: FlaskClient) -> None:
    rejected = vendor.post("/_sim/fulfill", json={"return": asked(vendor), "do": "reject"}).json
    assert (rejected["state"], rejected["items"][0]["state"]) == ("rejected", "rejected")
    item = {"fulfillmentOrderItemId": MUG, "quantity": 1}
    made = vendor.post("/_sim/fulfill", json={"warehouse": {"fulfillmentOrderId": "9292981838", "items": [item]}}).json
    assert made["type"] == "warehouse" and "upstreamId" not in made
    assert vendor.post("/_sim/fulfill", json={"return": "ret_0", "do": "approve"}).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"fulfillmentOrderId": "1"}, 400, "invalid_parameter"),
        ({"fulfillmentOrderId": 9292981838}, 400, "invalid_format"),
        ({"items": []}, 400, "missing_parameter"),
        ({"items": [{"fulfillmentOrderItemId": "1", "quantity": 1}]}, 400, "invalid_parameter"),
        ({"items": [{"fulfillmentOrderItemId": SHIRT, "quantity": 0}]}, 400, "invalid_parameter"),
        ({"items": [{"fulfillmentOrderItemId": SHIRT, "quantity": 4}]}, 409, "quantity_too_large"),
    ],
)
def test_what_is_wrong_is_told_in_the_vendors_shape(
    vendor: FlaskClient, change: dict[str, Any], status: int, code: str
) -> None:
    answer = post(vendor, "/fulfillment-returns", {**WANTED, **change})
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (status, code)
    assert answer.json["type"] in ("bad_request", "conflict")


def test_what_every_simulator_refuses_has_the_vendors_shape_too(vendor: FlaskClient) -> None:
    answer = vendor.get("/fulfillment-returns")
    assert (answer.status_code, answer.json["type"]) == (401, "unauthorized")
    vendor.post("/_sim/misbehave", json={"operation": "list_refunds", "mode": "429", "retry_after": 120})
    limited = get(vendor, "/refunds")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "120")
    assert limited.json["type"] == "too_many_requests"
    assert get(vendor, "/refunds/re_0").json["errors"][0]["code"] == "not_found"


def test_lists_go_on_behind_an_id_while_there_is_more(vendor: FlaskClient) -> None:
    made = [asked(vendor, items=[{"fulfillmentOrderItemId": MUG, "quantity": 1}]) for _ in range(12)]
    first = get(vendor, "/fulfillment-returns").json
    assert (len(first["data"]), first["hasMore"]) == (10, True)
    rest = get(vendor, "/fulfillment-returns", startingAfter=first["data"][-1]["id"]).json
    assert rest["hasMore"] is False
    assert [row["id"] for row in first["data"] + rest["data"]] == made[::-1]
    for wrong in ({"limit": 101}, {"limit": "x"}, {"startingAfter": "ret_0"}):
        assert get(vendor, "/fulfillment-returns", **wrong).status_code == 400


def test_lists_take_filters_one_value_at_a_time(vendor: FlaskClient) -> None:
    vendor.post("/_sim/fulfill", json={"return": asked(vendor), "do": "approve"})
    other = asked(vendor, upstreamId="other")
    assert [row["id"] for row in get(vendor, "/fulfillment-returns", state="created").json["data"]] == [other]
    assert [row["id"] for row in get(vendor, "/fulfillment-returns", upstreamIds="other").json["data"]] == [other]
    late = {"createdTime[gte]": "2999-01-01T00:00:00.000Z"}
    assert get(vendor, "/fulfillment-returns", **late).json["data"] == []


def test_fulfillment_orders_are_listed_without_a_word_whether_there_are_more(vendor: FlaskClient) -> None:
    answer = get(vendor, "/fulfillment-orders", upstreamIds="192251820336").json
    assert list(answer) == ["data"]
    assert [row["id"] for row in answer["data"]] == [9292981838]


def test_a_refund_is_taken_first_and_paid_or_failed_later(vendor: FlaskClient) -> None:
    made = post(vendor, "/refunds", {**REFUND, "metadata": {"backhaul_key": "k"}}).json
    assert (made["state"], made["amount"], made["refundedAmount"]) == ("pending", 20.0, 0)
    paid = vendor.post("/_sim/settle", json={"refund": made["id"], "state": "succeeded"}).json
    assert (paid["state"], paid["refundedAmount"]) == ("succeeded", 20.0)
    assert types(vendor)[-2:] == ["refund.pending", "refund.complete"]
    assert get(vendor, "/refunds", orderId="192251820336").json["data"][0]["metadata"] == {"backhaul_key": "k"}


def test_no_more_is_refunded_than_was_paid_and_what_failed_does_not_count(vendor: FlaskClient) -> None:
    first = post(vendor, "/refunds", REFUND).json
    refused = post(vendor, "/refunds", REFUND)
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (400, "invalid_parameter")
    assert "greater than the available" in refused.json["errors"][0]["message"]
    vendor.post("/_sim/settle", json={"refund": first["id"], "state": "failed", "because": "account closed"})
    assert post(vendor, "/refunds", REFUND).status_code == 201
    assert types(vendor)[-2:] == ["refund.failed", "refund.pending"]


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "EUR"},
        {"orderId": "1"},
        {"amount": 5},
        {"items": [{"itemId": SHIRT, "quantity": 1}]},
        {"metadata": {"deep": {}}},
        {"items": [], "amount": 1000},
    ],
)
def test_a_refund_that_does_not_fit_its_order_is_refused(vendor: FlaskClient, change: dict[str, Any]) -> None:
    assert post(vendor, "/refunds", {**REFUND, **change}).status_code == 400


def test_webhooks_are_managed(vendor: FlaskClient) -> None:
    assert post(vendor, "/webhooks", {}).status_code == 400
    made = post(vendor, "/webhooks", {"address": "https://hub.example.com", "types": ["fulfillment_return.*"]}).json
    path = f"/webhooks/{made['id']}"
    assert vendor.patch(path, json={"enabled": False}, headers=AUTH).json["enabled"] is False
    assert get(vendor, "/webhooks").json["data"][0]["id"] == made["id"]
    assert get(vendor, path).json["address"] == "https://hub.example.com"
    assert vendor.delete(path, headers=AUTH).status_code == 204
    assert vendor.delete(path, headers=AUTH).status_code == 404


@pytest.mark.parametrize(("refusals", "tries", "statuses", "untaken"), [(0, 3, [202], 0), (2, 3, [500, 500, 202], 0),
                                                                       (9, 3, [500, 500, 500], 1)])  # fmt: skip
def test_an_event_is_sent_again_under_its_id_with_a_new_signature_until_it_is_taken(
    vendor: FlaskClient, refusals: int, tries: int, statuses: list[int], untaken: int
) -> None:
    asked(vendor)
    hub, came = Flask("hub"), []
    hub.extensions["simulator"] = Simulator("hub")

    @hub.post("/webhooks/digital_river")
    def take() -> tuple[str, int]:
        came.append((request.headers["DigitalRiver-Signature"], request.get_data()))
        return "", 500 if len(came) <= refusals else 202

    vendor.post("/_sim/secrets", json={"secrets": ["next", SECRET]})
    with running(hub) as url:
        told = vendor.post("/_sim/send", json={"url": f"{url}/webhooks/digital_river", "tries": tries}).json
    assert told == {"statuses": statuses, "untaken": untaken}
    assert len({json.loads(body)["id"] for _, body in came}) == 1
    for header, body in came:
        stamp, *signatures = header.split(", ")
        digests = [hmac.digest(key, f"{stamp}.".encode() + body, "sha256") for key in (b"next", SECRET.encode())]
        assert signatures == [base64.b64encode(digest).decode() for digest in digests]
