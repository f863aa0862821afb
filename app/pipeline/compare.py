"""Compare: a new picture of an object against the last one, in one transaction with what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from app.core import counting
from app.core.changes import DIFFERS
from app.core.contents import remembered
from app.core.documents import clashes, identifiers, is_older_by_clock, is_stale
from app.core.ports import Ids
from app.core.site import Site
from app.model import Document, Identifier
from app.pipeline.limits import within_limits
from app.pipeline.ports import ObjectKey, Transaction
from app.pipeline.route import deliveries
from app.pipeline.tasks import raise_tasks


def write_documents(
    tx: Transaction,
    site: Site,
    ids: Ids,
    documents: Sequence[Document],
    tally: counting.Tally,
    news: dict[str, int] | None = None,
    now: datetime | None = None,
) -> set[str]:
    """Keep the documents in this order with their changes and deliveries; the connections that got something to do.

    A document older than what is known is kept and marked stale: it changes nothing. `news` is filled with how many
    new changes each of the others brought, by its id.
    """
    keys = list(dict.fromkeys(object_key(document) for document in documents))
    tx.lock_objects(keys)
    heads = tx.heads(keys)
    busy: set[str] = set()
    for document in documents:
        key = object_key(document)
        head = remembered(heads.get(key), document)
        if is_stale(document, head, now):
            document = replace(document, stale=True)
        tx.add_documents([document])
        tx.add_identifiers(*key, [*identifiers(document.kind, document.body), Identifier(document.event_id, "event")])
        if document.stale:
            tally.add(counting.STALE, connection=document.connection)
            continue
        heads[key] = document
        found = DIFFERS[document.kind](head.body if head else None, document.body)
        found = within_limits(tx, ids, document, found)
        new = tx.add_changes(document, found)
        if news is not None:
            news[document.document_id] = len(new)
        for change in found:
            if change.key in new:
                wanted = list(deliveries(site, ids, document, change))
                merged = tx.add_deliveries(document, new[change.key], wanted)
                tally.add_many(counting.MERGED, merged, connection=document.connection)
                busy.update(delivery.lane for delivery in wanted)
        raise_tasks(tx, site, ids, document, head, found, new.keys())
    return busy


def clashing(
    tx: Transaction, documents: Sequence[Document], settled: Collection[str] = (), now: datetime | None = None
) -> set[str]:
    """The ids of those of which only their source can say, were they written in this order, whether they are right.

    They give a version that is known already another content, or differ from a picture that is newer by our clock
    alone. Of those in `settled` the source was asked a moment ago: they count, unless it was asked again since.
    """
    keys = list(dict.fromkeys(object_key(document) for document in documents))
    tx.lock_objects(keys)
    heads = tx.heads(keys)
    found: set[str] = set()
    for document in documents:
        head = remembered(heads.get(key := object_key(document)), document)
        torn = document.document_id not in settled and clashes(document, head)
        if torn or is_older_by_clock(document, head, now):
            found.add(document.document_id)
        elif not is_stale(document, head, now):
            heads[key] = document
    return found


def object_key(document: Document) -> ObjectKey:
    """The object that a document is a picture of."""
    return document.kind, document.connection, document.object_id
