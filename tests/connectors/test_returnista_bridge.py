"""Returnista asks the shop through the hub: what was bought, carry this out, make a label."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.simserve import running
from tests.connectors.returnista_kit import Hub, running_hub
from tests.connectors.returnista_site import BRIDGE_SECRET, BRIDGE_TOKEN
from tests.support import HandClock
from tests.unit.door_kit import opened

ASKED = {"orderNumber": "#1004800", "email": "Robin@example.com", "maxAgeDays": 44}
ORDER = {
    "number": "1004800",
    "email": "robin@example.com",
    "currency": "EUR",
    "lines": [
        {"id": 7001, "sku": "TEE-RED-M", "quantity": 3, "paid": "10.00"},
        {"id": "l-2", "sku": "0012345", "quantity": 1, "paid": "5.50"},
    ],
}
OTHER = {
    **ORDER,
    "number": "1004700",
    "lines": [{"id": "l-9", "sku": "B", "quantity": 1, "paid": "1"}],
}
RESOLVED = {
    "transactionId": "t-1",
    "returnRequests": [
        {
            "id": "rr-1",
            "purchaseId": "7001",
            "purchaseOrderNumber": "#1004800",
            "resolution": {"type": "Refund", "value": {"value": "3.33", "currency": "EUR"}},
        },
        {
            "id": "rr-2",
            "purchaseId": "7001",
            "purchaseOrderNumber": "#1004800",
            "resolution": {"type": "Refund", "value": {"value": "3.34", "currency": "EUR"}},
        },
    ],
}
PARCEL = {
    "shipmentId": "s-1",
    "sender": {
        "firstName": "Robin",
        "street": "Voorbeeldstraat",
        "city": "Utrecht",
        "postalCode": "3500 AA",
        "countryCode": "NL",
    },
    "receiver": {
        "name": "Dock",
        "address": {"street": "Dokweg", "city": "Venlo", "postalCode": "5900 AA", "countryCode": "NL"},
    },
}


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock, tmp_path) as made:
        made.shop.orders = {"1004800": ORDER, "1004700": OTHER}
        yield made


# --- get-purchases -------------------------------------------------------------------------------


def test_each_line_is_a_purchase_and_each_piece_a_unit(hub: Hub) -> None:
    answer = hub.ask("get-purchases", ASKED)
    assert answer.status_code == 200
    assert [(one["id"], len(one["units"])) for one in answer.json] == [("7001", 3), ("l-2", 1)]
    assert [unit["paidAmount"]["value"] for unit in answer.json[0]["units"]] == ["3.33", "3.33", "3.34"]


def test_a_wrong_address_looks_exactly_like_no_such_order(hub: Hub) -> None:
    wrong = hub.ask("get-purchases", {**ASKED, "email": "somebody@example.com"})
    unknown = hub.ask("get-purchases", {**ASKED, "orderNumber": "4711"})
    assert (wrong.status_code, wrong.data) == (unknown.status_code, unknown.data) == (200, b"[]")
    assert set(dict(wrong.headers)) == set(dict(unknown.headers))


@pytest.mark.parametrize("email", ["", None, " ", "robin@example.com.evil.example.com", "%", "*"])
def test_no_address_opens_an_order_but_its_own(hub: Hub, email: Any) -> None:
    assert hub.ask("get-purchases", {**ASKED, "email": email}).json == []
    hub.shop.orders["1004800"] = {**ORDER, "email": ""}
    assert hub.ask("get-purchases", {**ASKED, "email": email}).json == []


def test_other_orders_come_when_asked_for_and_each_line_once(hub: Hub) -> None:
    answer = hub.ask("get-purchases", {**ASKED, "includeOtherOrders": True})
    assert [(one["order"]["orderNumber"], one["id"]) for one in answer.json] == [
        ("1004800", "7001"),
        ("1004800", "l-2"),
        ("1004700", "l-9"),
    ]


def test_other_orders_are_not_even_looked_up_for_a_wrong_address(hub: Hub) -> None:
    assert hub.ask("get-purchases", {**ASKED, "email": "x@example.com", "includeOtherOrders": True}).json == []
    assert hub.made("list_orders") == []


def test_a_shop_that_is_down_is_told_as_an_error_and_not_as_no_purchases(hub: Hub) -> None:
    hub.shop.sim.misbehave("get_order", "503")
    answer = hub.ask("get-purchases", ASKED)
    assert answer.status_code == 503
    assert set(answer.json["errors"][0]) == {"message", "code", "id"}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paid=st.integers(0, 10**9),
    quantity=st.integers(1, 60),
    currency=st.sampled_from([("EUR", 2), ("JPY", 0), ("KWD", 3)]),
)
def test_the_amounts_of_all_units_add_up_to_what_was_paid(
    hub: Hub, paid: int, quantity: int, currency: tuple[str, int]
) -> None:
    amount = Decimal(paid).scaleb(-currency[1])
    line = {"id": "l-1", "sku": "A", "quantity": quantity, "paid": str(amount)}
    names = {
        "request": ASKED,
        "answers": [{**ORDER, "currency": currency[0], "lines": [line]}],
        "settings": {},
    }
    body = hub.site.mappings["returnista_purchases.from_shop"].body
    assert body
    made: Any = body.render(names, "body")
    values = [unit["paidAmount"]["value"] for unit in made[0]["units"]]
    assert sum(map(Decimal, values)) == amount
    assert len(values) == quantity
    assert max(map(Decimal, values)) - min(map(Decimal, values)) < Decimal(quantity).scaleb(-currency[1])


# --- who asks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{"X-Signature": ""}, {"X-Signature": "0" * 64}, {"X-Other": "1"}, {"Authorization": f"Bearer {BRIDGE_TOKEN}"}],
)
def test_who_does_not_prove_who_they_are_learns_nothing(hub: Hub, headers: dict[str, str]) -> None:
    assert hub.ask("get-purchases", ASKED, **headers).status_code == 401
    assert hub.made("get_order") == []


def test_a_token_can_be_the_proof_instead(hub: Hub) -> None:
    hub.use(proof="bearer")
    right, wrong = ({"Authorization": f"Bearer {token}"} for token in (BRIDGE_TOKEN, "other"))
    assert hub.ask("get-purchases", ASKED, **right).status_code == 200
    assert hub.ask("get-purchases", ASKED, **wrong).status_code == 401
    assert hub.ask("get-purchases", ASKED).status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"email": "robin@example.com"}'])
def test_a_question_without_an_order_number_is_no_question(hub: Hub, body: bytes) -> None:
    assert hub.ask("get-purchases", body).status_code == 400
    assert hub.made("get_order") == []


def test_the_simulated_platform_asks_as_it_signs_its_webhooks(hub: Hub) -> None:
    assert hub.door is not None
    hub.door.extensions.setdefault("simulator", hub.shop.sim)
    with running(hub.door) as url, hub.vendor.app.test_client() as platform:
        wanted = {"url": f"{url}/bridge/portal/get-purchases", "request": ASKED, "secret": BRIDGE_SECRET, "copies": 3}
        answer = platform.post("/_sim/ask", json=wanted).json
        spoiled = platform.post("/_sim/ask", json={**wanted, "tamper": True}).json
    assert answer["statuses"] == [200, 200, 200]
    assert [one["id"] for one in json.loads(answer["answers"][0])] == ["7001", "l-2"]
    assert spoiled["statuses"] == [401, 401, 401]


# --- resolve-return ------------------------------------------------------------------------------


def test_a_transaction_is_one_settlement_of_all_its_requests(hub: Hub) -> None:
    answer = hub.ask("resolve-return", RESOLVED)
    assert answer.status_code == 200
    assert answer.json == {
        "transactionId": "t-1",
        "externalId": "settled-1",
        "returnRequests": [{"id": "rr-1", "resolved": True}, {"id": "rr-2", "resolved": True}],
    }
    (made,) = hub.made("settle")
    assert made.body == {
        "type": "REFUND",
        "externalReference": "t-1",
        "lines": [{"line": "7001", "quantity": 2, "amount": "6.67", "currency": "EUR"}],
    }
    assert made.query == {"order": ["1004800"]}


def test_the_same_transaction_again_gets_the_same_answer_and_settles_nothing(hub: Hub) -> None:
    first = hub.ask("resolve-return", RESOLVED)
    again = hub.ask("resolve-return", {**RESOLVED, "sentAgain": True})
    assert (again.status_code, again.data) == (200, first.data)
    assert len(hub.made("settle")) == 1


def test_the_same_transaction_many_times_at_once_is_settled_once(hub: Hub) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: hub.ask("resolve-return", RESOLVED), range(6)))
    assert {one.status_code for one in answers} <= {200, 503}
    assert len({one.data for one in answers if one.status_code == 200}) == 1
    assert len(hub.shop.done) == 1


@pytest.mark.parametrize("fault", ["drop", "drop_before_apply", "503"])
def test_a_settlement_without_an_answer_is_503_and_done_once_when_asked_again(hub: Hub, fault: str) -> None:
    hub.shop.sim.misbehave("settle", fault)
    assert hub.ask("resolve-return", RESOLVED).status_code == 503
    assert hub.ask("resolve-return", RESOLVED).status_code == 200
    assert len(hub.shop.done) == 1


def test_another_transaction_of_the_same_requests_is_another_settlement(hub: Hub) -> None:
    for transaction in ("t-1", "t-2"):
        assert hub.ask("resolve-return", {**RESOLVED, "transactionId": transaction}).status_code == 200
    assert len(hub.shop.done) == 2


def test_a_resolution_without_a_transaction_is_refused(hub: Hub) -> None:
    assert hub.ask("resolve-return", {"returnRequests": RESOLVED["returnRequests"]}).status_code == 400
    assert hub.made("settle") == []


def test_a_kind_of_resolution_that_no_table_knows_settles_nothing(hub: Hub) -> None:
    repair = {
        **RESOLVED["returnRequests"][0],
        "resolution": {"type": "Repair", "value": {"value": "1", "currency": "EUR"}},
    }  # type: ignore[dict-item]
    asked = {"transactionId": "t-3", "returnRequests": [*RESOLVED["returnRequests"], {**repair, "purchaseId": "l-2"}]}
    assert hub.ask("resolve-return", asked).status_code == 503
    assert hub.made("settle") == []


# --- get-label -----------------------------------------------------------------------------------


def test_a_label_is_made_once_for_a_shipment(hub: Hub) -> None:
    answers = [hub.ask("get-label", PARCEL) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json == {"labelUrl": "https://labels.example.com/label-1.pdf", "trackingNumber": "label-1"}
    assert answers[0].data == answers[1].data
    assert len(hub.made("make_label")) == 1
