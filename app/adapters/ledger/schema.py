"""The tables of the ledger. Whatever is not final has a `due_at`; a CHECK holds that on events and deliveries.

`events` and `deliveries` put what changes first and what is long last, so that a change of state touches little.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from app.adapters.ledger.columns import Counter, Key, Millis, Words
from app.model import FINAL_DELIVERY_STATES, FINAL_EVENT_STATES

#: Every revision of the schema, oldest first; the last one is what this program works with.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")

metadata = MetaData()


def _final_has_no_due_at(table: str, final: frozenset[str]) -> CheckConstraint:
    words = ", ".join(f"'{state}'" for state in sorted(final))
    return CheckConstraint(f"(state IN ({words})) = (due_at IS NULL)", name=f"ck_{table}_due_at")


def _index(name: str, *columns: Column[Any], where: str, unique: bool = False) -> Index:
    """A partial index: finished rows, of which there will be millions, are not in it."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


events = Table(
    "events",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("id", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Millis),
    Column("token", Text),  # who holds it, while it is running
    Column("claimed_from", Text),
    Column("claimed_at", Millis),
    Column("attempts", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),  # workers in a row that took it and were not heard of again
    Column("because", Words, nullable=False),
    Column("fault", Text),
    Column("waits_for", Key),
    Column("document_id", Text),
    Column("received_at", Millis, nullable=False),
    Column("began_at", Millis, nullable=False),  # receipt, or the last `retry` of a dead one: patience counts from here
    Column("updated_at", Millis, nullable=False),
    Column("vendor_id", Key, nullable=False),
    Column("type", Words, nullable=False),
    UniqueConstraint("id", name="uq_events_id"),
    UniqueConstraint("connection", "vendor_id", name="uq_events_vendor_id"),
    _final_has_no_due_at("events", FINAL_EVENT_STATES),
)
_index("ix_events_due", events.c.connection, events.c.due_at, events.c.seq, where="due_at IS NOT NULL")
_index("ix_events_token", events.c.token, where="token IS NOT NULL")
_index("ix_events_waits_for", events.c.waits_for, where="waits_for IS NOT NULL")
_index("ix_events_document_id", events.c.document_id, where="document_id IS NOT NULL")
_index("ix_events_dead", events.c.state, events.c.seq, where="state IN ('dead', 'unknown', 'unreadable')")

