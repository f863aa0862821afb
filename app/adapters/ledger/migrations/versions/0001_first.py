"""The first schema. A migration never changes once it has been released: what comes later goes into the next one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "bool": sa.Boolean(),
    "bytes": sa.LargeBinary(),
    "counter": sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    "float": sa.Float(),
    "int": sa.Integer(),
    "millis": sa.BigInteger(),
    "text": sa.Text(),
}


def _table(name: str, columns: str, *constraints: sa.Constraint) -> None:
    """A table from "name:type name:type? …", where "?" means that it may be NULL."""
    made = []
    for column in columns.split():
        title, kind = column.split(":")
        made.append(sa.Column(title, _TYPES[kind.rstrip("?")], nullable=kind.endswith("?")))
    op.create_table(name, *made, *constraints)


def _index(name: str, table: str, columns: str, where: str | None = None, *, unique: bool = False) -> None:
    """An index over some rows, or over all."""
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns.split(), unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    """Make all tables."""
    _table(
        "attempts",
        "id:text event_id:text? delivery_id:text? step:int kind:text number:int at:millis took_ms:int "
        "connection:text operation:text outcome:text because:text fault:text? status:int? "
        "retry_after_s:float? request:text response:text",
        sa.PrimaryKeyConstraint("id"),
    )
    _index("ix_attempts_delivery_id", "attempts", "delivery_id", "delivery_id IS NOT NULL")
    _index("ix_attempts_event_id", "attempts", "event_id", "event_id IS NOT NULL")
    _table(
        "audit",
        "seq:counter at:millis who:text act:text target:text before:text after:text",
        sa.PrimaryKeyConstraint("seq"),
    )
    _index("ix_audit_target", "audit", "target")
    _table(
        "counters",
        "name:text labels:text shard:text value:float",
        sa.PrimaryKeyConstraint("name", "labels", "shard", name="pk_counters"),
    )
    _table(
        "events",
        "seq:counter id:text connection:text state:text due_at:millis? token:text? claimed_from:text? "
        "claimed_at:millis? attempts:int deaths:int because:text fault:text? waits_for:text? "
        "document_id:text? received_at:millis began_at:millis updated_at:millis vendor_id:text type:text "
        "headers:text body:bytes",
        sa.PrimaryKeyConstraint("seq"),
        sa.CheckConstraint(
            "(state IN ('dead', 'done', 'ignored', 'unknown', 'unreadable')) = (due_at IS NULL)",
            name="ck_events_due_at",
        ),
        sa.UniqueConstraint("id", name="uq_events_id"),
        sa.UniqueConstraint("connection", "vendor_id", name="uq_events_vendor_id"),
    )
    _index("ix_events_dead", "events", "state seq", "state IN ('dead', 'unknown', 'unreadable')")
    _index("ix_events_document_id", "events", "document_id", "document_id IS NOT NULL")
    _index("ix_events_due", "events", "connection due_at seq", "due_at IS NOT NULL")
    _index("ix_events_token", "events", "token", "token IS NOT NULL")
    _index("ix_events_waits_for", "events", "waits_for", "waits_for IS NOT NULL")
    _table(
        "identifiers",
        "kind:text connection:text object_id:text id_kind:text value:text norm:text strong:bool",
        sa.PrimaryKeyConstraint("kind", "connection", "object_id", "id_kind", "value", name="pk_identifiers"),
    )
    _index("ix_identifiers_norm", "identifiers", "norm")
    _table(
        "lanes",
        "connection:text paused:bool because:text failures:int open_until:millis? opened_times:int "
        "trial_until:millis? freed_at:millis? tokens:float? tokens_at:millis?",
        sa.PrimaryKeyConstraint("connection"),
    )
    _table(
        "leases",
        "name:text holder:text until:millis",
        sa.PrimaryKeyConstraint("name"),
    )
    _table(
        "permits",
        "connection:text holder:text count:int until:millis",
        sa.PrimaryKeyConstraint("connection", "holder", name="pk_permits"),
    )
    _table(
        "refs",
        "seq:counter key:text kind:text from_system:text to_system:text scope:text from_id:text to_id:text "
        "from_key:text to_key:text state:text origin:text at:millis recorded_at:millis superseded_at:millis? "
        "source_id:text? evidence:text",
        sa.PrimaryKeyConstraint("seq"),
    )
    _index("ix_refs_from", "refs", "from_key")
    _index("ix_refs_key", "refs", "key")
    _index("ix_refs_source", "refs", "source_id")
    _index("ix_refs_to", "refs", "to_key")
    _index("uq_refs_current", "refs", "key", "superseded_at IS NULL", unique=True)
    _table(
        "rejections",
        "seq:counter at:millis connection:text cause:text",
        sa.PrimaryKeyConstraint("seq"),
    )
    _table(
        "site_versions",
        "stamp:text at:millis files:text",
        sa.PrimaryKeyConstraint("stamp"),
    )
    _table(
        "documents",
        "id:text kind:text connection:text object_id:text seq:int stale:bool version:text observed_at:millis "
        "created_at:millis event_id:text stamp:text body:text raw:text",
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_documents_event_id"),
        sa.UniqueConstraint("kind", "connection", "object_id", "seq", name="uq_documents_seq"),
    )
    _table(
        "changes",
        "seq:counter id:text kind:text connection:text object_id:text key:text name:text document_id:text "
        "created_at:millis data:text",
        sa.PrimaryKeyConstraint("seq"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_changes_document_id"),
        sa.UniqueConstraint("id", name="uq_changes_id"),
        sa.UniqueConstraint("kind", "connection", "object_id", "key", name="uq_changes_key"),
    )
    _table(
        "deliveries",
        "seq:counter id:text state:text due_at:millis? lane:text order_key:text? step:int token:text? "
        "claimed_from:text? claimed_at:millis? attempts:int deaths:int resends:int sent:bool "
        "parked_at:millis? waits_for:text? because:text fault:text? created_at:millis began_at:millis "
        "updated_at:millis change_id:text document_id:text route:text part:text stamp:text",
        sa.PrimaryKeyConstraint("seq"),
        sa.CheckConstraint("(state IN ('dead', 'done', 'skipped')) = (due_at IS NULL)", name="ck_deliveries_due_at"),
        sa.ForeignKeyConstraint(["change_id"], ["changes.id"], name="fk_deliveries_change_id"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_deliveries_document_id"),
        sa.UniqueConstraint("id", name="uq_deliveries_id"),
        sa.UniqueConstraint("change_id", "route", "part", name="uq_deliveries_part"),
    )
    _index("ix_deliveries_dead", "deliveries", "seq", "state = 'dead'")
    _index("ix_deliveries_due", "deliveries", "lane due_at seq", "due_at IS NOT NULL")
    _index("ix_deliveries_order", "deliveries", "order_key seq", "due_at IS NOT NULL")
    _index("ix_deliveries_token", "deliveries", "token", "token IS NOT NULL")
    _index("ix_deliveries_waits_for", "deliveries", "waits_for", "waits_for IS NOT NULL")
    _table(
        "calls",
        "delivery_id:text step:int connection:text operation:text idempotency_key:text state:text answer:text "
        "updated_at:millis",
        sa.PrimaryKeyConstraint("delivery_id", "step", name="pk_calls"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_calls_delivery_id"),
    )
