"""Fulfillment orders, returns and events in the vendor's documented shape, made from a few words: for the simulator and
for tests.

Persons, places and articles are made up. The same words always give the same object, ids included.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

T0 = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
VERSION = "2021-12-13"
_NAMESPACE = uuid.UUID("0198d1f0-0000-7000-8000-000000000000")


def sample_id(*parts: str) -> str:
    """An id that the same words always give."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def written(moment: datetime) -> str:
    """A time as the vendor writes it: UTC with five digits behind the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-1] + "Z"


def build_fulfillment_order(spec: dict[str, Any]) -> dict[str, Any]:
    """A whole fulfillment order from a short form.

    {"id": 9292981838, "order", "currency", "state", "items": [{"id": 2222222222, "order_item", "article", "quantity",
    "shipped", "price"}]}; all but items has defaults. Its ids are JSON numbers, as the vendor answers them.
    """
    number = spec.get("id", 9292981838)
    items = [_order_item(number, item, place) for place, item in enumerate(spec["items"], 1)]
    states = {item["state"] for item in items}
    return {
        "id": number,
        "createdTime": written(T0),
        "upstreamId": spec.get("order", "192251820336"),
        "currency": spec.get("currency", "USD"),
        "name": "Robin Example",
        "email": "robin@example.com",
        "shipTo": {
            "name": "Robin Example",
            "phone": "000-000-0000",
            "address": {
                "line1": "10380 Example Road",
                "city": "Minnetonka",
                "postalCode": "55343",
                "state": "MN",
                "country": "US",
            },
        },
        "items": items,
        # Shipped already when a part of it is.
        "state": spec.get("state") or ("shipped" if "shipped" in states else "pending"),
        "liveMode": spec.get("live", False),
    }


def _order_item(number: int, item: dict[str, Any], place: int) -> dict[str, Any]:
    quantity = item.get("quantity", 1)
    shipped = item.get("shipped", quantity)
    total = Decimal(item.get("price", "10.00")) * quantity
    return {
        "id": item.get("id", number * 10 + place),
        "upstreamId": item.get("order_item", f"{item['article']}-{place}"),
        "inventoryItemId": item["article"],
        "name": f"Article {item['article']}",
        "quantity": quantity,
        "pending": 0,
        "backordered": quantity - shipped,
        "shipped": shipped,
        "cancelled": 0,
        "returned": 0,
        "subtotal": float(total),
        "total": float(total),
        "state": "shipped" if shipped else "backordered",
    }


def build_return(id_: str, order: dict[str, Any], body: dict[str, Any], at: datetime, **more: Any) -> dict[str, Any]:
    """A fulfillment return as it is created for `order` by a request `body`."""
    articles = {str(item["id"]): item["inventoryItemId"] for item in order["items"]}
    made = {
        "id": id_,
        "createdTime": written(at),
        "fulfillmentOrderId": str(order["id"]),
        "upstreamId": body.get("upstreamId"),
        "items": [
            {
                "fulfillmentOrderItemId": str(item["fulfillmentOrderItemId"]),
                "inventoryItemId": articles[str(item["fulfillmentOrderItemId"])],
                "quantity": item["quantity"],
                "quantityAccepted": 0,
                "state": "pending",
                **({"unitAttributes": item["unitAttributes"]} if "unitAttributes" in item else {}),
            }
            for item in body["items"]
        ],
        "reason": body.get("reason"),
        "state": "created",
        "type": "client",
        "livemode": order["liveMode"],
        **more,
    }
    return {key: value for key, value in made.items() if value is not None}


def location() -> dict[str, Any]:
    """Where goods are sent back to."""
    return {
        "name": "Example Returns Center",
        "phone": "000-000-0001",
        "email": "returns@example.com",
        "address": {
            "line1": "1 Dock Street",
            "line2": "Gate 4",
            "city": "Memphis",
            "postalCode": "38118",
            "state": "TN",
            "country": "US",
        },
    }


def build_event(id_: str, kind: str, body: dict[str, Any], at: datetime, *, live: bool = False) -> dict[str, Any]:
    """An event about an object, as it is sent to webhooks and kept for 30 days."""
    return {
        "id": id_,
        "type": kind,
        "data": {"object": body},
        "liveMode": live,
        "createdTime": written(at),
        "webhookIds": [sample_id("webhook")],
        "digitalriverVersion": VERSION,
    }
