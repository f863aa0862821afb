"""The messages with which `isolation` measures: returns of one parcel or two, orders of the web shop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from chaos.isolation import Stream
from chaos.plan import Message, Recorded
from chaos.sources.kit import demo_env, moment, signed, written
from chaos.stage import Stage
from connectors.returnista.samples import build_return_order

_ORDER_NUMBERS = ("{n}", "0{n}", "{n}E4", "0x{n}", "#{n}", "{n}.0")


@dataclass(frozen=True, slots=True)
class Return:
    """A return of the platform with one order. The second of its parcels gets its label later."""

    name: str
    order: str
    erp: str

    def message(self, parcel: int = 0) -> Message:
        """The platform tells that a parcel has its label."""
        built = build_return_order(self.spec(parcel + 1))
        body = written({"event": "shipment.label_created", "data": built["shipments"][parcel]})
        secret = demo_env("platform", "RETURNISTA_WEBHOOK_SECRET")
        headers = signed(_scheme(secret), body)
        return Message("returnista_eu", self.name, f"{self.name}-{parcel}", 0.0, body, headers)

    def shop_order(self, updated_at: datetime) -> dict[str, Any]:
        """The order as the shop shows it once the ERP has it: with the ERP's number."""
        number = self.order.removeprefix("#")
        return {
            "id": f"id-{number}",
            "number": number,
            "alternativeNumbers": [self.order] if self.order != number else [],
            "erpNumber": self.erp,
            "state": "PLACED",
            "updatedAt": updated_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "currency": "EUR",
            "customer": {},
            "lines": [],
        }

    def shop_message(self) -> Message:
        """The shop tells that order."""
        order = self.shop_order(datetime.now(UTC))
        return _of_shop("order.updated", f"{self.name}-order", order)

    def spec(self, parcels: int) -> dict[str, Any]:
        """What the platform's simulator makes it of, with labels for so many parcels."""
        return {
            "id": self.name,
            "status": "Confirmed",
            "updated_at": moment(parcels),
            "lines": [{"order": self.order, "sku": "TEE-RED-M"}],
            "parcels": [{"id": f"{self.name}-p{n + 1}", "updated_at": moment(n + 1)} for n in range(parcels)],
        }


def returns(random: Random, name: str, count: int) -> list[Return]:
    """So many, their orders' numbers of any look; the oldest first."""
    first = random.randrange(10_000, 90_000) * 10_000
    made = []
    for place in range(count):
        order = random.choice(_ORDER_NUMBERS).format(n=first + place)
        made.append(Return(f"{name}-{place:04d}", order, f"SO {first + place}"))
    return made


def known_to_platform(stage: Stage, wanted: Sequence[Return], parcels: int = 1) -> None:
    """The platform holds them, with labels for so many parcels."""
    stage.control("platform", "/_sim/seed", {"build": [one.spec(parcels) for one in wanted]})


def known_to_erp(stage: Stage, wanted: Sequence[Return]) -> None:
    """The ERP has their orders."""
    rows = [{"externalNumber": one.order.removeprefix("#"), "number": one.erp} for one in wanted]
    stage.control("erp", "/_sim/seed", {"orders": rows})


def announcing(wanted: Sequence[Return]) -> Stream:
    """Each is announced at the warehouse."""
    names = {one.name for one in wanted}
    return Stream([one.message() for one in wanted], "warehouse", lambda recorded: announced(recorded, names))


def announced(recorded: Recorded, names: set[str]) -> str | None:
    """Which of these returns a request announced."""
    if recorded.operation != "announce_return" or recorded.body.get("returnId") not in names:
        return None
    return str(recorded.body["returnId"])


def pushing(name: str, count: int) -> Stream:
    """New orders of the web shop, each of which the portal is told."""
    numbers = [f"W-{name}-{place:04d}" for place in range(count)]
    wanted = set(numbers)

    def effect_of(recorded: Recorded) -> str | None:
        if recorded.operation != "push_orders" or recorded.body[0]["orderId"] not in wanted:
            return None
        return str(recorded.body[0]["orderId"])

    return Stream([_placed(number) for number in numbers], "portal", effect_of)


def _placed(number: str) -> Message:
    order = {
        "id": f"id-{number}",
        "number": number,
        "state": "PLACED",
        "updatedAt": moment(0),
        "market": "NL",
        "currency": "EUR",
        "customer": {"id": "C-1"},
        "lines": [
            {
                "id": "1",
                "sku": "0012345",
                "quantity": 1,
                "delivered": 0,
                "state": "PLACED",
                "price": {"net": "10.00", "tax": "2.10", "gross": "12.10"},
            }
        ],
    }
    return _of_shop("order.placed", number, order)


def _of_shop(event: str, object_id: str, order: dict[str, Any]) -> Message:
    body = written({"event": event, "eventId": f"{object_id}-{event}", "data": order})
    headers = signed(_scheme(demo_env("shop", "SHOP_WEBHOOK_SECRET")), body)
    return Message("store", object_id, f"{object_id}-{event}", 0.0, body, headers)


def _scheme(secret: str) -> dict[str, Any]:
    return {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": [secret]}
