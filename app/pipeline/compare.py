"""Compare: a new picture of an object against the last one, in one transaction with what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.core import counting
from app.core.changes import DIFFERS
from app.core.documents import identifiers, is_stale
from app.core.ports import Ids
from app.core.site import Site
from app.model import Document, Identifier
from app.pipeline.ports import ObjectKey, Transaction
from app.pipeline.route import deliveries


def write_documents(
    tx: Transaction, site: Site, ids: Ids, documents: Sequence[Document], tally: counting.Tally
) -> set[str]:
    """Keep the documents in this order with their changes and deliveries; the connections that got something to do.

    A document older than what is known is kept and marked stale: it changes nothing.
    """
    keys = list(dict.fromkeys(_key(document) for document in documents))
    tx.lock_objects(keys)
    heads = tx.heads(keys)
    busy: set[str] = set()
    for document in documents:
        key = _key(document)
        head = heads.get(key)
        if is_stale(document, head):
            document = replace(document, stale=True)
        tx.add_documents([document])
        tx.add_identifiers(*key, [*identifiers(document.kind, document.body), Identifier(document.event_id, "event")])
        if document.stale:
            tally.add(counting.STALE, connection=document.connection)
            continue
        heads[key] = document
        found = DIFFERS[document.kind](head.body if head else None, document.body)
        new = tx.add_changes(document, found)
        for change in found:
            if change.key in new:
                wanted = list(deliveries(site, ids, document, change))
                tx.add_deliveries(document, new[change.key], wanted)
                busy.update(delivery.lane for delivery in wanted)
    return busy


def _key(document: Document) -> ObjectKey:
    return document.kind, document.connection, document.object_id
