"""What the simulated nShift holds: returns with their items and states, and pushed orders.

States follow the vendor's rules: an item that is MISSING or was ADDED keeps a return awaiting review, items that are
all decided make it processed. A return that is not processed becomes processed by one update of exactly its items.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.core.times import iso, parse_time, seconds

_DECIDED = frozenset({"APPROVED", "REJECTED", "DELETED"})
_PLACES = Decimal("0.01")
#: What may be asked of it to show the vendor's dark corners, with what it does unless told otherwise.
QUIRKS: dict[str, Any] = {
    "page_cap": 0,  # at most so many records in an answer, silently; 0 is all
    "already_processed": 400,  # the answer to an update of a processed return; 200 takes it and changes nothing
    "count_items": "units",  # what itemCount is compared with: units, lines, or nothing
    "processing_reads": 0,  # so many reads after an update still show `processing`
    "spelling": "snake",  # of states: snake (not_processed) or words (Not Processed)
}
_WORDS = {"not_processed": "Not Processed", "awaiting_review": "Awaiting review", "pre_approval": "Pre approval"}


class Refused(Exception):
    """The vendor refuses a request. Carries the status, and the words for the documented error body."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


class Store:
    """Returns and orders. `now` is the vendor's own clock."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = now
        self.forget()

    def forget(self) -> None:
        """Hold nothing, and behave as usual."""
        self.returns: list[dict[str, Any]] = []
        self.orders: dict[str, dict[str, Any]] = {}
        self.quirks = dict(QUIRKS)
        self._now = self._clock
        self._held: dict[int, int] = {}  # reads of a return that still show it being processed

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Add returns, let somebody process some in nShift's own pages, set quirks. Raises KeyError for no quirk."""
        if data.get("forget"):
            self.forget()
        for name, value in data.get("quirks", {}).items():
            self.quirks[name] = type(QUIRKS[name])(value)
        if "now" in data:
            moment = parse_time(data["now"])
            self._now = lambda: moment
        for spec in data.get("returns", ()):
            self.returns.append(self._made(spec))
        for number, gross in data.get("process", {}).items():
            self._process(number, gross)
        return {"returns": copy.deepcopy(self.returns), "orders": len(self.orders)}

    def update(self, told: dict[str, Any]) -> str:
        """Carry out one return of a wms-update; what it changed. Raises `Refused`, and then nothing is changed."""
        record = self._wanted(told)
        if record["status"] == "processed":
            if self.quirks["already_processed"] == 200:
                return ""
            raise Refused(self.quirks["already_processed"], "Return order is already processed")
        units = [item for item in told["items"] for _ in range(item.get("quantity", 1))]
        counted = {"units": len(units), "lines": len(told["items"])}.get(self.quirks["count_items"])
        if counted is not None and told["itemCount"] != counted:
            raise Refused(400, f"itemCount is {told['itemCount']}, the items are {counted}")
        decided = self._matched(record, units)
        for item, unit in decided:
            missing = unit.get("isPresent") is False
            item["status"] = "MISSING" if missing else "APPROVED" if unit["isAccepted"] else "REJECTED"
        for kind in ("net", "tax", "gross"):
            total = sum((Decimal(str(item[f"{kind}Amount"])) for item in told["items"]), Decimal(0))
            record[f"{kind}RefundItemsTotal"] = record[f"{kind}RefundTotal"] = float(total.quantize(_PLACES))
        record["status"], record["updatedAt"] = derived(record["items"]), iso(self._now())
        self._held[record["returnOrderId"]] = self.quirks["processing_reads"]
        return f"return {record['returnOrderId']} of order {record['orderId']} is {record['status']}"

    def push(self, orders: list[dict[str, Any]]) -> str:
        """Take orders, all of them or none; the same orderId replaces what was there."""
        for order in orders:
            self.orders[order["orderId"]] = order
        return f"pushed {', '.join(order['orderId'] for order in orders)}"

    def listed(self, **bounds: datetime | None) -> tuple[list[dict[str, Any]], int]:
        """The records within the bounds createdAfter, createdBefore, updatedAfter and updatedBefore, and how many."""
        found = [record for record in self.returns if _within(record, bounds)]
        shown = [self._shown(record) for record in found]
        cap = self.quirks["page_cap"]
        return (shown[:cap] if cap else shown), len(found)

    def _process(self, number: str, gross: float) -> None:
        for record in self.returns:
            if str(record["returnOrderId"]) == number:
                for item in record["items"]:
                    item["status"] = "APPROVED"
                record["grossRefundItemsTotal"] = record["grossRefundTotal"] = gross
                record["status"], record["updatedAt"] = "processed", iso(self._now())

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        left = self._held.get(record["returnOrderId"], 0)
        shown = copy.deepcopy(record)
        if left > 0 and record["status"] == "processed":
            self._held[record["returnOrderId"]] = left - 1
            shown["status"] = "processing"
        if self.quirks["spelling"] == "words":
            shown["status"] = _WORDS.get(shown["status"], shown["status"].capitalize())
        return shown

    def _wanted(self, told: dict[str, Any]) -> dict[str, Any]:
        for record in self.returns:
            numbers = {str(record["returnOrderId"]), record["returnOrderExtId"], record["orderId"]} - {"{}"}
            if record["orderId"] == told["forwardOrderId"] and told["returnId"] in numbers:
                return record
        raise Refused(400, f"No return order {told['returnId']} of order {told['forwardOrderId']}")

    def _matched(
        self, record: dict[str, Any], units: list[dict[str, Any]]
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        waiting = [item for item in record["items"] if item["status"] != "DELETED"]
        if len(units) != len(waiting):
            raise Refused(400, f"The return has {len(waiting)} items, the request {len(units)}")
        pairs = []
        for unit in units:
            fitting = [
                item
                for item in waiting
                if item["sku"] == unit["sku"] and item["originalOrderItemId"] == unit["forwardOrderItemId"]
            ]
            if not fitting:
                raise Refused(400, f"No item {unit['forwardOrderItemId']} with sku {unit['sku']} is left")
            waiting.remove(fitting[0])
            pairs.append((fitting[0], unit))
        return pairs

    def _made(self, spec: dict[str, Any]) -> dict[str, Any]:
        number = spec.get("returnOrderId", 4711 + len(self.returns))
        ago = timedelta(seconds=seconds(spec["createdAgo"])) if "createdAgo" in spec else timedelta()
        created = spec.get("createdAt", iso(self._now() - ago))
        shared = {"returnOrderId": number, "returnOrderExtId": spec.get("returnOrderExtId", "{}")}
        items = [
            {**shared, "returnOrderItemId": number * 100 + place, **item}
            for place, item in enumerate(_units(spec["items"]), 1)
        ]
        totals = {
            f"{kind}{what}": 0.0
            for what in ("OriginalTotal", "RefundItemsTotal", "ShippingFeeRefund", "FeesTotal", "RefundTotal")
            for kind in ("net", "tax", "gross")
        }
        told = {key: value for key, value in spec.items() if key not in ("items", "returnOrderId", "createdAgo")}
        return {
            **shared,
            "createdAt": created,
            "updatedAt": created,
            "marketCode": "root",
            "customerId": "john.doe@example.com",
            "status": "not_processed",
            "currency": "SEK",
            **totals,
            **told,
            "items": items,
        }


def derived(items: list[dict[str, Any]]) -> str:
    """The state of a return by its items, as the vendor derives it."""
    states = {item["status"] for item in items}
    if states & {"MISSING", "ADDED"}:
        return "awaiting_review"
    return "processed" if states <= _DECIDED else "processing"


def _units(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One record an item, as many as its quantity: the Pull API knows no quantities."""
    for item in items:
        for _ in range(item.get("quantity", 1)):
            yield {
                "originalOrderItemId": item.get("orderItemId", "1"),
                "productId": item.get("productId", item["sku"]),
                "productVariantId": item.get("productVariantId", item["sku"]),
                "sku": item["sku"],
                "status": item.get("status", "ADDED"),
            }


def _within(record: dict[str, Any], bounds: dict[str, datetime | None]) -> bool:
    for name, bound in bounds.items():
        moment = parse_time(record["createdAt" if name.startswith("created") else "updatedAt"])
        if bound and (moment < bound if name.endswith("After") else moment > bound):
            return False
    return True
