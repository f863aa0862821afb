"""A return that waits for the ERP's number of its order goes on when the shop tells that number, or a poll finds it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.kit import Flows

_ROUTE = "announce_to_warehouse"


def order(number: str, **more: Any) -> dict[str, Any]:
    told = {"id": f"id-{number}", "number": number, "state": "PLACED", "updatedAt": "2026-11-15T09:00:00.000Z"}
    return {**told, "currency": "EUR", "customer": {}, "lines": [], **more}


def wait_for(flows: Flows, number: str) -> None:
    """A return of this order waits for a number that the ERP does not know yet."""
    made = {
        "id": "R-1",
        "status": "Confirmed",
        "lines": [{"order": number, "sku": "TEE-RED-M"}],
        "parcels": [{"id": "R-1-p1"}],
    }
    flows.seed("platform", build=[made])
    flows.ask("platform", event="shipment.label_created", id="R-1-p1", url="{hub}/webhooks/returnista_eu")
    assert flows.states(_ROUTE) == ["parked"]


def announced(flows: Flows) -> list[str]:
    return [one.body["salesOrder"] for one in flows.made("warehouse", "announce_return")]


@pytest.mark.parametrize("number", ["1004800", "#1004800"])
def test_a_message_of_the_shop_lets_a_return_go_on(flows: Flows, number: str) -> None:
    flows.seed("shop", orders=[order("1004800", alternativeNumbers=["#1004800"])])
    wait_for(flows, number)
    told = {"number": "1004800", "event": "order.updated", "url": "{hub}/webhooks/store"}
    flows.ask("shop", "/_sim/tell", **told)
    assert flows.states(_ROUTE) == ["parked"]
    flows.ask("shop", "/_sim/tell", **told, set={"erpNumber": "0000012E4"})
    assert flows.states(_ROUTE) == ["done"]
    assert announced(flows) == ["0000012E4"]


def test_so_does_a_poll(flows: Flows) -> None:
    flows.seed("shop", orders=[order("1004800")])
    wait_for(flows, "1004800")
    flows.ask("shop", "/_sim/tell", number="1004800", set={"erpNumber": "SO 1"})
    flows.poll("store")
    assert announced(flows) == ["SO 1"]


def test_a_number_of_another_order_lets_nothing_go_on(flows: Flows) -> None:
    flows.seed("shop", orders=[order("1e5", erpNumber="SO 2")])
    wait_for(flows, "100000")
    flows.ask("shop", "/_sim/tell", number="1e5", event="order.updated", url="{hub}/webhooks/store")
    assert flows.states(_ROUTE) == ["parked"]
    assert announced(flows) == []
