"""The returns platform's simulator reads, lists and sends as the vendor's documents say."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from connectors.returnista.samples import ACCOUNT
from connectors.returnista.simulator import SECRET, create_app
from connectors.simkit import TOKEN, Simulator
from connectors.simserve import running

AUTH = {"Authorization": f"Bearer {TOKEN}"}
LINE = {"order": "#1004800", "sku": "TEE-RED-M"}


@pytest.fixture
def platform() -> Iterator[FlaskClient]:
    with create_app().test_client() as client:
        yield client


def seed(platform: FlaskClient, *specs: dict[str, Any], **more: Any) -> Any:
    return platform.post("/_sim/seed", json={"build": [{"lines": [LINE], **spec} for spec in specs], **more}).json


def get(platform: FlaskClient, path: str, **query: Any) -> Any:
    return platform.get(f"/api/v0/account/{ACCOUNT}/{path}", query_string=query, headers=AUTH)


def test_expansions_are_given_only_when_asked_for(platform: FlaskClient) -> None:
    seed(platform, {"id": "ro-1", "parcels": [{}]})
    assert "shipments" not in get(platform, "return-order/ro-1").json
    whole = get(platform, "return-order/ro-1", expand=["shipments", "returnRequests", "consumer"]).json
    assert len(whole["shipments"]) == len(whole["returnRequests"]) == 1
    assert whole["consumer"]["email"] == "robin@example.com"


def test_a_comma_list_is_no_expansion(platform: FlaskClient) -> None:
    seed(platform, {"id": "ro-1", "parcels": [{}]})
    assert "shipments" not in get(platform, "return-order/ro-1", expand="shipments,returnRequests").json


def test_it_answers_with_and_without_its_prefix_and_only_with_its_token(platform: FlaskClient) -> None:
    seed(platform, {"id": "ro-1"})
    assert platform.get(f"/account/{ACCOUNT}/return-order/ro-1", headers=AUTH).status_code == 200
    assert platform.get(f"/account/{ACCOUNT}/return-order/ro-1").status_code == 401


def test_a_return_order_becomes_visible_after_some_reads(platform: FlaskClient) -> None:
    seed(platform, {"id": "ro-1"}, visible_after={"ro-1": 2})
    assert [get(platform, "return-order/ro-1").status_code for _ in range(3)] == [404, 404, 200]


def test_what_is_not_there_is_told_in_the_vendors_error_shape(platform: FlaskClient) -> None:
    assert get(platform, "return-order/none").json["errors"][0]["message"] == "no return order none"


def test_a_quantity_of_three_is_three_requests_of_one_purchase(platform: FlaskClient) -> None:
    (built,) = seed(platform, {"lines": [{**LINE, "quantity": 3}]})["built"]
    assert len({one["id"] for one in built["returnRequests"]}) == 3
    assert len({one["purchaseId"] for one in built["returnRequests"]}) == 1
    assert "quantity" not in built["returnRequests"][0]


def test_one_request_is_read_under_both_spellings_of_its_path(platform: FlaskClient) -> None:
    (built,) = seed(platform, {"id": "ro-1"})["built"]
    wanted = built["returnRequests"][0]
    for segment in ("return-request", "return-requests"):
        assert get(platform, f"{segment}/{wanted['id']}").json == wanted


@pytest.mark.parametrize("quirk", ["", "short_pages", "repeat_last", "no_next_page"])
def test_a_list_read_to_its_end_has_every_return_order(platform: FlaskClient, quirk: str) -> None:
    seed(platform, *({"id": f"ro-{n:02d}"} for n in range(23)), quirks={quirk: True})
    found, page, more = [], 1, True
    while more:
        answer = get(platform, "return-orders", limit=10, page=page).json
        found += [row["id"] for row in answer["data"]]
        page, more = answer.get("nextPage") or page + 1, answer["hasMore"]
    assert set(found) == {f"ro-{n:02d}" for n in range(23)}
    assert (len(found) > 23) == (quirk == "repeat_last")


def test_a_stuck_list_names_the_same_page_again(platform: FlaskClient) -> None:
    seed(platform, {"id": "ro-1"}, quirks={"next_page_stuck": True})
    answer = get(platform, "return-orders", page=1).json
    assert (answer["hasMore"], answer["nextPage"]) == (True, 1)


def test_a_page_holds_50_at_most(platform: FlaskClient) -> None:
    assert get(platform, "return-orders", limit=51).status_code == 400


def test_a_filter_is_kept_unless_the_platform_ignores_it(platform: FlaskClient) -> None:
    old, new = {"id": "a", "updated_at": "2026-01-01T00:00Z"}, {"id": "b", "updated_at": "2026-02-01T00:00Z"}
    seed(platform, old, new)
    wanted = {"filter": "updatedAt>=2026-02-01T00:00Z"}
    assert [row["id"] for row in get(platform, "return-orders", **wanted).json["data"]] == ["b"]
    seed(platform, quirks={"ignore_filter": True})
    assert len(get(platform, "return-orders", **wanted).json["data"]) == 2


def test_webhook_subscriptions_are_made_and_taken_away(platform: FlaskClient) -> None:
    path = f"/account/{ACCOUNT}/webhook-subscription"
    made = platform.post(
        path, json={"url": "https://hub.example.com", "eventName": "shipment.label_created"}, headers=AUTH
    )
    assert made.status_code == 201
    assert platform.delete(f"{path}/{made.json['id']}", headers=AUTH).status_code == 200
    assert platform.delete(f"{path}/{made.json['id']}", headers=AUTH).status_code == 404


@pytest.fixture
def hub() -> Iterator[tuple[str, list[tuple[bytes, str]]]]:
    """A receiver that keeps the raw body and the signature of what it gets."""
    app, got = Flask("receiver"), []
    app.extensions["simulator"] = Simulator("receiver")

    @app.post("/webhooks/<name>")
    def webhook(name: str) -> str:
        got.append((request.get_data(), request.headers["X-Signature"]))
        return name

    with running(app) as url:
        yield f"{url}/webhooks/returnista_eu", got


def test_a_webhook_is_signed_over_its_raw_bytes(platform: FlaskClient, hub: Any) -> None:
    url, got = hub
    seed(platform, {"id": "ro-1", "parcels": [{"id": "s-1"}]})
    answer = platform.post("/_sim/send", json={"event": "shipment.label_created", "id": "s-1", "url": url}).json
    assert answer["statuses"] == [200]
    ((body, signature),) = got
    assert signature == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    event = json.loads(body)
    assert (event["event"], event["data"]["returnOrderId"]) == ("shipment.label_created", "ro-1")
    assert not {"purchaseOrderNumbers", "returnRequests"} & set(event["data"])


def test_copies_are_equal_and_may_come_at_once(platform: FlaskClient, hub: Any) -> None:
    url, got = hub
    seed(platform, {"id": "ro-1", "parcels": [{"id": "s-1"}]})
    wanted = {"event": "shipment.label_created", "id": "s-1", "url": url, "copies": 10, "concurrent": True}
    assert platform.post("/_sim/send", json=wanted).json["statuses"] == [200] * 10
    assert len(got) == 10
    assert len(set(got)) == 1


def test_a_tampered_webhook_carries_the_signature_of_other_bytes(platform: FlaskClient, hub: Any) -> None:
    url, got = hub
    seed(platform, {"id": "ro-1"})
    platform.post("/_sim/send", json={"event": "return_order.created", "id": "ro-1", "url": url, "tamper": True})
    ((body, signature),) = got
    assert signature != hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def test_an_event_about_nothing_is_refused(platform: FlaskClient) -> None:
    answer = platform.post("/_sim/send", json={"event": "shipment.label_created", "id": "s-9", "url": "http://x"})
    assert answer.status_code == 404
