"""What the hub knows of a `return` or `order` document: its versions, its numbers, and laws it must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import starmap
from typing import Any

from app.core.times import iso, parse_time
from app.errors import DataError
from app.model import Document, Identifier, Json

#: So much the clocks of two machines may differ.
_CLOCKS_DIFFER = timedelta(seconds=5)


def version_key(body: Json) -> str:
    """The document's version as text that sorts: from `version` (a number), else from `updated_at`, else "".

    Raises `DataError` when the value is neither.
    """
    if (version := body.get("version")) is not None:
        if not str(version).isascii() or not str(version).isdigit():
            raise DataError(f"version {version!r} is no whole number", path="version")
        # 30 digits hold any counter and any nanosecond clock; fixed width makes text order number order.
        return f"v{int(version):030d}"
    if updated := body.get("updated_at"):
        try:
            return f"t{iso(parse_time(str(updated)))}"
        except ValueError:
            raise DataError(f"{updated!r} is no ISO 8601 time", path="updated_at") from None
    return ""


def is_stale(document: Document, head: Document | None, now: datetime | None = None) -> bool:
    """Whether a newer picture of the object is known already.

    Order: the source's own version, then the moment its content was asked for; of exact equals the later arrival
    wins. A source that changes how it counts versions starts anew: only equal kinds of version are compared. A moment
    that is still to come `now` is of a clock that has been put back since: it says nothing of the order.
    """
    if head is None:
        return False
    if _has_order(document, head):
        return document.version < head.version
    if now is not None and head.observed_at > now + _CLOCKS_DIFFER:
        return False
    return document.observed_at < head.observed_at


def clashes(document: Document, head: Document | None) -> bool:
    """Whether the source gives one version to two different pictures: only the source itself can say which is right."""
    return bool(
        head is not None and document.version and document.version == head.version and document.body != head.body
    )


def is_older_by_clock(document: Document, head: Document | None, now: datetime | None = None) -> bool:
    """Whether nothing but our own clock says that a different picture is newer: it may have been put back meanwhile."""
    if head is None or _has_order(document, head):
        return False
    return is_stale(document, head, now) and document.body != head.body


def _has_order(document: Document, head: Document) -> bool:
    """Whether the source itself says which of two pictures is newer."""
    comparable = document.version and head.version and document.version[0] == head.version[0]
    return bool(comparable and document.version != head.version)


def identifiers(kind: str, body: Json) -> list[Identifier]:
    """Every number of a document by which somebody may search for it. Only the object's own numbers link stories."""
    found = [(str(body["id"]), kind, True)]
    if number := body.get("number"):
        found.append((number, "number", True))
    for upstream in body.get("upstream") or ():
        found.append((upstream["id"], upstream.get("kind", "return"), True))
    for order in body.get("orders") or ():
        found.append((order["number"], "order", False))
        for number in order.get("alternatives") or ():
            found.append((number, "order", False))
    for number in body.get("alternatives") or ():
        found.append((number, "order", False))
    for parcel in body.get("parcels") or ():
        for field, named in _OF_PARCELS:
            if value := parcel.get(field):
                found.append((value, named, False))
    return list(starmap(Identifier, dict.fromkeys(found)))


_OF_PARCELS = (("id", "parcel"), ("tracking_number", "tracking"), ("barcode", "barcode"))
_NOTHING = Decimal(0)


def amount(value: Any, path: str) -> Decimal:
    """A number of things as it is written at `path` of a document. Raises `DataError` when it is none."""
    try:
        return Decimal(value if type(value) is int else str(value))
    except InvalidOperation:
        raise DataError(f"{value!r} is no quantity", path=path) from None


def quantity(line: Json, name: str) -> Decimal:
    """A quantity of a line (`announced`, `received`, `accepted`, `rejected`), 0 when it is not said."""
    value: Any = (line.get("quantity") or {}).get(name)
    if value is None:
        return _NOTHING
    return amount(value, f"lines[{line.get('key')}].quantity.{name}")


def says(line: Json, name: str) -> bool:
    """Whether a line says a quantity at all, so that it need not be worked out where it does not."""
    return (line.get("quantity") or {}).get(name) is not None


def whole(value: Decimal) -> int | Decimal:
    """A quantity as documents and keys hold it: whole numbers plain, others without zeros at the end."""
    return int(value) if value == value.to_integral_value() else value.normalize()


@dataclass(frozen=True, slots=True)
class Breach:
    """A quantity law that a document breaks. The key tells which one, at which numbers."""

    key: str
    says: str


def broken_laws(kind: str, body: Json) -> Iterator[Breach]:
    """Each breach of the quantity laws; told to a person, never corrected.

    A return's line: announced >= received >= accepted + rejected. An order's line: quantity >= delivered.
    """
    laws = _order_laws if kind == "order" else _return_laws
    for line in body.get("lines") or ():
        for law, most, got, says in laws(line):
            if got > most:
                key = f"{law}:{line['key']}:{whole(got)}>{whole(most)}"
                yield Breach(key, f"line {line['key']}: {says.format(whole(got), whole(most))}")


_Laws = Iterator[tuple[str, Decimal, Decimal, str]]


def _return_laws(line: Json) -> _Laws:
    said = line.get("quantity") or {}
    if "received" not in said:
        return
    received = quantity(line, "received")
    if "announced" in said:
        yield "received", quantity(line, "announced"), received, "received {} of {} announced"
    if "accepted" in said or "rejected" in said:
        decided = quantity(line, "accepted") + quantity(line, "rejected")
        yield "decided", received, decided, "{} accepted or rejected of {} received"


def _order_laws(line: Json) -> _Laws:
    if line.get("delivered") is not None and line.get("quantity") is not None:
        ordered, done = (amount(line[name], f"lines[{line['key']}].{name}") for name in ("quantity", "delivered"))
        yield "delivered", ordered, done, "delivered {} of {} ordered"
