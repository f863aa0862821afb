"""A transaction of the ledger: what reading and delivering write, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, Table, and_, bindparam, func, select, text

from app.adapters.ledger.columns import bounded
from app.adapters.ledger.engine import Database
from app.adapters.ledger.merging import merge
from app.adapters.ledger.normal import normal
from app.adapters.ledger.rows import DOCUMENT, from_document, to_document
from app.adapters.ledger.schema import audit, changes, deliveries, documents, identifiers
from app.adapters.ledger.shared_schema import counters
from app.adapters.ledger.statements import Row, Statement, among, insert_many
from app.adapters.ledger.store import ahead, bare
from app.core.jsontext import dump_text
from app.model import Change, Document, Identifier, Json, NewDelivery

#: (kind, connection, object id).
ObjectKey = tuple[str, str, str]

_names = ("kind", "connection", "object_id")


def _these(dialect: str, table: Table) -> list[ColumnElement[bool]]:
    """Rows of some objects. Three lists are quicker than a list of triples; what else they catch is dropped later."""
    return [among(dialect, table.c[name], f"{name}s") for name in _names]


def _select_heads(dialect: str) -> Any:
    tops = (
        select(
            *(documents.c[name] for name in _names),
            func.max(documents.c.seq).label("last"),
            func.max(documents.c.seq).filter(~documents.c.stale).label("head"),
        )
        .where(*_these(dialect, documents))
        .group_by(*(documents.c[name] for name in _names))
        .subquery("tops")
    )
    same = (documents.c[name] == tops.c[name] for name in _names)
    columns = (documents.c[name] for name in DOCUMENT)
    return select(tops.c.last, *columns).join_from(tops, documents, and_(*same, documents.c.seq == tops.c.head))


_heads = Statement(_select_heads)
_facts = Statement(
    lambda dialect: select(*(changes.c[name] for name in (*_names, "key"))).where(*_these(dialect, changes))
)
_lasts = Statement(
    lambda dialect: (
        select(*(documents.c[name] for name in _names), func.max(documents.c.seq).label("last"))
        .where(*_these(dialect, documents))
        .group_by(*(documents.c[name] for name in _names))
    )
)
_lock = Statement(
    lambda _dialect: text("SELECT pg_advisory_xact_lock(key) FROM unnest(:keys) AS key").bindparams(
        bindparam("keys", type_=ARRAY(BigInteger))
    )
)
_insert_documents = insert_many(documents, (*DOCUMENT, "created_at"))
_insert_changes = insert_many(changes, ("id", *_names, "key", "name", "document_id", "created_at", "data"))
_insert_deliveries = insert_many(
    deliveries,
    (
        *("id", "state", "due_at", "lane", "order_key", "step", "attempts", "deaths", "resends", "sent", "because"),
        *("created_at", "began_at", "updated_at", "change_id", "document_id", "route", "part", "stamp"),
    ),
    lambda adding: adding.on_conflict_do_nothing(index_elements=["change_id", "route", "part"]),
)
_insert_identifiers = insert_many(
    identifiers, (*_names, "id_kind", "value", "norm", "strong"), lambda adding: adding.on_conflict_do_nothing()
)
_insert_audit = insert_many(audit, ("at", "who", "act", "target", "before", "after"))
_add_counters = insert_many(
    counters,
    ("name", "labels", "shard", "value"),
    lambda adding: adding.on_conflict_do_update(
        index_elements=["name", "labels", "shard"], set_={"value": counters.c.value + adding.excluded.value}
    ),
)


@dataclass(slots=True)
class _Known:
    """What the ledger knows of an object that this transaction holds."""

    last: int = 0  # the number of its last document, stale or not
    head: Document | None = None
    head_seq: int = 0
    facts: set[str] = field(default_factory=set)  # the keys of its changes


class Writing:
    """The part of a transaction that keeps documents and what follows from them.

    What is added is gathered and written at the end, a few statements for hundreds of events: while a transaction is
    open, nobody else can write to SQLite.
    """

    _connection: Connection
    _now: int

    def __init__(self, db: Database, connection: Connection | None = None, now: int = 0) -> None:
        """Without a `connection` whoever inherits this sees to it that there is one."""
        self._db = db
        if connection is not None:
            self._connection, self._now = connection, now
        self._locked: set[ObjectKey] = set()
        self._objects: dict[ObjectKey, _Known] = {}
        self._numbered: Counter[str] = Counter()
        self._documents: list[Row] = []
        #: (id, kind, connection, object id, key, name, document id, time, data)
        self._changes: list[tuple[Any, ...]] = []
        self._deliveries: list[dict[str, object]] = []
        #: Of each object the numbers, by kind and value, each with its normal form and whether it is strong.
        self._identifiers: dict[ObjectKey, dict[tuple[str, str], tuple[str, bool]]] = {}
        self._counts: dict[tuple[str, str, str], float] = {}

    def lock_objects(self, keys: Iterable[ObjectKey]) -> None:
        """Hold other transactions off these objects until this one ends. SQLite has one writer at a time anyway."""
        if self._db.dialect == "sqlite":
            return
        wanted = set(keys) - self._locked
        self._locked |= wanted
        if wanted:
            # In one order in all transactions, so that they never wait for each other in a ring.
            _lock.rows(self._connection, {"keys": sorted({_lock_key(key) for key in wanted})})

    def heads(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Document]:
        """The newest document that is not stale, of each object that has one. Locks the objects."""
        keys = list(keys)
        self._open(keys)
        found = {key: self._objects[bounded_key(key)] for key in keys}
        return {key: replace(one.head, seq=one.head_seq) for key, one in found.items() if one.head is not None}

    def add_documents(self, documents: Sequence[Document]) -> None:
        """Keep these documents. Each gets the number that follows the object's last one, stale ones included."""
        self._open([_key(document) for document in documents])
        for document in documents:
            known = self._objects[bounded_key(_key(document))]
            known.last += 1
            self._documents.append(from_document(document, known.last, self._now))
            if not document.stale:
                known.head, known.head_seq = document, known.last

    def add_changes(self, document: Document, changes: Sequence[Change]) -> dict[str, str]:
        """Keep the changes that are new; their ids by key. One whose key the object has had before is left out."""
        key = _key(document)
        self._open([key])
        known = self._objects[bounded_key(key)].facts
        # Named after its document: unique, and in order of time for the index.
        stem, number = document.document_id.removeprefix("doc_"), self._numbered[document.document_id]
        new: dict[str, str] = {}
        for change in changes:
            told = bounded(change.key)
            if told in known:
                continue
            known.add(told)
            number += 1
            new[change.key] = own = f"chg_{stem}.{number}"
            row = (own, *key, change.key, change.name, document.document_id, self._now, dump_text(change.data))
            self._changes.append(row)
        self._numbered[document.document_id] = number
        return new

    def add_deliveries(self, document: Document, change_id: str, deliveries: Sequence[NewDelivery]) -> int:
        """Keep these deliveries, due now, or once they settled; how many older ones were merged into them.

        One of the same change, route and part is left out.
        """
        merged = 0
        for new in deliveries:
            began_at, due_at = self._now, self._now
            if new.settle_s is not None:
                taken = merge(self._connection, self._deliveries, new, self._now)
                merged += len(taken)
                began_at = min([self._now, *taken])
                settle_s, cap_s = new.settle_s
                due_at = min(ahead(self._now, settle_s), max(ahead(began_at, cap_s), self._now))
            self._deliveries.append(
                {
                    "id": new.delivery_id,
                    "state": "ready",
                    "due_at": due_at,
                    "lane": bare(new.lane),
                    "order_key": new.order_key or None,
                    "step": 0,
                    "attempts": 0,
                    "deaths": 0,
                    "resends": 0,
                    "sent": False,
                    "because": "",
                    "created_at": self._now,
                    # Of a burst the first: what is merged again and again is no younger for it.
                    "began_at": began_at,
                    "updated_at": self._now,
                    "change_id": change_id,
                    "document_id": document.document_id,
                    "route": new.route,
                    "part": new.part,
                    "stamp": new.stamp,
                }
            )
        return merged

    def add_identifiers(self, kind: str, connection: str, object_id: str, found: Sequence[Identifier]) -> None:
        """Make the object findable by these numbers; those known already are left as they are."""
        kept = self._identifiers.setdefault((kind, connection, object_id), {})
        for one in found:
            value = one.value
            if (one.kind, value) not in kept:
                kept[one.kind, value] = (normal(value), one.strong)

    def count(self, amounts: Mapping[tuple[str, str], float], shard: str) -> None:
        """Add to counters: {(name, labels as JSON): amount}. A shard has one writer, so that none waits for another."""
        for (name, labels), amount in amounts.items():
            key = (name, labels, shard)
            self._counts[key] = self._counts.get(key, 0.0) + amount

    def audit(self, who: str, act: str, target: str, before: Json, after: Json) -> None:
        """Keep that somebody did something by hand."""
        row = {"at": self._now, "who": who, "act": act, "target": target}
        _insert_audit.run(self._connection, [{**row, "before": dump_text(before), "after": dump_text(after)}])

    def flush(self) -> None:
        """Write what was gathered. Sorted where two transactions may write the same rows: none waits in a ring."""
        _insert_documents.run(self._connection, self._documents)
        _insert_changes.run(self._connection, self._changes)
        _insert_deliveries.run(self._connection, self._deliveries)
        numbers = [
            (*key, *number, *told)
            for key, kept in sorted(self._identifiers.items())
            for number, told in sorted(kept.items())
        ]
        _insert_identifiers.run(self._connection, numbers)
        _add_counters.run(self._connection, [(*key, amount) for key, amount in sorted(self._counts.items())])

    def _open(self, keys: Sequence[ObjectKey]) -> None:
        """Lock these objects and learn what is known of them, unless that was done before."""
        fresh = {bounded_key(key) for key in keys} - self._objects.keys()
        if not fresh:
            return
        self.lock_objects(fresh)
        self._learn(self._connection, fresh)

    def _learn(self, connection: Connection, fresh: Set[ObjectKey]) -> None:
        self._objects.update((key, _Known()) for key in fresh)
        wanted = _wanted(fresh)
        for row in _heads.rows(connection, wanted):
            if (key := (row.kind, row.connection, row.object_id)) in fresh:
                self._objects[key] = _Known(row.last, to_document(row), row.seq)
        for row in _facts.rows(connection, wanted):
            if (key := (row.kind, row.connection, row.object_id)) in fresh:
                self._objects[key].facts.add(row.key)


def lasts(connection: Connection, keys: Set[ObjectKey]) -> dict[ObjectKey, int]:
    """The number of the last document of each of these objects, 0 where there is none."""
    rows = _lasts.rows(connection, _wanted(keys)) if keys else []
    return dict.fromkeys(keys, 0) | {
        key: row.last for row in rows if (key := (row.kind, row.connection, row.object_id)) in keys
    }


def _wanted(keys: Set[ObjectKey]) -> dict[str, list[str]]:
    columns = zip(*keys, strict=True)
    return {f"{name}s": sorted(set(column)) for name, column in zip(_names, columns, strict=True)}


def _key(document: Document) -> ObjectKey:
    return document.kind, document.connection, document.object_id


def bounded_key(key: ObjectKey) -> ObjectKey:
    """The key as the tables hold it."""
    return key[0], key[1], bounded(key[2])


def _lock_key(key: ObjectKey) -> int:
    digest = hashlib.blake2b("\0".join(bounded_key(key)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
