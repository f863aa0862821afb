"""What the hub knows of a `return` or `order` document: its versions, its numbers, and laws it must keep."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from app.core.times import iso, parse_time
from app.errors import DataError
from app.model import Document, Identifier, Json


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


def is_stale(document: Document, head: Document | None) -> bool:
    """Whether a newer picture of the object is known already.

    Order: the source's own version, then the moment its content was asked for; of exact equals the later arrival
    wins. A source that changes how it counts versions starts anew: only equal kinds of version are compared.
    """
    if head is None:
        return False
    comparable = document.version and head.version and document.version[0] == head.version[0]
    if comparable and document.version != head.version:
        return document.version < head.version
    return document.observed_at < head.observed_at


def identifiers(kind: str, body: Json) -> list[Identifier]:
    """Every number of a document by which somebody may search for it. Only the object's own numbers link stories."""
    found = [Identifier(str(body["id"]), kind, True)]
    if number := body.get("number"):
        found.append(Identifier(number, "number", True))
    for upstream in body.get("upstream") or ():
        found.append(Identifier(upstream["id"], upstream.get("kind", "return"), True))
    for order in body.get("orders") or ():
        found.append(Identifier(order["number"], "order"))
        found.extend(Identifier(number, "order") for number in order.get("alternatives") or ())
    found.extend(Identifier(number, "order") for number in body.get("alternatives") or ())
    for parcel in body.get("parcels") or ():
        for field, kind in (("id", "parcel"), ("tracking_number", "tracking"), ("barcode", "barcode")):
            if value := parcel.get(field):
                found.append(Identifier(value, kind))
    return list(dict.fromkeys(found))


_NOTHING = Decimal(0)


def quantity(line: Json, name: str) -> Decimal:
    """A quantity of a line (`announced`, `received`, `accepted`, `rejected`), 0 when it is not said."""
    value: Any = (line.get("quantity") or {}).get(name)
    if value is None:
        return _NOTHING
    try:
        return Decimal(value if type(value) is int else str(value))
    except InvalidOperation:
        raise DataError(f"{value!r} is no quantity", path=f"lines[{line.get('key')}].quantity.{name}") from None


def broken_laws(body: Json) -> Iterator[str]:
    """Each breach of announced >= received >= accepted + rejected, as a sentence. Shown, never corrected."""
    for line in body.get("lines") or ():
        said = line.get("quantity") or {}
        announced, received = quantity(line, "announced"), quantity(line, "received")
        decided = quantity(line, "accepted") + quantity(line, "rejected")
        if "announced" in said and "received" in said and received > announced:
            yield f"line {line['key']}: received {received} of {announced} announced"
        if "received" in said and decided > received:
            yield f"line {line['key']}: {decided} accepted or rejected of {received} received"