#: What came, byte for byte. Apart from its event: SQLite writes the whole row anew whenever its state changes.
event_bodies = Table(
    "event_bodies",
    metadata,
    Column("seq", Counter, primary_key=True, autoincrement=False),
    Column("headers", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("object_id", Key, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("stale", Boolean, nullable=False),
    Column("version", Words, nullable=False),
    Column("observed_at", Millis, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("event_id", Text, ForeignKey("events.id", name="fk_documents_event_id"), nullable=False),
    Column("stamp", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("raw", Text, nullable=False),
    UniqueConstraint("kind", "connection", "object_id", "seq", name="uq_documents_seq"),
)

changes = Table(
    "changes",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("object_id", Key, nullable=False),
    Column("key", Key, nullable=False),
    Column("name", Words, nullable=False),
    Column("document_id", Text, ForeignKey("documents.id", name="fk_changes_document_id"), nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("id", name="uq_changes_id"),
    UniqueConstraint("kind", "connection", "object_id", "key", name="uq_changes_key"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Counter, primary_key=True),  # the order in which those of one order_key run
    Column("id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Millis),
    Column("lane", Text, nullable=False),  # the connection of the current call
    Column("order_key", Key),  # NULL: free
    Column("step", Integer, nullable=False),
    Column("token", Text),
    Column("claimed_from", Text),
    Column("claimed_at", Millis),
    Column("attempts", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
    Column("resends", Integer, nullable=False),
    Column("sent", Boolean, nullable=False),  # a try of the current call may have reached the target
    Column("parked_at", Millis),
    Column("waits_for", Key),
    Column("because", Words, nullable=False),
    Column("fault", Text),
    Column("created_at", Millis, nullable=False),
    Column("began_at", Millis, nullable=False),
    Column("updated_at", Millis, nullable=False),
    Column("change_id", Text, ForeignKey("changes.id", name="fk_deliveries_change_id"), nullable=False),
    Column("document_id", Text, ForeignKey("documents.id", name="fk_deliveries_document_id"), nullable=False),
    Column("route", Words, nullable=False),
    Column("part", Key, nullable=False),
    Column("stamp", Text, nullable=False),
    UniqueConstraint("id", name="uq_deliveries_id"),
    UniqueConstraint("change_id", "route", "part", name="uq_deliveries_part"),
    _final_has_no_due_at("deliveries", FINAL_DELIVERY_STATES),
)
_index("ix_deliveries_due", deliveries.c.lane, deliveries.c.due_at, deliveries.c.seq, where="due_at IS NOT NULL")
_index("ix_deliveries_order", deliveries.c.order_key, deliveries.c.seq, where="due_at IS NOT NULL")
_index("ix_deliveries_waits_for", deliveries.c.waits_for, where="waits_for IS NOT NULL")
_index("ix_deliveries_token", deliveries.c.token, where="token IS NOT NULL")
_index("ix_deliveries_dead", deliveries.c.seq, where="state = 'dead'")

calls = Table(
    "calls",
    metadata,
    Column("delivery_id", Text, ForeignKey("deliveries.id", name="fk_calls_delivery_id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("connection", Text, nullable=False),
    Column("operation", Words, nullable=False),
    Column("idempotency_key", Words, nullable=False),
    Column("state", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("updated_at", Millis, nullable=False),
    PrimaryKeyConstraint("delivery_id", "step", name="pk_calls"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("id", Text, nullable=False),
    Column("event_id", Text),
    Column("delivery_id", Text),
    Column("step", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Millis, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("connection", Text, nullable=False),
    Column("operation", Words, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("because", Words, nullable=False),
    Column("fault", Text),
    Column("status", Integer),
    Column("retry_after_s", Float),
    Column("request", Text, nullable=False),
    Column("response", Text, nullable=False),
    UniqueConstraint("id", name="uq_attempts_id"),
)
_index("ix_attempts_event_id", attempts.c.event_id, where="event_id IS NOT NULL")
_index("ix_attempts_delivery_id", attempts.c.delivery_id, where="delivery_id IS NOT NULL")

refs = Table(
    "refs",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("key", Key, nullable=False),  # str(ReferenceKey): what deliveries wait for
    Column("kind", Words, nullable=False),
    Column("from_system", Words, nullable=False),
    Column("to_system", Words, nullable=False),
    Column("scope", Words, nullable=False),
    Column("from_id", Words, nullable=False),
    Column("to_id", Words, nullable=False),
    Column("from_key", Key, nullable=False),  # the two numbers again, as the index takes them
    Column("to_key", Key, nullable=False),
    Column("state", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("at", Millis, nullable=False),
    Column("recorded_at", Millis, nullable=False),
    Column("superseded_at", Millis),
    Column("source_id", Text),  # the attempt, delivery or event that brought it
    Column("evidence", Text, nullable=False),
)
_index("uq_refs_current", refs.c.key, where="superseded_at IS NULL", unique=True)
Index("ix_refs_key", refs.c.key)
Index("ix_refs_from", refs.c.from_key)
Index("ix_refs_to", refs.c.to_key)
Index("ix_refs_source", refs.c.source_id)

identifiers = Table(
    "identifiers",
    metadata,
    Column("kind", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("object_id", Key, nullable=False),
    Column("id_kind", Key, nullable=False),
    Column("value", Key, nullable=False),
    Column("norm", Key, nullable=False),  # the value as people type it: see `queries.normal`
    Column("strong", Boolean, nullable=False),
    PrimaryKeyConstraint("kind", "connection", "object_id", "id_kind", "value", name="pk_identifiers"),
)
Index("ix_identifiers_norm", identifiers.c.norm)

audit = Table(
    "audit",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("who", Words, nullable=False),
    Column("act", Words, nullable=False),
    Column("target", Key, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
)
Index("ix_audit_target", audit.c.target)

tasks = Table(
    "tasks",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("id", Text, nullable=False),
    Column("at", Millis, nullable=False),
    Column("kind", Text, nullable=False),  # "law", "reversal" …
    Column("object_kind", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("object_id", Key, nullable=False),
    Column("key", Key, nullable=False),
    Column("because", Words, nullable=False),
    Column("data", Text, nullable=False),
    Column("state", Text, nullable=False),  # "open" or "closed"
    Column("closed_at", Millis),
    Column("closed_by", Words),
    Column("note", Words),
    UniqueConstraint("id", name="uq_tasks_id"),
    UniqueConstraint("object_kind", "connection", "object_id", "key", name="uq_tasks_key"),
)
_index("ix_tasks_open", tasks.c.seq, where="state = 'open'")
