"""Lists and single rows for the API and the command line: plain dicts, times as ISO text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, Select, Table, bindparam, literal_column, or_, select

from app.adapters.ledger.columns import bounded, clean, iso_ms
from app.adapters.ledger.schema import attempts, audit, calls, changes, deliveries, documents, event_bodies, events
from app.adapters.ledger.store import Store, bare
from app.core.jsontext import loads
from app.model import FINAL_DELIVERY_STATES, FINAL_EVENT_STATES

_TIMES = frozenset(
    {"at", "due_at", "received_at", "created_at", "updated_at", "claimed_at", "parked_at", "observed_at", "closed_at"}
)
_HIDDEN = frozenset({"seq", "token", "claimed_from", "deaths", "began_at", "headers", "body", "raw"})
_event_columns = [column for column in events.c if column.name not in _HIDDEN]
_delivery_columns = [
    *(column for column in deliveries.c if column.name not in _HIDDEN),
    changes.c.name.label("change"),
    changes.c.kind,
    changes.c.connection.label("source"),
    changes.c.object_id,
]
#: All of an event, with what came.
events_whole = select(events, event_bodies.c.headers, event_bodies.c.body).join_from(
    events, event_bodies, event_bodies.c.seq == events.c.seq
)
#: Words of a state are written into the statement: a partial index is found only by what is written there.
_STATES = {
    "events": {*FINAL_EVENT_STATES, "received", "running", "waiting", "parked"},
    "deliveries": {*FINAL_DELIVERY_STATES, "ready", "running", "waiting", "parked", "conflict", "in_doubt"},
}
_DEAD_EVENTS = ("dead", "unknown", "unreadable")


class Queries(Store):
    """Every method raises `LedgerUnavailable`; filters are equalities, an unknown filter is a `ValueError`."""

    def events(self, filters: Mapping[str, str] | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The newest events, without headers and bodies. Filters: state, connection, type."""
        query = select(*_event_columns).order_by(_newest(events, FINAL_EVENT_STATES, filters)).limit(limit)
        wanted = {"connection": events.c.connection, "type": events.c.type}
        query = _filtered(query, events, FINAL_EVENT_STATES, wanted, filters or {})
        with self._db.read() as connection:
            return [view(row._mapping) for row in connection.execute(query)]

    def deliveries(self, filters: Mapping[str, str] | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The newest deliveries. Filters: state, lane, route."""
        query = (
            select(*_delivery_columns)
            .join_from(deliveries, changes, changes.c.id == deliveries.c.change_id)
            .order_by(_newest(deliveries, FINAL_DELIVERY_STATES, filters))
            .limit(limit)
        )
        wanted = {"lane": deliveries.c.lane, "route": deliveries.c.route}
        query = _filtered(query, deliveries, FINAL_DELIVERY_STATES, wanted, filters or {})
        with self._db.read() as connection:
            return [view(row._mapping) for row in connection.execute(query)]

    def event(self, event_id: str) -> dict[str, Any] | None:
        """All of one event: headers, body as text, its tries and what people did to it; None when there is none."""
        with self._db.read() as connection:
            row = connection.execute(events_whole.where(events.c.id == event_id)).first()
            if row is None:
                return None
            tries = connection.execute(_ordered(attempts, attempts.c.event_id), {"wanted": event_id}).all()
            acts = connection.execute(_ordered(audit, audit.c.target), {"wanted": event_id}).all()
        return {**event_view(row), "attempt_rows": _views(tries), "audit": _views(acts)}

    def delivery(self, delivery_id: str) -> dict[str, Any] | None:
        """All of one delivery: its change and document, calls, tries and what people did; None when there is none."""
        query = (
            select(*_delivery_columns, changes.c.data, documents.c.body, documents.c.event_id)
            .join_from(deliveries, changes, changes.c.id == deliveries.c.change_id)
            .join(documents, documents.c.id == deliveries.c.document_id)
            .where(deliveries.c.id == delivery_id)
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            wanted = {"wanted": delivery_id}
            steps = connection.execute(_ordered(calls, calls.c.delivery_id), wanted).all()
            tries = connection.execute(_ordered(attempts, attempts.c.delivery_id), wanted).all()
            acts = connection.execute(_ordered(audit, audit.c.target), wanted).all()
        found = view(row._mapping)
        found["change_data"], found["document"] = loads(row.data), loads(row.body)
        del found["data"]
        return {**found, "calls": _views(steps), "attempt_rows": _views(tries), "audit": _views(acts)}

    def acts(self, target: str | None = None, limit: int = 100, *, who: str | None = None) -> list[dict[str, Any]]:
        """What people did, oldest first: to an event, delivery or task by its id, "connection:NAME", "token:NAME" or a
        reference's key; by who is called like that, with the id of his token behind it or not.
        """
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if target is not None:
            query = query.where(audit.c.target == bounded(target))
        if who is not None:
            named = or_(*(audit.c.who == name for name in (clean(who), f"cli:{clean(who)}")))
            query = query.where(or_(named, audit.c.who.startswith(f"{clean(who)} (", autoescape=True)))
        with self._db.read() as connection:
            return _views(reversed(connection.execute(query).all()))


def view(row: RowMapping | Mapping[str, Any]) -> dict[str, Any]:
    """A row as people and programs read it: times as text, JSON as values, nothing of the machinery."""
    return {name: _value(name, value) for name, value in row.items() if name not in _HIDDEN}


def event_view(row: Any) -> dict[str, Any]:
    """An event with headers and body. The body is text; bytes that are no UTF-8 show as replacement signs."""
    return {**view(row._mapping), "headers": loads(row.headers), "body": row.body.decode("utf-8", "replace")}


def document_view(row: Any) -> dict[str, Any]:
    """A document with its body."""
    return {**view(row._mapping), "seq": row.seq, "body": loads(row.body)}


def _views(rows: Any) -> list[dict[str, Any]]:
    return [view(row._mapping) for row in rows]


def _value(name: str, value: Any) -> Any:
    if name in _TIMES:
        return iso_ms(value)
    return loads(value) if name in ("request", "response", "answer", "before", "after", "data") else value


_ORDER = {"attempts": ("at", "id"), "audit": ("seq",), "calls": ("step",)}


def _ordered(table: Table, column: Any) -> Any:
    return select(table).where(column == bindparam("wanted")).order_by(*(table.c[name] for name in _ORDER[table.name]))


def _newest(table: Table, final: frozenset[str], filters: Mapping[str, str] | None) -> Any:
    """Newest first. A sign before the column keeps the planner from walking back through all that is finished."""
    state = (filters or {}).get("state")
    return literal_column(f"+{table.name}.seq").desc() if state and state not in final else table.c.seq.desc()


def _filtered(
    query: Select[Any], table: Table, final: frozenset[str], columns: Mapping[str, Any], filters: Mapping[str, str]
) -> Select[Any]:
    for name, wanted in filters.items():
        if name == "state":
            query = query.where(*_in_state(table, final, wanted))
        elif name in columns:
            query = query.where(columns[name] == (bare(wanted) if name in ("lane", "connection") else wanted))
        else:
            raise ValueError(f"{name!r} is no filter of {table.name}, use one of state, {', '.join(columns)}")
    return query


def _in_state(table: Table, final: frozenset[str], state: str) -> list[Any]:
    if state not in _STATES[table.name]:
        raise ValueError(f"{state!r} is no state of {table.name}, use one of {', '.join(sorted(_STATES[table.name]))}")
    conditions: list[Any] = [table.c.state == literal_column(f"'{state}'")]
    if state not in final:
        conditions.append(table.c.due_at.is_not(None))
    elif table is events and state in _DEAD_EVENTS:
        conditions.append(literal_column("state IN ('dead', 'unknown', 'unreadable')"))
    return conditions
