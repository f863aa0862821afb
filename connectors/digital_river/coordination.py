"""Fulfillment orders and their returns: what the fulfiller does with them, and the events that tell it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from connectors.digital_river.lists import fault
from connectors.digital_river.samples import build_event, build_fulfillment_order, build_return, location, sample_id
from connectors.simkit import Answer


class Coordination:
    """The fulfillment orders, the returns, and all events, in the order in which they came to be."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self._count = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew, empty and well-behaved. Numbers that were given are not given again."""
        self.orders: dict[str, dict[str, Any]] = {}
        self.returns: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.quirks: dict[str, Any] = {}
        self.live = False

    def seed(self, data: dict[str, Any]) -> dict[str, int]:
        """Add fulfillment orders from short forms and whole returns, set quirks and the mode."""
        self.live = bool(data.get("live", self.live))
        for spec in data.get("orders", ()):
            order = build_fulfillment_order({"live": self.live, **spec})
            self.orders[str(order["id"])] = order
        for one in data.get("returns", ()):
            self.returns[one["id"]] = one
        self.quirks.update(data.get("quirks", {}))
        return {"orders": len(self.orders), "returns": len(self.returns)}

    def create(self, body: Any) -> Answer:
        """POST /fulfillment-returns."""
        wrong = _malformed(body)
        if wrong:
            return wrong
        order = self.orders.get(body["fulfillmentOrderId"])
        if order is None:
            return fault(
                400,
                "invalid_parameter",
                f"'{body['fulfillmentOrderId']}' is not a valid fulfillment order.",
                "fulfillmentOrderId",
            )
        known = {str(item["id"]): item for item in order["items"]}
        for place, item in enumerate(body["items"]):
            of = known.get(item["fulfillmentOrderItemId"])
            if of is None:
                return fault(
                    400,
                    "invalid_parameter",
                    f"'{item['fulfillmentOrderItemId']}' is not an item of it.",
                    f"items[{place}].id",
                )
            if item["quantity"] > of["shipped"]:
                return fault(
                    409,
                    "quantity_too_large",
                    "The quantity is greater than the shipped quantity.",
                    f"items[{place}].qty",
                )
        made = self._add(order, body)
        lines = ", ".join(f"{item['quantity']} of {item['fulfillmentOrderItemId']}" for item in made["items"])
        return Answer(
            copy.deepcopy(made), 201, effect=f"return {made['id']} of {made['fulfillmentOrderId']} with {lines}"
        )

    def refuse_shipment(self, spec: dict[str, Any]) -> dict[str, Any]:
        """A warehouse return: nobody asked for it, and it may tell no order.

        {"fulfillmentOrderId", "items": [{"fulfillmentOrderItemId", "quantity"}], "upstreamId", "state"}
        """
        order = self.orders[str(spec["fulfillmentOrderId"])]
        return self._add(order, spec, type="warehouse", state=spec.get("state", "created"))

    def newest(self, order: str) -> str:
        """The id of the return of an order that was created last. Raises KeyError when it has none."""
        found = [id_ for id_, made in self.returns.items() if made.get("upstreamId") == order]
        if not found:
            raise KeyError(f"return of order {order}")
        return found[-1]

    def approve(self, id_: str) -> dict[str, Any]:
        """The fulfiller agrees and tells where the goods go. The items stay `pending`: there it means not accepted."""
        self.returns[id_].update(state="pending", location=location())
        return self._tell(id_)

    def accept(
        self, id_: str, items: dict[str, int] | None = None, *, state: str = "accepted", quiet: bool = False
    ) -> dict[str, Any]:
        """So many more of these items came and were accepted; without `items` all that are missing.

        `state` "pending" is a return whose other parcels are still on their way; `quiet` sends no event.
        """
        made = self.returns[id_]
        known = {str(item["id"]): item for item in self.orders[made["fulfillmentOrderId"]]["items"]}
        for item in made["items"]:
            key = item["fulfillmentOrderItemId"]
            more = item["quantity"] - item["quantityAccepted"] if items is None else items.get(key, 0)
            if more:
                item["quantityAccepted"] += more
                item["state"] = "accepted"
                known[key]["returned"] += more
                known[key]["shipped"] -= more
        made["state"] = state
        return made if quiet else self._tell(id_)

    def reject(self, id_: str) -> dict[str, Any]:
        """The fulfiller does not take it back."""
        made = self.returns[id_]
        made["state"] = "rejected"
        for item in made["items"]:
            item["state"] = "rejected"
        return self._tell(id_)

    def happen(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Keep an event about an object as it is now."""
        number = str(len(self.events) + 1)
        event = build_event(
            sample_id("event", number, body["id"], kind), kind, copy.deepcopy(body), self.now(), live=self.live
        )
        self.events.append(event)
        return event

    def _add(self, order: dict[str, Any], body: dict[str, Any], **more: Any) -> dict[str, Any]:
        self._count += 1
        id_ = f"ret_{5823594808 + self._count}"
        self.returns[id_] = build_return(id_, order, body, self.now(), **more)
        self._tell(id_)
        return self.returns[id_]

    def _tell(self, id_: str) -> dict[str, Any]:
        made = self.returns[id_]
        self.happen(f"fulfillment_return.{made['state']}", made)
        return made


def _malformed(body: Any) -> Answer | None:
    if not isinstance(body, dict):
        return fault(400, "invalid_format", "The request body is no JSON object.")
    for name in ("fulfillmentOrderId", "items"):
        if not body.get(name):
            return fault(400, "missing_parameter", f"{name} is required.", name)
    if not isinstance(body["fulfillmentOrderId"], str):
        return fault(400, "invalid_format", "fulfillmentOrderId must be a string.", "fulfillmentOrderId")
    for place, item in enumerate(body["items"]):
        if not isinstance(item.get("fulfillmentOrderItemId"), str):
            name = f"items[{place}].fulfillmentOrderItemId"
            return fault(400, "missing_parameter", f"{name} is required.", name)
        if not isinstance(item.get("quantity"), int) or item["quantity"] < 1:
            name = f"items[{place}].quantity"
            return fault(400, "invalid_parameter", f"{name} must be a whole number.", name)
    return None
