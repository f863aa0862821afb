"""`changes(before, after)`: which facts are new in a return. Pure, and the same for every vendor.

A fact's key says what happened to what, without a version, so that repeats, skipped versions and disorder fire it
once for ever. Quantities travel as differences and their key holds the total reached: accepted 1, then 3, fires
`line.accepted` with 1 and with 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.core.documents import quantity, says, whole
from app.core.order_changes import ORDER_CHANGES, order_changes
from app.core.reversals import ENDED, removed, reopened, reversals
from app.model import Change, Json

#: Every change of a return that a route may listen to, with what it means. The docs print it; `check` knows no others.
RETURN_CHANGES = {
    "return.registered": "the return is known for the first time",
    "return.approved": "the return was approved, or is seen for the first time in a state that only follows that",
    "return.rejected": "the return was rejected",
    "return.cancelled": "the return was cancelled",
    "return.reopened": "a return that was rejected or cancelled goes on; the facts it had told are not told again",
    "return.labelled": "the first shipping label exists: goods are coming (once per return)",
    "parcel.labelled": "a parcel has a label; change.first tells whether it came with return.labelled",
    "parcel.failed": "no label could be made for a parcel",
    "parcel.delivered": "a parcel has arrived",
    "line.received": "items of a line were received; change.quantity is how many more",
    "line.in_review": "a line is being looked at",
    "line.accepted": "items of a line were accepted; change.quantity is how many more",
    "line.rejected": "items of a line were rejected; change.quantity is how many more",
    "line.reversed": "fewer items are accepted or rejected (change.decision) than before, by change.quantity",
    "line.removed": "a line is no longer part of the return",
    "return.decided": "every line is accepted or rejected",
    "refund.started": "a refund began",
    "refund.changed": "a refund's amount changed",
    "refund.closed": "a refund is through",
    "refund.withdrawn": "a refund that had begun or was through is so no more",
}
#: The changes of both kinds of documents.
ALL_CHANGES = {**RETURN_CHANGES, **ORDER_CHANGES}
#: A state seen late tells what it follows from: whether a picture in between was missed changes nothing.
_APPROVED = frozenset({"approved", "in_transit", "received", "in_review", "decided"})
#: The states of a parcel that has a label.
LABELLED = frozenset({"labelled", "in_transit", "delivered"})
#: The quantities of a line that tell no fact.
_ANNOUNCED = frozenset({"announced", "delivered"})
_QUANTITIES = (("line.received", "received"), ("line.accepted", "accepted"), ("line.rejected", "rejected"))


def changes(before: Json, after: Json) -> list[Change]:
    """The facts of the return `after` that `before` (None: nothing known) did not hold, in a fixed order."""
    before = before or {}
    return [*_states(before, after), *_parcels(before, after), *_lines(before, after), *_decided(before, after)]


def _states(before: Json, after: Json) -> Iterator[Change]:
    if not before:
        yield Change("return.registered", "return.registered")
    was, state = before.get("state"), after.get("state")
    if state in _APPROVED and was not in _APPROVED:
        yield Change("return.approved", "return.approved")
    if state in ENDED and was != state:
        yield Change(f"return.{state}", f"return.{state}")
    yield from reopened(before, after)


def _parcels(before: Json, after: Json) -> Iterator[Change]:
    known = {parcel["id"]: parcel for parcel in before.get("parcels") or ()}
    first = not any(parcel.get("state") in LABELLED for parcel in known.values())
    parcels = after.get("parcels") or ()
    if first and any(parcel.get("state") in LABELLED for parcel in parcels):
        yield Change("return.labelled", "return.labelled")
    for parcel in parcels:
        was, now = known.get(parcel["id"], {}).get("state"), parcel.get("state")
        data = {"parcel": parcel, "first": first}
        if now in LABELLED and was not in LABELLED:
            yield Change("parcel.labelled", f"parcel.labelled:{parcel['id']}", data)
        if now == "failed" and was != "failed":
            yield Change("parcel.failed", f"parcel.failed:{parcel['id']}", data)
        if now == "delivered" and was != "delivered":
            yield Change("parcel.delivered", f"parcel.delivered:{parcel['id']}", data)


def _lines(before: Json, after: Json) -> Iterator[Change]:
    known = {line["key"]: line for line in before.get("lines") or ()}
    for line in after.get("lines") or ():
        key = line["key"]
        was = known.pop(key, {})
        if not was and _says_nothing(line):
            continue
        for name, field in _QUANTITIES:
            if not (says(was, field) or says(line, field)):
                continue
            had, has = quantity(was, field), quantity(line, field)
            if has > had:
                more = {"line": line, "quantity": whole(has - had), "total": whole(has)}
                yield Change(name, f"{name}:{key}:{whole(has)}", more)
        if line.get("state") == "in_review" and was.get("state") != "in_review":
            yield Change("line.in_review", f"line.in_review:{key}", {"line": line})
        yield from _refund(line, was)
        yield from reversals(line, was)
    for line in known.values():
        yield removed(line)


def _says_nothing(line: Json) -> bool:
    """Whether a line that is seen first tells no fact: as it is nearly always, its goods are still to come."""
    quantities = line.get("quantity") or {}
    return _ANNOUNCED.issuperset(quantities) and line.get("state") != "in_review" and not line.get("refund")


def _refund(line: Json, was: Json) -> Iterator[Change]:
    key, refund, had = line["key"], line.get("refund") or {}, was.get("refund") or {}
    data = {"line": line, "refund": refund}
    state = refund.get("state")
    if state in ("started", "closed") and had.get("state") not in ("started", "closed"):
        yield Change("refund.started", f"refund.started:{key}", data)
    elif had and refund.get("amount") != had.get("amount"):
        yield Change("refund.changed", f"refund.changed:{key}:{refund.get('amount')}", data)
    if state == "closed" and had.get("state") != "closed":
        yield Change("refund.closed", f"refund.closed:{key}", data)


def _decided(before: Json, after: Json) -> Iterator[Change]:
    if all_decided(after) and not all_decided(before):
        yield Change("return.decided", "return.decided")


def all_decided(body: Json) -> bool:
    """Whether every line of a return is accepted or rejected, with all its items; cancelled ones count for nothing."""
    lines = [line for line in body.get("lines") or () if line.get("state") != "cancelled"]
    return bool(lines) and all(_decided_line(line) for line in lines)


def _decided_line(line: Json) -> bool:
    if not (says(line, "accepted") or says(line, "rejected")):
        return False
    expected = max(quantity(line, "announced"), quantity(line, "received"))
    done = quantity(line, "accepted") + quantity(line, "rejected")
    return done > 0 and done >= expected


#: What finds the changes of each kind of document.
DIFFERS: dict[str, Callable[[Json, Json], list[Change]]] = {"return": changes, "order": order_changes}


def kind_of(change: str) -> str:
    """The kind of document that a change is of, by its name; "return" for a name that there is not."""
    return "order" if change in ORDER_CHANGES or change.startswith("order.") else "return"
