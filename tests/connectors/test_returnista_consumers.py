"""Returnista's calls for a returns page of one's own, and for webhook subscriptions, against the simulated platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.returnista.samples import sample_id
from tests.connectors.returnista_kit import Hub, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

EMAIL = "robin@example.com"
URL = "https://hub.example.com/webhooks/returnista_eu"


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock, tmp_path) as made:
        bought = [{"id": "p-1", "sku": "TEE-RED-M"}, {"id": "p-2", "sku": "0012345"}]
        made.returns(consumers=[{"order": "#1004800", "email": EMAIL, "purchases": bought}])
        yield made


def call(hub: Hub, operation: str, body: Any = None, **args: str) -> Any:
    """The answer's body; fails unless it was delivered."""
    called: Any = hub.caller.call("returnista_eu", operation, args, body=body)
    assert called.outcome.result == "delivered", called.outcome.because
    return called.response.body


def refused(hub: Hub, operation: str, body: Any = None, **args: str) -> Any:
    called: Any = hub.caller.call("returnista_eu", operation, args, body=body)
    return called.outcome.result, called.response.status


def test_a_customer_comes_from_their_order_to_the_confirmation_of_their_return(hub: Hub) -> None:
    consumer = call(hub, "authenticate_consumer", {"orderNumber": "#1004800", "email": EMAIL})["id"]
    bought = call(hub, "list_purchases", consumer=consumer)["data"]
    chosen = {"purchaseId": bought[0]["id"], "returnReasonId": bought[0]["returnReasons"][0]["id"]}
    draft = call(hub, "create_draft_return_order", {"selectedPurchases": [chosen]}, consumer=consumer)
    option = bought[0]["shippingOptions"][0]["id"]
    call(hub, "choose_shipping_option", {"shippingOptionId": option}, consumer=consumer, id=draft["id"])
    assert hub.vendor.effects() == []
    made = call(hub, "create_return_order", {"draftReturnOrderId": draft["id"]}, consumer=consumer)
    shown = call(hub, "get_consumer_return_order", consumer=consumer, id=made["id"])
    assert (shown["draftReturnOrderId"], shown["shippingOptionId"]) == (draft["id"], option)
    assert [one["purchaseId"] for one in shown["returnRequests"]] == ["p-1"]
    assert len(hub.vendor.effects()) == 1


@pytest.mark.parametrize("wrong", [{"email": "x@example.com"}, {"orderNumber": "4711"}])
def test_who_does_not_know_the_order_gets_no_identity(hub: Hub, wrong: dict[str, str]) -> None:
    asked = {"orderNumber": "#1004800", "email": EMAIL, **wrong}
    called: Any = hub.caller.call("returnista_eu", "authenticate_consumer", {}, body=asked)
    assert called.response.status == 401


def test_one_customer_does_not_see_anothers_return(hub: Hub) -> None:
    (built,) = hub.returns({"id": "ro-1", "lines": [{"order": "#1", "sku": "A"}]})
    mine = {"consumer": built["consumerId"], "id": "ro-1"}
    assert call(hub, "get_consumer_return_order", **mine)["id"] == "ro-1"
    assert refused(hub, "get_consumer_return_order", consumer="c-2", id="ro-1") == ("rejected", 404)


def test_a_draft_of_what_was_never_bought_is_refused(hub: Hub) -> None:
    consumer = sample_id("consumer", "#1004800", EMAIL)
    asked = {"selectedPurchases": [{"purchaseId": "p-9"}]}
    assert refused(hub, "create_draft_return_order", asked, consumer=consumer) == ("rejected", 422)


def test_subscriptions_are_made_listed_and_ended_and_ending_twice_is_no_fault(hub: Hub) -> None:
    wanted = {"url": URL, "eventName": "shipment.label_created", "description": "backhaul"}
    made = call(hub, "create_subscription", wanted)
    assert [one["id"] for one in hub.caller.pages("returnista_eu", "list_subscriptions", {})] == [made["id"]]
    for _ in range(2):
        call(hub, "delete_subscription", id=made["id"])
    assert list(hub.caller.pages("returnista_eu", "list_subscriptions", {})) == []
