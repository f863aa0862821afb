"""A transaction of the ledger: what reading and delivering write, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import BigInteger, ColumnElement, Connection, Table, and_, bindparam, func, select, text
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

_names = ("kind", "connection", "object_id")


def _these(table: Table) -> list[ColumnElement[bool]]:
    """Rows of some objects. Three lists are quicker than a list of triples; what else they catch is dropped later."""
    return [table.c[name].in_(bindparam(f"{name}s", expanding=True)) for name in _names]


_tops = (
    select(
        *(documents.c[name] for name in _names),
        func.max(documents.c.seq).label("last"),
        func.max(documents.c.seq).filter(~documents.c.stale).label("head"),
    )
    .where(*_these(documents))
    .group_by(*(documents.c[name] for name in _names))
    .subquery("tops")
)
_heads = select(_tops.c.last, documents).join_from(
    _tops, documents, and_(*(documents.c[name] == _tops.c[name] for name in _names), documents.c.seq == _tops.c.head)
)
_facts = select(*(changes.c[name] for name in _names), changes.c.key).where(*_these(changes))
_lock = text("SELECT pg_advisory_xact_lock(key) FROM unnest(:keys) AS key").bindparams(
    bindparam("keys", type_=ARRAY(BigInteger))
)
_insert_documents = plain_insert(documents)
_insert_changes = plain_insert(changes)
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


@dataclass(slots=True)
class _Known:
    """What the ledger knows of an object that this transaction holds."""

    last: int = 0  # the number of its last document, stale or not
    head: Document | None = None
    facts: set[str] = field(default_factory=set)  # the keys of its changes


class Writing:
    """The part of a transaction that keeps documents and what follows from them.

    What is added is gathered and written at the end, a few statements for hundreds of events: while a transaction is
    open, nobody else can write to SQLite.
    """

    def __init__(self, db: Database, connection: Connection, now: int) -> None:
        self._db = db
        self._connection = connection
        self._now = now
        self._locked: set[ObjectKey] = set()
        self._objects: dict[ObjectKey, _Known] = {}
        self._numbered: Counter[str] = Counter()
        self._documents: list[dict[str, object]] = []
        self._changes: list[dict[str, object]] = []
        self._deliveries: list[dict[str, object]] = []
        self._identifiers: dict[tuple[str, ...], dict[str, object]] = {}
        self._counts: dict[tuple[str, str, str], float] = {}

    def lock_objects(self, keys: Iterable[ObjectKey]) -> None:
        """Hold other transactions off these objects until this one ends. SQLite has one writer at a time anyway."""
        wanted = set(keys) - self._locked
        self._locked |= wanted
        if wanted and self._db.dialect == "postgresql":
            # In one order in all transactions, so that they never wait for each other in a ring.
            self._connection.execute(_lock, {"keys": sorted({_lock_key(key) for key in wanted})})

    def heads(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Document]:
        """The newest document that is not stale, of each object that has one. Locks the objects."""
        keys = list(keys)
        self._open(keys)
        found = {key: self._objects[_bounded(key)].head for key in keys}
        return {key: head for key, head in found.items() if head is not None}

    def add_documents(self, documents: Sequence[Document]) -> None:
        """Keep these documents. Each gets the number that follows the object's last one, stale ones included."""
        self._open([_key(document) for document in documents])
        for document in documents:
            known = self._objects[_bounded(_key(document))]
            known.last += 1
            self._documents.append(from_document(document, known.last, self._now))
            if not document.stale:
                known.head = replace(document, seq=known.last)

    def add_changes(self, document: Document, changes: Sequence[Change]) -> dict[str, str]:
        """Keep the changes that are new; their ids by key. One whose key the object has had before is left out."""
        self._open([_key(document)])
        known = self._objects[_bounded(_key(document))].facts
        new: dict[str, str] = {}
        for change in changes:
            if bounded(change.key) in known:
                continue
            known.add(bounded(change.key))
            row = self._change(document, change)
            self._changes.append(row)
            new[change.key] = str(row["id"])
        return new

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
        """Write what was gathered. Sorted where two transactions may write the same rows: none waits in a ring."""
        if self._documents:
            self._connection.execute(_insert_documents, self._documents)
        if self._changes:
            self._connection.execute(_insert_changes, self._changes)
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

    def _open(self, keys: Sequence[ObjectKey]) -> None:
        """Lock these objects and learn what is known of them, unless that was done before."""
        fresh = {_bounded(key) for key in keys} - self._objects.keys()
        if not fresh:
            return
        self.lock_objects(fresh)
        self._objects.update((key, _Known()) for key in fresh)
        columns = zip(*fresh, strict=True)
        wanted = {f"{name}s": sorted(set(column)) for name, column in zip(_names, columns, strict=True)}
        for row in self._connection.execute(_heads, wanted).all():
            if (key := (row.kind, row.connection, row.object_id)) in fresh:
                self._objects[key].last, self._objects[key].head = row.last, to_document(row)
        for row in self._connection.execute(_facts, wanted):
            if (key := (row.kind, row.connection, row.object_id)) in fresh:
                self._objects[key].facts.add(row.key)

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


def _key(document: Document) -> ObjectKey:
    return document.kind, document.connection, document.object_id


def _bounded(key: ObjectKey) -> ObjectKey:
    return key[0], key[1], bounded(key[2])


def _lock_key(key: ObjectKey) -> int:
    digest = hashlib.blake2b("\0".join(_bounded(key)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
