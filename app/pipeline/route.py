"""Changes × routes → deliveries. Runs inside the transaction that wrote the changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.core.mapping import MappingFile
from app.core.ports import Ids
from app.core.routing import Route, change_view, takes
from app.core.site import Site
from app.errors import DataError
from app.model import Change, Document, Json, NewDelivery


def deliveries(site: Site, ids: Ids, document: Document, change: Change) -> Iterator[NewDelivery]:
    """The deliveries that the site's routes want for one change of one document.

    A route whose `when` or split cannot be worked out still gives one delivery: it fails when carried out, where
    people see it, instead of vanishing here.
    """
    for route in site.routes:
        try:
            wanted = takes(route, change, document.body, document.connection)
        except DataError:
            wanted = True
        if wanted:
            for part in _parts(site, route, document, change):
                yield NewDelivery(
                    delivery_id=ids.new("dlv"),
                    change_key=change.key,
                    route=route.name,
                    part=part,
                    lane=route.calls[0].connection,
                    order_key="" if route.order == "free" else f"{document.connection}|{document.object_id}",
                    stamp=site.stamp,
                    settle_s=route.settle_s,
                )


def names_for(document: Document, change: Change, *, raw: bool = True) -> dict[str, Any]:
    """The names that routes and mappings see of a change: the document under its kind, and `change`."""
    names = {document.kind: document.body, "source": document.connection, "change": change_view(change)}
    if raw:
        names["raw"] = document.raw() if callable(document.raw) else document.raw
    return names


def split_items(mapping: MappingFile, names: dict[str, Any]) -> dict[str, Json]:
    """The parts into which a mapping splits a document, by their key. Raises `DataError` when it cannot."""
    assert mapping.split is not None
    items = mapping.split.each.render(names, "split.each")
    if not isinstance(items, list):
        raise DataError("is no list", path="split.each", where=str(mapping.where))
    parts: dict[str, Json] = {}
    for item in items:
        key = mapping.split.key.render({**names, mapping.split.name: item}, "split.key")
        if not isinstance(key, str) or not key:
            raise DataError(f"{key!r} cannot tell the parts apart", path="split.key", where=str(mapping.where))
        if key in parts:
            raise DataError(f"two parts have the key {key!r}", path="split.key", where=str(mapping.where))
        parts[key] = item
    if not parts:
        raise DataError("there is nothing to split", path="split.each", where=str(mapping.where))
    return parts


def _parts(site: Site, route: Route, document: Document, change: Change) -> list[str]:
    mapping = site.mappings[route.calls[0].mapping]
    if mapping.split is None:
        return [""]
    try:
        return list(split_items(mapping, names_for(document, change)))
    except DataError:
        return [""]
