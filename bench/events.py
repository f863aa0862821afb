"""The events of the bench: signed messages of 4,096 bytes that hold a whole return of two lines."""

from __future__ import annotations

import hashlib
import hmac
import json

SIZE = 4_096
_SERIAL, _ORDER = "serial--------", "order---------"
_COMMENT = "The sleeves are far too short for me, and the colour is not the one that the pictures showed."


class Events:
    """Makes events by serial; equal serials give equal bytes. Serials are texts of at most 14 signs."""

    def __init__(self, secret: str, kind: str = "return.labelled") -> None:
        self._key = secret.encode()
        padding = SIZE - len(_encode(_payload(kind, "")))
        if padding < 0:
            raise ValueError(f"the event is longer than {SIZE} bytes")
        self._template = _encode(_payload(kind, "x" * padding))

    def body(self, serial: str, order: str) -> bytes:
        """The message; its RMA number is `RMA-<serial>`, its order number `#<order>`."""
        text = self._template.replace(_SERIAL.encode(), serial.rjust(len(_SERIAL), "0").encode())
        return text.replace(_ORDER.encode(), order.rjust(len(_ORDER), "0").encode())

    def request(self, path: str, serial: str, order: str) -> bytes:
        """The whole signed HTTP/1.1 request."""
        body = self.body(serial, order)
        signature = hmac.digest(self._key, body, hashlib.sha256).hex()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"X-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def rma(serial: str) -> str:
    """The RMA number that the warehouse must be told for this event."""
    return f"RMA-{serial.rjust(len(_SERIAL), '0')}"


def _encode(payload: dict[str, object]) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def _payload(kind: str, padding: str) -> dict[str, object]:
    address = {
        "street": "Example Street",
        "houseNumber": "12a",
        "postalCode": "01234",
        "city": "Utrecht",
        "country": "nl",
        "coordinates": {"latitude": "52.0907", "longitude": "5.1214"},
    }
    return {
        "id": f"evt-{_SERIAL}",
        "event": kind,
        "sentAt": "2026-11-22T01:02:03.004Z",
        "account": {"id": "acc-0001", "name": "Bench Outfitters", "plan": "standard"},
        "data": {
            "returnId": f"ret-{_SERIAL}",
            "rma": f"RMA-{_SERIAL}",
            "status": "approved",
            "market": "EU",
            "currency": "EUR",
            "createdAt": "2026-11-22T01:00:00Z",
            "updatedAt": "2026-11-22T01:02:03Z",
            "order": {"number": f"#{_ORDER}", "placedAt": "2026-11-01T10:00:00Z", "channel": "web shop"},
            "customer": {
                "id": f"cus-{_SERIAL}",
                "firstName": "Robin",
                "lastName": "Example",
                "email": "robin@example.com",
                "language": "nl",
                "address": address,
            },
            "warehouse": {"code": "WH-EU-1", "name": "Returns centre one", "city": "Venlo", "country": "NL"},
            "shipment": {
                "id": f"shp-{_SERIAL}",
                "carrier": "Example Carrier drop-off",
                "trackingNumber": f"3S{_SERIAL}",
                "labelUrl": f"https://labels.example.com/{_SERIAL}.pdf",
                "barcode": f"3S{_SERIAL}",
                "weightGrams": 1250,
            },
            "history": [_step(number) for number in range(16)],
            "items": [_item(1, "TOO_SMALL"), _item(2, "BROKEN")],
        },
        "padding": padding,
    }


def _step(number: int) -> dict[str, object]:
    return {
        "at": f"2026-11-21T{number:02d}:15:00Z",
        "state": "requested",
        "by": {"kind": "user", "id": f"usr-{number}"},
    }


def _item(number: int, reason: str) -> dict[str, object]:
    return {
        "id": f"itm-{_SERIAL}-{number}",
        "orderLine": str(number),
        "quantity": number,
        "product": {
            "sku": f"00{number}2345",
            "name": f"T-shirt, organic cotton, long sleeves, red, size {number}",
            "brand": "Bench",
            "categories": ["clothing", "shirts"],
        },
        "reason": {"code": reason, "text": "Something about it", "comment": _COMMENT},
        "price": {"gross": "19.90", "net": "16.45", "tax": "3.45", "currency": "EUR"},
    }
