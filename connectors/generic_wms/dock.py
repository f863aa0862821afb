"""The dock of the simulated warehouse: what arrives is counted and graded, and told as the whole return each time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

_STATES = {"return.received": "RECEIVED", "return.graded": "GRADED", "item.unexpected": "RECEIVED"}
#: What a grading may say of a line.
_SAID = ("received", "accepted", "rejected", "condition", "decisionReason", "orderLine", "price")


class Dock:
    """Counts and grades the returns of a warehouse. Its rows are the warehouse's own, changed in place."""

    def __init__(self, returns: dict[str, dict[str, Any]]) -> None:
        self._returns = returns
        self._events, self._items, self._parcels = count(1), count(1), count(1)
        self._last = datetime.min.replace(tzinfo=UTC)

    def grade(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one grading and give the event that tells it. Raises KeyError for an unknown return or article."""
        event = str(wanted.get("event", "return.graded"))
        state = _STATES[event]
        row = self._returns[wanted["rma"]] if "rma" in wanted else self._unannounced()
        lines = self.lines(row)
        for said in wanted.get("lines", ()):
            line = _meant(lines, said)
            if line is None:
                raise KeyError(f"line with article {said['sku']} in {row['returnNumber']}")
            line.update({name: said[name] for name in _SAID if name in said})
        for said in wanted.get("unexpected", ()):
            item = {"item": f"U-{next(self._items)}", "received": 1, **said}
            row.setdefault("unexpectedItems", []).append(item)
        row["status"] = str(wanted.get("status", state))
        row["updatedAt"] = self._now()
        data = {**self.shown(row), **wanted.get("set", {})}
        return {
            "event": event,
            "eventId": f"evt-{next(self._events):06d}",
            "occurredAt": row["updatedAt"],
            "data": data,
        }

    def lines(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The lines of a return as the dock counts them, made of its announcement when nothing was counted yet."""
        if "counted" not in row:
            announced = row.get("orders") or [{**row, "lines": row.get("lines", ())}]
            lines = [(order, line) for order in announced for line in order["lines"]]
            row["counted"] = [
                {
                    "line": str(place),
                    **({"shopOrder": order["shopOrder"]} if "shopOrder" in order else {}),
                    **{name: line[name] for name in ("orderLine", "sku", "title", "reasons", "price") if name in line},
                    "announced": line["quantity"],
                    "received": 0,
                    "accepted": 0,
                    "rejected": 0,
                }
                for place, (order, line) in enumerate(lines, 1)
            ]
        counted: list[dict[str, Any]] = row["counted"]
        return counted

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        """A return as messages and `GET /returns/<number>` show it."""
        announced = row.get("orders") or [row]
        orders: list[dict[str, Any]] = [
            {name: one[name] for name in ("shopOrder", "salesOrder") if name in one} for one in announced
        ]
        told: dict[str, Any] = {
            **{name: row[name] for name in ("returnNumber", "rmaNumber", "returnId", "status") if name in row},
            "updatedAt": row.get("updatedAt") or self._now(row),
            "orders": [order for order in orders if order],
            "lines": self.lines(row),
            "unexpectedItems": row.get("unexpectedItems", []),
        }
        return copy.deepcopy(told)

    def _unannounced(self) -> dict[str, Any]:
        number = f"WR-9{next(self._parcels):05d}"
        self._returns[number] = row = {"returnNumber": number, "lines": []}
        return row

    def _now(self, row: dict[str, Any] | None = None) -> str:
        # Two gradings in one millisecond are still one after the other.
        self._last = max(datetime.now(UTC), self._last + timedelta(milliseconds=1))
        text = self._last.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if row is not None:
            row["updatedAt"] = text
        return text


def _meant(lines: list[dict[str, Any]], said: Mapping[str, Any]) -> dict[str, Any] | None:
    """The line of the article; of several that of the order line, where it is said."""
    found = [line for line in lines if line["sku"] == said["sku"]]
    exact = [line for line in found if line.get("orderLine") == said.get("orderLine")]
    return next(iter(exact or found), None)
