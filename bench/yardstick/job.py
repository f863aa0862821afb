"""The job: one look-up at the ERP, a mapping of 30 fields, one announcement at the warehouse."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import requests

_TIMEOUT_S = 20
_REASONS = {"TOO_SMALL": "SIZE", "BROKEN": "DAMAGED", "NOT_AS_EXPECTED": "OTHER"}
_session = requests.Session()
_session.headers["Authorization"] = f"Bearer {os.environ.get('BENCH_TOKEN', '')}"


def announce(payload: dict[str, Any]) -> None:
    """Carry out one event; RQ keeps a job that raises."""
    returned = payload["data"]
    order = returned["order"]["number"].removeprefix("#")
    answer = _session.get(f"{os.environ['BENCH_ERP_URL']}/orders", params={"externalNumber": order}, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    sales_order = next(item["number"] for item in answer.json()["items"] if item["externalNumber"] == order)
    _session.post(
        f"{os.environ['BENCH_WMS_URL']}/returns",
        json=announcement(returned, sales_order),
        headers={"Idempotency-Key": payload["id"]},
        timeout=_TIMEOUT_S,
    ).raise_for_status()


def announcement(returned: dict[str, Any], sales_order: str) -> dict[str, Any]:
    """The warehouse's body, the same as the hub's mapping makes of the event."""
    customer, address = returned["customer"], returned["customer"]["address"]
    shipment, items = returned["shipment"], returned["items"]
    return {
        "rmaNumber": returned["rma"],
        "returnId": returned["returnId"],
        "salesOrder": sales_order,
        "shopOrder": returned["order"]["number"],
        "market": returned["market"],
        "currency": returned["currency"],
        "items": sum(item["quantity"] for item in items),
        "sender": {
            "number": customer["id"],
            "name": f"{customer['firstName']} {customer['lastName']}",
            "street": f"{address['street']} {address['houseNumber']}",
            "postalCode": address["postalCode"],
            "city": address["city"],
            "country": address["country"].upper(),
        },
        "warehouse": returned["warehouse"]["code"],
        "parcel": {
            "id": shipment["id"],
            "trackingNumber": shipment["trackingNumber"],
            "carrier": shipment["carrier"],
            "barcode": shipment["barcode"],
        },
        "lines": [_line(item) for item in items],
    }


def _line(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": item["id"],
        "sku": item["product"]["sku"],
        "title": item["product"]["name"][:40],
        "quantity": item["quantity"],
        "reason": _REASONS[item["reason"]["code"]],
        "price": f"{Decimal(item['price']['gross']):.2f}",
    }
