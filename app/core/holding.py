"""`holds(change, body)`: whether a fact is still true of an object, by a newer picture of it. Pure.

A route with `confirm: true` asks this of the document that was read again just before its first call.
"""

from __future__ import annotations

from collections.abc import Callable

from app.core.changes import LABELLED, all_decided
from app.core.documents import quantity
from app.core.order_changes import delivered
from app.core.reversals import ENDED
from app.model import Change, Json

_UNDECIDED = frozenset({"requested", *ENDED})
_REFUNDED = frozenset({"started", "closed"})

Test = Callable[[Change, Json], bool]


def holds(change: Change, body: Json) -> bool:
    """Whether `body`, a return or order as its source shows it now, still bears the change out.

    Quantities hold as long as the total that the change reached is not undercut. What opens something (registered,
    approved, labelled, placed) no longer holds once the object is rejected or cancelled. A change that this version
    does not know does not hold: nothing is sent for it.
    """
    test = _TESTS.get(change.name)
    return test is not None and test(change, body)


def _open(_change: Change, body: Json) -> bool:
    return body.get("state") not in ENDED


def _approved(_change: Change, body: Json) -> bool:
    return body.get("state") is not None and body["state"] not in _UNDECIDED


def _state(name: str) -> Test:
    return lambda _change, body: body.get("state") == name


def _labelled(change: Change, body: Json) -> bool:
    parcels = body.get("parcels") or ()
    return _open(change, body) and any(parcel.get("state") in LABELLED for parcel in parcels)


def _parcel(states: frozenset[str]) -> Test:
    def test(change: Change, body: Json) -> bool:
        wanted = change.data["parcel"]["id"]
        return any(parcel["id"] == wanted and parcel.get("state") in states for parcel in body.get("parcels") or ())

    return test


def _line(change: Change, body: Json) -> Json | None:
    """The line that the change is of, as it is now; None when it is gone."""
    wanted = change.data["line"]["key"]
    return next((line for line in body.get("lines") or () if line["key"] == wanted), None)


def _reached(name: str) -> Test:
    def test(change: Change, body: Json) -> bool:
        line = _line(change, body)
        return line is not None and bool(quantity(line, name) >= change.data["total"])

    return test


def _in_review(change: Change, body: Json) -> bool:
    line = _line(change, body)
    return line is not None and line.get("state") == "in_review"


def _removed(change: Change, body: Json) -> bool:
    return _line(change, body) is None


def _reversed(change: Change, body: Json) -> bool:
    line, decision = _line(change, body) or {}, change.data["decision"]
    if "total" not in change.data:
        return bool(line.get("state") != decision)
    return bool(quantity(line, decision) <= change.data["total"])


def _refund(change: Change, body: Json) -> Json:
    return (_line(change, body) or {}).get("refund") or {}


def _refunded(states: frozenset[str]) -> Test:
    return lambda change, body: _refund(change, body).get("state") in states


def _amount(change: Change, body: Json) -> bool:
    return bool(_refund(change, body).get("amount") == change.data["refund"].get("amount"))


def _withdrawn(change: Change, body: Json) -> bool:
    return bool((_refund(change, body).get("state") or "none") == (change.data["refund"].get("state") or "none"))


def _delivered(change: Change, body: Json) -> bool:
    line = _line(change, body)
    return line is not None and delivered(line) >= change.data["total"]


_TESTS: dict[str, Test] = {
    "return.registered": _open,
    "return.approved": _approved,
    "return.rejected": _state("rejected"),
    "return.cancelled": _state("cancelled"),
    "return.reopened": _open,
    "return.labelled": _labelled,
    "parcel.labelled": _parcel(LABELLED),
    "parcel.failed": _parcel(frozenset({"failed"})),
    "parcel.delivered": _parcel(frozenset({"delivered"})),
    "line.received": _reached("received"),
    "line.in_review": _in_review,
    "line.accepted": _reached("accepted"),
    "line.rejected": _reached("rejected"),
    "line.reversed": _reversed,
    "line.removed": _removed,
    "return.decided": lambda _change, body: all_decided(body),
    "refund.started": _refunded(_REFUNDED),
    "refund.changed": _amount,
    "refund.closed": _refunded(frozenset({"closed"})),
    "refund.withdrawn": _withdrawn,
    "order.placed": _open,
    "order.changed": _open,
    "order.cancelled": _state("cancelled"),
    "line.delivered": _delivered,
}
