"""`order_changes(before, after)`: which facts are new in an order. Pure, and the same for every vendor.

Keys follow the rules of `app.core.changes`, but for `order.changed`: an order may return to what it was before, which
is a new fact again. Its key holds the order's version, or its content where the source gives no version.

One picture of an order may tell several facts, and a target that is told the whole order wants to hear of them once:
`change.first` is true for the first of them only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from app.core.documents import amount, version_key, whole
from app.core.jsontext import dump_text
from app.model import Change, Json

#: Every change of an order that a route may listen to, with what it means.
ORDER_CHANGES = {
    "order.placed": "the order is known for the first time, whatever its state; of the changes that one picture of an "
    "order tells, change.first is true for the first only",
    "order.changed": "a known order looks different (state, lines, prices …), but for what the other changes tell",
    "order.cancelled": "the order was cancelled",
    "line.delivered": "items of an order's line were delivered; change.quantity is how many more",
}
_CANCELLED = "cancelled"
#: What is no content of an order: its version, and what other changes tell.
_TOLD_ELSEWHERE = frozenset({"version", "updated_at", "raw"})


def order_changes(before: Json, after: Json) -> list[Change]:
    """The facts of the order `after` that `before` (None: nothing known) did not hold, in a fixed order."""
    known = before or {}
    found: list[Change] = []
    cancelled = after.get("state") == _CANCELLED != known.get("state")
    if not known:
        found.append(Change("order.placed", "order.placed"))
    elif not cancelled and (content := _content(after)) != _content(known):
        found.append(Change("order.changed", f"order.changed:{version_key(after) or _digest(content)}"))
    if cancelled:
        found.append(Change("order.cancelled", "order.cancelled"))
    found.extend(_deliveries(known, after))
    return [replace(one, data={**one.data, "first": place == 0}) for place, one in enumerate(found)]


def delivered(line: Json) -> Decimal:
    """How many items of an order's line were delivered: as it says, else all of them once its state says so."""
    if line.get("delivered") is not None:
        return amount(line["delivered"], f"lines[{line.get('key')}].delivered")
    if line.get("state") != "delivered":
        return Decimal(0)
    return amount(line.get("quantity", 1), f"lines[{line.get('key')}].quantity")


def _deliveries(before: Json, after: Json) -> Iterator[Change]:
    known = {line["key"]: line for line in before.get("lines") or ()}
    for line in after.get("lines") or ():
        key = line["key"]
        had, has = delivered(known.get(key, {})), delivered(line)
        if has > had:
            more = {"line": line, "quantity": whole(has - had), "total": whole(has)}
            yield Change("line.delivered", f"line.delivered:{key}:{whole(has)}", more)


def _content(body: Json) -> dict[str, Json]:
    content = {name: value for name, value in body.items() if name not in _TOLD_ELSEWHERE}
    content["lines"] = [_line_content(line) for line in body.get("lines") or ()]
    return content


def _line_content(line: Json) -> dict[str, Json]:
    content = {name: value for name, value in line.items() if name not in ("delivered", "state")}
    return {**content, "cancelled": line.get("state") == _CANCELLED}


def _digest(content: Json) -> str:
    return hashlib.sha256(dump_text(_in_order(content)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _in_order(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _in_order(value[name]) for name in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value
