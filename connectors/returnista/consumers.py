"""What the simulated Returnista does for a returns page of the merchant's own: sign in, draft, return order.

The paths are the vendor's; where it does not document a body, the fields are those of public client code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import request

from connectors.returnista.samples import build_return_order, sample_id
from connectors.simkit import Answer, Simulator


class Consumers:
    """Customers with what they bought, their drafts, and the return orders that come of them."""

    def __init__(self, orders: dict[str, dict[str, Any]]) -> None:
        """`orders` are the platform's return orders; new ones are added to it."""
        self._orders = orders
        self.purchases: dict[str, list[dict[str, Any]]] = {}
        self.drafts: dict[str, dict[str, Any]] = {}
        self._known: dict[tuple[str, str], str] = {}

    def seed(self, consumers: list[dict[str, Any]]) -> None:
        """Add customers: {"order": "#1004800", "email": …, "purchases": [{"id", "sku", "price"}]}."""
        for one in consumers:
            id_ = sample_id("consumer", one["order"], one["email"])
            self._known[one["order"], one["email"]] = id_
            self.purchases[id_] = [
                {
                    "id": bought["id"],
                    "purchaseOrderNumber": one["order"],
                    "product": {"id": sample_id("product", bought["sku"]), "sku": bought["sku"]},
                    "price": {"value": bought.get("price", "49.95"), "currency": "EUR"},
                    "returnReasons": [{"id": sample_id("reason", "TOO_SMALL"), "key": "TOO_SMALL"}],
                    "shippingOptions": [{"id": sample_id("option", "drop-off"), "name": "Drop-off"}],
                }
                for bought in one["purchases"]
            ]

    def sign_in(self, asked: Any) -> Answer:
        """The identity of who names an order and its e-mail address."""
        found = self._known.get((str(asked.get("orderNumber")), str(asked.get("email"))))
        return Answer({"id": found}) if found else _refused("no such order", 401)

    def bought(self, consumer: str) -> Answer:
        """What a customer may send back."""
        found = self.purchases.get(consumer)
        return _refused("no such consumer", 404) if found is None else Answer({"data": found})

    def draft(self, consumer: str, asked: Any) -> Answer:
        """A draft of some purchases with what it costs. Nothing happens for it."""
        known = {one["id"]: one for one in self.purchases.get(consumer, ())}
        chosen = asked.get("selectedPurchases") or []
        if not chosen or any(one.get("purchaseId") not in known for one in chosen):
            return _refused("unknown purchase", 422)
        id_ = sample_id("draft", consumer, str(len(self.drafts)))
        self.drafts[id_] = {
            "id": id_,
            "consumerId": consumer,
            "selectedPurchases": chosen,
            "shippingOptionId": None,
            "totalPrice": {"value": "0.00", "currency": "EUR"},
        }
        return Answer(self.drafts[id_], 201)

    def choose(self, consumer: str, id_: str, asked: Any) -> Answer:
        """Choose how the goods travel."""
        draft = self.drafts.get(id_)
        if draft is None or draft["consumerId"] != consumer:
            return _refused("no such draft return order", 404)
        draft["shippingOptionId"] = asked.get("shippingOptionId")
        return Answer(draft)

    def order(self, consumer: str, asked: Any) -> Answer:
        """Make a return order of a draft. Asked twice it makes two, as no key of repetition is documented."""
        draft = self.drafts.get(str(asked.get("draftReturnOrderId")))
        if draft is None or draft["consumerId"] != consumer:
            return _refused("no such draft return order", 404)
        bought = {one["id"]: one for one in self.purchases[consumer]}
        lines = [
            {"order": one["purchaseOrderNumber"], "sku": one["product"]["sku"], "purchase_id": one["id"]}
            for one in (bought[chosen["purchaseId"]] for chosen in draft["selectedPurchases"])
        ]
        id_ = sample_id("return order", draft["id"], str(len(self._orders)))
        self._orders[id_] = {
            **build_return_order({"id": id_, "lines": lines}),
            "consumerId": consumer,
            "draftReturnOrderId": draft["id"],
            "shippingOptionId": draft["shippingOptionId"],
        }
        return Answer(self._orders[id_], 201, effect=f"return order {id_} of draft {draft['id']}")

    def shown(self, consumer: str, id_: str) -> Answer:
        """A return order as its customer sees it."""
        found = self._orders.get(id_)
        if found is None or found["consumerId"] != consumer:
            return _refused("no such return order", 404)
        return Answer(found)


def register(sim: Simulator, consumers: Consumers) -> None:
    """Serve the endpoints of customers."""

    def serve(name: str, method: str, path: str, handle: Callable[..., Answer]) -> None:
        sim.operation(name, method, path, f"/api/v0{path}")(handle)

    def asked() -> Any:
        return request.get_json(force=True, silent=True) or {}

    serve("authenticate_consumer", "POST", "/auth/consumer", lambda: consumers.sign_in(asked()))
    serve("list_purchases", "GET", "/consumer/<consumer>/purchases", consumers.bought)
    serve(
        "create_draft_return_order",
        "POST",
        "/consumer/<consumer>/draft-return-order",
        lambda consumer: consumers.draft(consumer, asked()),
    )
    serve(
        "choose_shipping_option",
        "PATCH",
        "/consumer/<consumer>/draft-return-order/<id_>/shipping-option",
        lambda consumer, id_: consumers.choose(consumer, id_, asked()),
    )
    serve(
        "create_return_order",
        "POST",
        "/consumer/<consumer>/return-order",
        lambda consumer: consumers.order(consumer, asked()),
    )
    serve("get_consumer_return_order", "GET", "/consumer/<consumer>/return-order/<id_>", consumers.shown)


def _refused(why: str, status: int) -> Answer:
    return Answer({"errors": [{"message": why}]}, status)
