"""The shop's orders become the hub's, told or found, and its returns are resolved once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.generic_shop import simulator
from connectors.simkit import TOKEN
from tests.connectors.example_site import ROOT
from tests.connectors.generic_kit import SECRET, SIGNED, Hub, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

ORDER = json.loads((ROOT / "connectors/generic_shop/fixtures/get_order__two_lines.json").read_text("utf-8"))
SHIRT = "14729183650174"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
CONNECTION = SIGNED.format(name="store", connector="generic_shop") + "    poll: true\n"


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    apps = {"store": simulator.create_app(secret=SECRET)}
    with (
        opened(migrated_sqlite, tmp_path, clock) as ledger,
        running_hub(ledger, clock, "routes: []\n", CONNECTION, apps) as made,
    ):
        made.control("store", "seed", orders=[ORDER])
        yield made


def told(hub: Hub, event: str, **wanted: Any) -> Any:
    return hub.control("store", "tell", number="1004800", event=event, **wanted)["event"]


def facts(hub: Hub) -> list[str]:
    return [fact.split(":20")[0] for fact in hub.changes_of("order", "store", "5501")]


def test_an_order_is_placed_shipped_and_delivered_each_fact_once(hub: Hub) -> None:
    placed = told(hub, "order.placed")
    shipped = told(hub, "order.updated", set={"state": "SHIPPED"})
    part = told(hub, "order.delivered", lines={SHIRT: {"delivered": 1}})
    rest = told(hub, "order.delivered", lines={SHIRT: {"delivered": 2, "state": "DELIVERED"}})
    for event in (placed, placed, shipped, part, rest, {**part, "eventId": "late"}):
        hub.hear("store", event)
    assert facts(hub)[0] == "order.placed"
    assert [one for one in facts(hub) if one.startswith("line.")] == [
        f"line.delivered:{SHIRT}:1",
        f"line.delivered:{SHIRT}:2",
    ]
    assert hub.head("order", "store", "5501")["lines"][0]["delivered"] == 2


def test_a_cancelled_order_is_cancelled_whatever_comes_late(hub: Hub) -> None:
    placed, cancelled = told(hub, "order.placed"), told(hub, "order.cancelled", set={"state": "CANCELLED"})
    for event in (cancelled, placed, {**placed, "eventId": "again"}):
        hub.hear("store", event)
    assert facts(hub) == ["order.placed", "order.cancelled"]
    assert hub.head("order", "store", "5501")["state"] == "cancelled"


def test_an_order_that_no_message_told_is_found_by_the_poll(hub: Hub) -> None:
    hub.control("store", "seed", orders=[{**ORDER, "updatedAt": "2026-11-21T10:00:00.000Z"}])
    hub.catch_up("store", "changed_orders")
    assert facts(hub) == ["order.placed"]
    assert [row["type"] for row in hub.events()] == ["poll.order"]


def test_an_unsigned_message_is_refused(hub: Hub) -> None:
    event = told(hub, "order.placed")
    assert [hub.post("store", event, signed=False), hub.post("store", event, secret="other")] == [401, 401]


def test_orders_are_found_by_number_and_by_address_whatever_its_capitals() -> None:
    shop = simulator.create_app().test_client()
    shop.post("/_sim/seed", json={"orders": [ORDER, {**ORDER, "id": "2", "number": "2", "email": "kim@example.com"}]})

    def found(**asked: str) -> list[str]:
        return [row["number"] for row in shop.get("/orders", query_string=asked, headers=AUTH).json["orders"]]

    assert found(email="ROBIN@example.com") == ["1004800"]
    assert found(number="2", email="robin@example.com") == []
    assert found(number="2") == ["2"]
    assert shop.get("/orders?limit=1", headers=AUTH).json["nextPage"] == 2


def test_a_return_is_resolved_once_for_a_key_and_never_for_more_than_was_bought() -> None:
    shop = simulator.create_app().test_client()
    shop.post("/_sim/seed", json={"orders": [ORDER]})

    def resolved(key: str, quantity: int) -> Any:
        body = {"type": "REFUND", "lines": [{"line": SHIRT, "quantity": quantity}]}
        return shop.post("/orders/1004800/resolutions", json=body, headers=AUTH | {"Idempotency-Key": key})

    first, again = resolved("k", 1), resolved("k", 1)
    assert (first.status_code, again.status_code, first.json) == (201, 201, again.json)
    assert resolved("k", 2).json["code"] == "KEY_REUSED"
    assert resolved("other", 2).status_code == 422
    assert resolved("another", 1).status_code == 201
