"""Return orders in the vendor's documented shape, made from a few words: for the simulator and for tests.

Persons and places are made up. The same words always give the same object, ids included.
"""

from __future__ import annotations

import uuid
from typing import Any

ACCOUNT = "0198a000-0000-7000-8000-0000000000ac"
_T0 = "2026-11-20T09:30:00.000Z"
_NAMESPACE = uuid.UUID("0198a000-0000-7000-8000-000000000000")


def build_return_order(spec: dict[str, Any]) -> dict[str, Any]:
    """A whole return order in the vendor's shape from a short form.

    {"id", "status", "updated_at", "country", "lines": [{"id", "order", "sku", "reason", "quantity", "resolution"}],
    "parcels": [{"id", "tracking_number", "label": true, "error": "", "delivered": false, "updated_at"}]};
    all but lines has defaults. `quantity` 3 gives three requests, because the vendor knows no quantities.
    """
    order_id, at = spec.get("id") or sample_id("order"), spec.get("updated_at", _T0)
    requested = [
        _request(order_id, line, f"{number}.{copy_}", at)
        for number, line in enumerate(spec["lines"], 1)
        for copy_ in range(1, line.get("quantity", 1) + 1)
    ]
    numbers = list(dict.fromkeys(one["purchaseOrderNumber"] for one in requested))
    shipments = [_shipment(order_id, parcel, n, spec) for n, parcel in enumerate(spec.get("parcels", ()), 1)]
    return {
        "id": order_id,
        "storeId": sample_id("store"),
        "consumerId": sample_id(order_id, "consumer"),
        "purchaseOrderNumbers": spec.get("purchaseOrderNumbers", numbers),
        "status": spec.get("status", "Pending"),
        "paymentStatus": "Open",
        "packageCount": max(1, len(shipments)),
        "createdWithoutShipment": spec.get("created_without_shipment", False),
        "source": "ReturnsPortal",
        "totalPrice": _money("0.00"),
        "tags": [],
        "comments": [],
        "store": {
            "id": sample_id("store"),
            "name": "Example Shop",
            "slug": "example-shop",
            "accountId": ACCOUNT,
            "uat": True,
        },
        "createdAt": _T0,
        "updatedAt": at,
        "consumer": {
            "id": sample_id(order_id, "consumer"),
            "firstName": "Robin",
            "lastName": "Example",
            "email": "robin@example.com",
        },
        "shipments": shipments,
        "returnRequests": requested,
    }


def _request(order_id: str, line: dict[str, Any], place: str, at: str) -> dict[str, Any]:
    reason, resolution = line.get("reason", "TOO_SMALL"), line.get("resolution", "Open")
    return {
        "id": line.get("id") or sample_id(order_id, "request", place),
        "returnOrderId": order_id,
        "storeId": sample_id("store"),
        "returnReasonId": sample_id("reason", reason),
        "returnReasonComment": line.get("comment"),
        "purchaseId": line.get("purchase_id") or sample_id(order_id, "purchase", place.split(".")[0]),
        "purchaseOrderNumber": line["order"],
        "purchasePrice": _money(line.get("price", "49.95")),
        "requestedResolution": "Refund",
        "status": "Open",
        "product": {
            "id": sample_id("product", line["sku"]),
            "name": line.get("title", f"Product {line['sku']}"),
            "sku": line["sku"],
            "price": _money(line.get("price", "49.95")),
            "barcode": None,
            "attributes": [],
        },
        "resolution": {
            "type": "Refund",
            "value": _money(line.get("price", "49.95")),
            "status": resolution,
            "denialReason": line.get("denial"),
        },
        "returnReason": {
            "id": sample_id("reason", reason),
            "key": reason,
            "description": reason.replace("_", " ").lower(),
        },
        "createdAt": _T0,
        "updatedAt": at,
    }


def _shipment(order_id: str, parcel: dict[str, Any], number: int, spec: dict[str, Any]) -> dict[str, Any]:
    shipment_id = parcel.get("id") or sample_id(order_id, "shipment", str(number))
    tracking = parcel.get("tracking_number", f"3SEXMP{uuid.UUID(sample_id(shipment_id)).int % 10**9:09d}")
    error, delivered = parcel.get("error") or None, parcel.get("delivered", False)
    labelled = parcel.get("label", True) and not error
    at = parcel.get("updated_at", _T0)
    update = {"status": "Delivered", "explanation": "Delivered at the dock", "happenedAt": at, "createdAt": at}
    return {
        "id": shipment_id,
        "storeId": sample_id("store"),
        "accountId": ACCOUNT,
        "returnOrderId": order_id,
        "status": "Delivered" if delivered else "New",
        "reason": "CreatedByConsumer",
        "sender": {
            "firstName": "Robin",
            "lastName": "Example",
            "street": "Voorbeeldstraat",
            "houseNumber": "1",
            "city": "Utrecht",
            "postalCode": "3500 AA",
            "countryCode": spec.get("country", "NL"),
        },
        "receiver": {
            "id": sample_id("location"),
            "name": "Returns dock",
            "companyName": "Example Fulfilment",
            "address": {
                "street": "Dokweg",
                "houseNumber": "9",
                "city": "Venlo",
                "postalCode": "5900 AA",
                "countryCode": "NL",
            },
        },
        "labelUrl": f"https://labels.example.com/{shipment_id}.pdf" if labelled else None,
        "labelBarcode": tracking if labelled else None,
        "trackingUrl": f"https://track.example.com/{tracking}" if labelled else None,
        "trackingNumber": tracking if labelled else None,
        "trackingUpdates": [update] if delivered else [],
        "errorCode": error,
        "errorMessage": "the carrier refused the address" if error else None,
        "createdAt": f"2026-11-20T09:{30 + number:02d}:00.000Z",
        "updatedAt": at,
        "shippingProduct": {
            "id": sample_id("carrier"),
            "name": "Example Carrier drop-off",
            "key": "example_carrier",
            "shippingMethod": "CARRIER_INTEGRATION",
            "labelType": "REQUIRED",
        },
    }


def sample_id(*parts: str) -> str:
    """The id of something named by words."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def _money(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}
