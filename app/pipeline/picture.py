"""Picture: the vendor's words about one object become the hub's document of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.core.connectors import Connection
from app.core.documents import version_key
from app.core.ports import Ids
from app.core.site import Site
from app.errors import DataError
from app.model import Document

#: Of the names that a mapping sees, those that are not the vendor's words.
_NOT_RAW = ("settings", "event")


def make_document(
    site: Site,
    ids: Ids,
    connection: Connection,
    kind: str,
    names: Mapping[str, Any],
    *,
    observed_at: datetime,
    event_id: str,
) -> Document:
    """The document that the connection's mapping makes of `names`, valid against the schema of its `kind`.

    `observed_at` is when its content was asked for, or received. Raises `DataError`, or `UnknownWord` for a word that
    no table knows.
    """
    inbound = connection.connector.inbound
    assert inbound is not None
    mapping = site.mappings[inbound.mapping]
    assert mapping.document is not None
    body = mapping.document.render(names, "document")
    faults = site.validators[kind].errors(body, kind)
    if faults:
        raise DataError("; ".join(faults), where=str(mapping.where), todo=f"mend mapping {mapping.name}, then retry")
    return Document(
        document_id=ids.new("doc"),
        kind="order" if kind == "order" else "return",
        connection=connection.name,
        object_id=body["id"],
        seq=0,
        version=version_key(body),
        observed_at=observed_at,
        body=body,
        raw={name: held for name, held in names.items() if name not in _NOT_RAW},
        event_id=event_id,
        stamp=site.stamp,
    )
