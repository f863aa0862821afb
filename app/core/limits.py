"""No more is accepted or refunded of an order line than was delivered, whichever lines tell it. Pure.

A source may take a line away after somebody paid for it, and put another one in its place: the new line's facts are
new, the goods are not. All facts of one line are about the same goods: one that was accepted and then refunded is one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from copy import deepcopy
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
    told: dict[str, dict[str, dict[str, dict[str, Decimal]]]] = defaultdict(dict)
    for fact in acted:
        if (order_line := _order_line(fact)) is not None:
            _note(told[order_line], fact)
    refused = []
    for change in found:
        order_line = _order_line(change)
        if order_line is None:
            continue
        most, lines = quantity(change.data["line"], "delivered"), told[order_line]
        with_it = deepcopy(lines)
        _note(with_it, change)
        if _goods(with_it) > max(most, _goods(lines)):
            refused.append(change)
        else:
            told[order_line] = with_it
    return refused


def _note(lines: dict[str, dict[str, dict[str, Decimal]]], fact: Change) -> None:
    lines.setdefault(fact.data["line"]["key"], {}).setdefault(fact.name, {})[fact.key] = _units(fact)


def _goods(lines: dict[str, dict[str, dict[str, Decimal]]]) -> Decimal:
    """How much of an order line they are about: of each line the fact that is told of most of it counts."""
    return sum((max(sum(told.values(), Decimal(0)) for told in names.values()) for names in lines.values()), Decimal(0))


def _order_line(change: Change) -> str | None:
    line = (change.data or {}).get("line") or {}
    limited = change.name in LIMITED and "delivered" in (line.get("quantity") or {})
    return line.get("order_line") or None if limited else None


def _units(change: Change) -> Decimal:
    return amount(change.data.get("quantity", 1), "change.quantity")
