"""Refunds: taken for processing first, paid or failed later."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from connectors.digital_river.coordination import Coordination
from connectors.digital_river.lists import fault
from connectors.digital_river.samples import written
from connectors.simkit import Answer

#: Those whose money is gone or on its way.
_COUNTING = ("pending_information", "pending", "succeeded")
_EVENTS = {
    "succeeded": "refund.complete",
    "failed": "refund.failed",
    "pending_information": "refund.pending_information",
}


class Refunds:
    """The refunds of all orders. What can be paid back is what was captured for the items, less what counts already."""

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.refunds: dict[str, dict[str, Any]] = {}

    def create(self, body: Any) -> Answer:
        """POST /refunds, of items or of an amount."""
        if not isinstance(body, dict):
            return fault(400, "invalid_format", "The request body is no JSON object.")
        items, currency = self._order(body.get("orderId"))
        for wrong, code, message, parameter in self._checks(body, items, currency):
            if wrong():
                return fault(400, code, message, parameter)
        amounts = [self._amount(line, items[line["itemId"]]) for line in body.get("items", ())]
        for line, amount in zip(body.get("items", ()), amounts, strict=True):
            if amount > self._available(body["orderId"], items, line["itemId"]):
                return _too_much()
        amount = sum(amounts, Decimal(0)) if body.get("items") else Decimal(str(body["amount"]))
        if amount > self._available(body["orderId"], items):
            return _too_much()
        id_ = f"re_{len(self.refunds) + 1:010d}"
        lines = [
            {**line, "amount": float(part), "refundedAmount": 0}
            for line, part in zip(body.get("items", ()), amounts, strict=True)
        ]
        self.refunds[id_] = {
            "id": id_,
            "createdTime": written(self._coordination.now()),
            "orderId": body["orderId"],
            "currency": body["currency"],
            "amount": float(amount),
            "refundedAmount": 0,
            "items": lines,
            **{name: body[name] for name in ("reason", "metadata") if name in body},
            "state": "pending",
            "liveMode": self._coordination.live,
        }
        self._coordination.happen("refund.pending", self.refunds[id_])
        told = ", ".join(f"{line.get('quantity', line['amount'])} of {line['itemId']}" for line in lines) or str(amount)
        return Answer(copy.deepcopy(self.refunds[id_]), 201, effect=f"refund {id_} of {body['orderId']} with {told}")

    def settle(self, id_: str, state: str, because: str = "") -> dict[str, Any]:
        """The payment provider answers: succeeded, failed, expired or pending_information."""
        refund = self.refunds[id_]
        refund["state"] = state
        if because:
            refund["failureReason"] = because
        if state == "succeeded":
            refund["refundedAmount"] = refund["amount"]
            for line in refund["items"]:
                line["refundedAmount"] = line["amount"]
        if state in _EVENTS:
            self._coordination.happen(_EVENTS[state], refund)
        return refund

    def _order(self, order_id: Any) -> tuple[dict[str, dict[str, Any]], str]:
        found = [order for order in self._coordination.orders.values() if order["upstreamId"] == order_id]
        items = {item["upstreamId"]: item for order in found for item in order["items"]}
        return items, found[0]["currency"] if found else ""

    def _checks(
        self, body: dict[str, Any], items: dict[str, Any], currency: str
    ) -> list[tuple[Callable[[], bool], str, str, str]]:
        given = [name for name in ("amount", "percent", "items") if body.get(name)]
        flat = (str, bool, int)
        return [
            (lambda: not body.get("currency"), "missing_parameter", "currency is required.", "currency"),
            (lambda: not items, "invalid_parameter", f"'{body.get('orderId')}' is not a valid order.", "orderId"),
            (lambda: body["currency"] != currency, "invalid_parameter", "The currency is not the order's.", "currency"),
            (lambda: len(given) != 1, "invalid_parameter", "Give one of amount, percent and items.", "amountRequested"),
            (
                lambda: any(line.get("itemId") not in items for line in body.get("items", ())),
                "invalid_parameter",
                "The item is not in the order.",
                "items",
            ),
            (
                lambda: any(not isinstance(value, flat) for value in body.get("metadata", {}).values()),
                "invalid_parameter",
                "metadata takes texts, numbers and booleans.",
                "metadata",
            ),
        ]

    def _amount(self, line: dict[str, Any], item: dict[str, Any]) -> Decimal:
        total = Decimal(str(item["total"]))
        if "amount" in line:
            return Decimal(str(line["amount"]))
        if "percent" in line:
            return total * Decimal(str(line["percent"])) / 100
        return total / Decimal(item["quantity"]) * Decimal(line["quantity"])

    def _available(self, order_id: str, items: dict[str, Any], item_id: str = "") -> Decimal:
        wanted = [item_id] if item_id else list(items)
        captured = sum((Decimal(str(items[one]["total"])) for one in wanted), Decimal(0))
        counting = [one for one in self.refunds.values() if one["orderId"] == order_id and one["state"] in _COUNTING]
        if not item_id:
            return captured - sum((Decimal(str(one["amount"])) for one in counting), Decimal(0))
        lines = [line for one in counting for line in one["items"] if line["itemId"] == item_id]
        return captured - sum((Decimal(str(line["amount"])) for line in lines), Decimal(0))


def _too_much() -> Answer:
    return fault(
        400,
        "invalid_parameter",
        "The requested refund amount is greater than the available amount.",
        "amountRequested",
    )
