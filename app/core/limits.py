"""No more is accepted or refunded of an order line than was delivered, whichever lines tell it. Pure.

A source may take a line away after somebody paid for it, and put another one in its place: the new line's facts are
new, the goods are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from decimal import Decimal

from app.core.documents import amount, quantity
from app.model import Change

#: The facts that somebody pays for.
LIMITED = frozenset({"line.accepted", "refund.started", "refund.closed"})


def beyond(found: Iterable[Change], acted: Collection[Change]) -> list[Change]:
    """The changes that go beyond what was delivered of their order line.

    `acted` are the facts of the same object that somebody was told of before. Lines that do not say their
    `order_line` and `quantity.delivered` have no limit.
    """
    told: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(dict)
    for fact in acted:
        if (group := _group(fact)) is not None:
            told[group][fact.key] = _units(fact)
    refused = []
    for change in found:
        group = _group(change)
        if group is None or change.key in told[group]:
            continue
        most = quantity(change.data["line"], "delivered")
        if sum(told[group].values(), _units(change)) > most:
            refused.append(change)
        else:
            told[group][change.key] = _units(change)
    return refused


def _group(change: Change) -> tuple[str, str] | None:
    line = (change.data or {}).get("line") or {}
    limited = change.name in LIMITED and "delivered" in (line.get("quantity") or {})
    return (change.name, line["order_line"]) if limited and line.get("order_line") else None


def _units(change: Change) -> Decimal:
    return amount(change.data.get("quantity", 1), "change.quantity")
