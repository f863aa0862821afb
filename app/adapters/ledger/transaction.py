"""A transaction of the ledger: what reading and delivering write, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import BigInteger, Connection, bindparam, func, select, text
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import ARRAY

from app.adapters.ledger.columns import bounded
from app.adapters.ledger.engine import Database, once
from app.adapters.ledger.normal import normal
from app.adapters.ledger.rows import from_document, to_document
from app.adapters.ledger.schema import audit, changes, deliveries, documents, identifiers
from app.adapters.ledger.shared_schema import counters
from app.adapters.ledger.store import bare
from app.core.jsontext import dump_text
from app.model import Change, Document, Identifier, Json, NewDelivery

#: (kind, connection, object id).
ObjectKey = tuple[str, str, str]

_these_objects = (
    documents.c.kind.in_(bindparam("kinds", expanding=True)),
    documents.c.connection.in_(bindparam("connections", expanding=True)),
    documents.c.object_id.in_(bindparam("object_ids", expanding=True)),
)
_tops = (
    select(
        documents.c.kind,
        documents.c.connection,
        documents.c.object_id,
        func.max(documents.c.seq).label("last"),
        func.max(documents.c.seq).filter(~documents.c.stale).label("head"),
    )
    .where(*_these_objects)
    .group_by(documents.c.kind, documents.c.connection, documents.c.object_id)
    .subquery("tops")
)
_heads = select(_tops.c.last, documents).join_from(
    _tops,
    documents,
    (documents.c.kind == _tops.c.kind)
    & (documents.c.connection == _tops.c.connection)
    & (documents.c.object_id == _tops.c.object_id)
    & (documents.c.seq == _tops.c.head),
)
_lock = text("SELECT pg_advisory_xact_lock(key) FROM unnest(:keys) AS key").bindparams(
    bindparam("keys", type_=ARRAY(BigInteger))
)
_insert_documents = plain_insert(documents)
_insert_changes = once(
    lambda db: (
        db.insert(changes)
        .on_conflict_do_nothing(index_elements=["kind", "connection", "object_id", "key"])
        .returning(changes.c.key, changes.c.id)
    )
)
_insert_deliveries = once(
    lambda db: db.insert(deliveries).on_conflict_do_nothing(index_elements=["change_id", "route", "part"])
)
_insert_identifiers = once(lambda db: db.insert(identifiers).on_conflict_do_nothing())
_insert_audit = plain_insert(audit)


def _add_to_counters(db: Database) -> object:
    adding = db.insert(counters)
    return adding.on_conflict_do_update(
        index_elements=["name", "labels", "shard"], set_={"value": counters.c.value + adding.excluded.value}
    )


_add_counters = once(_add_to_counters)


class Writing:
    """The part of a transaction that keeps documents and what follows from them.

    Deliveries, identifiers and counters are gathered and written together at the end.
    """

    def __init__(self, db: Database, connection: Connection, now: int) -> None:
        self._db = db
        self._connection = connection
        self._now = now
        self._last: dict[ObjectKey, int] = {}
        self._numbered: Counter[str] = Counter()
        self._deliveries: list[dict[str, object]] = []
        self._identifiers: dict[tuple[str, ...], dict[str, object]] = {}
        self._counts: dict[tuple[str, str, str], float] = {}

    def lock_objects(self, keys: Iterable[ObjectKey]) -> None:
        """Hold other transactions off these objects until this one ends. SQLite has one writer at a time anyway."""
        if self._db.dialect == "postgresql" and (wanted := sorted({_lock_key(key) for key in keys})):
            self._connection.execute(_lock, {"keys": wanted})

    def heads(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Document]:
        """The newest document that is not stale, of each object that has one."""
        wanted = {(kind, connection, bounded(object_id)): (kind, connection, object_id)
                  for kind, connection, object_id in keys}  # fmt: skip
        if not wanted:
            return {}
        self._last.update(dict.fromkeys(wanted, 0))
        found: dict[ObjectKey, Document] = {}
        for row in self._connection.execute(_heads, _columns_of(wanted)).all():
            key = (row.kind, row.connection, row.object_id)
            if key in wanted:
                self._last[key] = row.last
                found[wanted[key]] = to_document(row)
        return found

    def add_documents(self, documents: Sequence[Document]) -> None:
        """Keep these documents. Each gets the number that follows the object's last one, stale ones included."""
        rows = []
        for document in documents:
            key = (document.kind, document.connection, bounded(document.object_id))
            if key not in self._last:
                self.heads([key])
            self._last[key] += 1
            rows.append(from_document(document, self._last[key], self._now))
        if rows:
            self._connection.execute(_insert_documents, rows)

    def add_changes(self, document: Document, changes: Sequence[Change]) -> dict[str, str]:
        """Keep the changes that are new; their ids by key. One whose key the object has had before is left out."""
        if not changes:
            return {}
        rows = [self._change(document, change) for change in changes]
        written = self._connection.execute(_insert_changes(self._db), rows).all()
        new = {row.key: row.id for row in written}
        return {change.key: new[bounded(change.key)] for change in changes if bounded(change.key) in new}

    def add_deliveries(self, document: Document, change_id: str, deliveries: Sequence[NewDelivery]) -> None:
        """Keep these deliveries, due now. One of the same change, route and part is left out."""
        for new in deliveries:
            self._deliveries.append(
                {
                    "id": new.delivery_id,
                    "state": "ready",
                    "due_at": self._now,
                    "lane": bare(new.lane),
                    "order_key": new.order_key or None,
                    "step": 0,
                    "attempts": 0,
                    "deaths": 0,
                    "resends": 0,
                    "sent": False,
                    "because": "",
                    "created_at": self._now,
                    "began_at": self._now,
                    "updated_at": self._now,
                    "change_id": change_id,
                    "document_id": document.document_id,
                    "route": new.route,
                    "part": new.part,
                    "stamp": new.stamp,
                }
            )

    def add_identifiers(self, kind: str, connection: str, object_id: str, found: Sequence[Identifier]) -> None:
        """Make the object findable by these numbers; those known already are left as they are."""
        for one in found:
            row = {
                "kind": kind,
                "connection": connection,
                "object_id": object_id,
                "id_kind": one.kind,
                "value": one.value,
                "norm": normal(one.value),
                "strong": one.strong,
            }
            self._identifiers.setdefault((kind, connection, object_id, one.kind, one.value), row)

    def count(self, amounts: Mapping[tuple[str, str], float], shard: str) -> None:
        """Add to counters: {(name, labels as JSON): amount}. A shard has one writer, so that none waits for another."""
        for (name, labels), amount in amounts.items():
            key = (name, labels, shard)
            self._counts[key] = self._counts.get(key, 0.0) + amount

    def audit(self, who: str, act: str, target: str, before: Json, after: Json) -> None:
        """Keep that somebody did something by hand."""
        row = {"at": self._now, "who": who, "act": act, "target": target}
        self._connection.execute(_insert_audit, [{**row, "before": dump_text(before), "after": dump_text(after)}])

    def flush(self) -> None:
        """Write what was gathered. Sorted, so that two transactions never wait for each other in a ring."""
        if self._deliveries:
            self._connection.execute(_insert_deliveries(self._db), self._deliveries)
        if self._identifiers:
            rows = [self._identifiers[key] for key in sorted(self._identifiers)]
            self._connection.execute(_insert_identifiers(self._db), rows)
        if self._counts:
            amounts = sorted(self._counts.items())
            names = ("name", "labels", "shard")
            counted = [{**dict(zip(names, key, strict=True)), "value": amount} for key, amount in amounts]
            self._connection.execute(_add_counters(self._db), counted)
        self._deliveries, self._identifiers, self._counts = [], {}, {}

    def _change(self, document: Document, change: Change) -> dict[str, object]:
        self._numbered[document.document_id] += 1
        number = self._numbered[document.document_id]
        return {
            # Named after its document: unique, and in order of time for the index.
            "id": f"chg_{document.document_id.removeprefix('doc_')}.{number}",
            "kind": document.kind,
            "connection": document.connection,
            "object_id": document.object_id,
            "key": change.key,
            "name": change.name,
            "document_id": document.document_id,
            "created_at": self._now,
            "data": dump_text(change.data),
        }


def _columns_of(keys: Iterable[ObjectKey]) -> dict[str, list[str]]:
    kinds, connections, object_ids = (sorted(set(column)) for column in zip(*keys, strict=True))
    return {"kinds": kinds, "connections": connections, "object_ids": object_ids}


def _lock_key(key: ObjectKey) -> int:
    digest = hashlib.blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
