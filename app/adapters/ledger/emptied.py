"""What lost its content: it cannot be read or sent again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from app.adapters.ledger.schema import deliveries, documents, event_bodies, events
from app.core.contents import went


def emptied_events(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these events of which nothing is left to read."""
    query = select(events.c.id, event_bodies.c.body).join_from(events, event_bodies, event_bodies.c.seq == events.c.seq)
    return {row.id for row in connection.execute(query.where(events.c.id.in_(ids))) if went(row.body)}


def emptied_deliveries(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these deliveries whose document has nothing left to be sent."""
    query = select(deliveries.c.id, documents.c.raw).join_from(
        deliveries, documents, documents.c.id == deliveries.c.document_id
    )
    return {row.id for row in connection.execute(query.where(deliveries.c.id.in_(ids))) if went(row.raw)}
