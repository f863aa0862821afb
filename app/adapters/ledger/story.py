"""Search by any number, and everything that the ledger knows of what was found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, false, literal_column, or_, select, text

from app.adapters.ledger.bridge_answers import bridge_view
from app.adapters.ledger.columns import bounded
from app.adapters.ledger.normal import normal
from app.adapters.ledger.queries import document_view, event_view, events_whole, view
from app.adapters.ledger.references import reference_view
from app.adapters.ledger.schema import (
    attempts,
    audit,
    calls,
    changes,
    deliveries,
    documents,
    events,
    identifiers,
    refs,
    tasks,
)
from app.adapters.ledger.shared_schema import bridge_answers
from app.adapters.ledger.store import Store
from app.adapters.ledger.transaction import ObjectKey

#: A story that links more objects than this has a number in it that links nothing.
MOST_OBJECTS = 200

_by_norm = select(identifiers).where(identifiers.c.norm.in_(bindparam("norms", expanding=True)))
_OWN_IDS = {
    "doc_": select(documents.c.kind, documents.c.connection, documents.c.object_id).where(
        documents.c.id == bindparam("wanted")
    ),
    "evt_": select(documents.c.kind, documents.c.connection, documents.c.object_id).where(
        documents.c.id == select(events.c.document_id).where(events.c.id == bindparam("wanted")).scalar_subquery()
    ),
    "chg_": select(changes.c.kind, changes.c.connection, changes.c.object_id).where(
        changes.c.id == bindparam("wanted")
    ),
    "brq_": select(
        literal_column("'bridge'").label("kind"), bridge_answers.c.connection, bridge_answers.c.id.label("object_id")
    ).where(bridge_answers.c.id == bindparam("wanted")),
    "tsk_": select(tasks.c.object_kind.label("kind"), tasks.c.connection, tasks.c.object_id).where(
        tasks.c.id == bindparam("wanted")
    ),
    "dlv_": select(changes.c.kind, changes.c.connection, changes.c.object_id)
    .join_from(deliveries, changes, changes.c.id == deliveries.c.change_id)
    .where(deliveries.c.id == bindparam("wanted")),
}
_combine_indexes = text("SET LOCAL enable_bitmapscan = on")


@dataclass(frozen=True, slots=True)
class StoryRows:
    """Everything about some objects, each list in the order of time. Times are ISO text, JSON is values."""

    objects: list[ObjectKey]
    identifiers: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    references: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)


class Stories(Store):
    """Every method raises `LedgerUnavailable`."""

    def find(self, number: str) -> list[ObjectKey]:
        """The objects that have this number, and those that strong numbers link to them.

        A number written exactly so comes first; only if there is none, one that differs by case, blanks or "#".
        The hub's own ids (event, document, change, delivery, task, question) are numbers too.
        """
        with self._db.read() as connection:
            own = _OWN_IDS.get(number[:4])
            found = _keys(connection.execute(own, {"wanted": number})) if own is not None else []
            if not found:
                wanted, rows = bounded(number), connection.execute(_by_norm, {"norms": [normal(number)]}).all()
                found = _keys(row for row in rows if row.value == wanted) or _keys(rows)
            return _linked(connection, found)

    def find_linked(self, objects: Sequence[ObjectKey]) -> list[ObjectKey]:
        """These objects, and those that strong numbers link to them."""
        with self._db.read() as connection:
            return _linked(connection, list(objects))

    def story(self, objects: Sequence[ObjectKey]) -> StoryRows:
        """Everything about these objects: what came, what it meant, what was done, with which answer."""
        rows = StoryRows(list(objects))
        if not objects:
            return rows
        with self._db.read() as connection:
            if self._db.dialect == "postgresql":
                # "By this or by that" needs two indexes at once; see `engine` for why that is off elsewhere.
                connection.execute(_combine_indexes)
            _fill(connection, rows)
        return rows


def _keys(rows: Iterable[Any]) -> list[ObjectKey]:
    return list(dict.fromkeys((row.kind, row.connection, row.object_id) for row in rows))


def of_objects(table: Any, objects: Collection[ObjectKey]) -> Any:
    """The condition that a row of a table is one of these objects'; of no objects there are no rows."""
    kind = table.c.object_kind if table is tasks else table.c.kind
    return or_(false(), *((kind == k) & (table.c.connection == c) & (table.c.object_id == o) for k, c, o in objects))


def _linked(connection: Connection, found: list[ObjectKey]) -> list[ObjectKey]:
    """Also the objects that share a strong number of the same kind with one that is in the list."""
    known, fresh = dict.fromkeys(found), found
    while fresh and len(known) < MOST_OBJECTS:
        mine = select(identifiers).where(identifiers.c.strong, of_objects(identifiers, fresh))
        strong = {(row.id_kind, row.value): row.norm for row in connection.execute(mine)}
        if not strong:
            break
        others = connection.execute(_by_norm, {"norms": sorted(set(strong.values()))}).all()
        linked = _keys(row for row in others if row.strong and (row.id_kind, row.value) in strong)
        fresh = [key for key in linked if key not in known]
        known.update(dict.fromkeys(fresh))
    return list(known)[:MOST_OBJECTS]


def _rows(connection: Connection, table: Any, where: Any, *order: Any) -> list[Any]:
    return list(connection.execute(select(table).where(where).order_by(*order)))


def _fill(connection: Connection, story: StoryRows) -> None:
    objects = story.objects
    numbers = _rows(
        connection, identifiers, of_objects(identifiers, objects), identifiers.c.id_kind, identifiers.c.value
    )
    pictures = _rows(connection, documents, of_objects(documents, objects), documents.c.created_at, documents.c.id)
    facts = _rows(connection, changes, of_objects(changes, objects), changes.c.seq)
    work = _rows(connection, deliveries, deliveries.c.change_id.in_(_ids(facts)), deliveries.c.seq)
    told = or_(events.c.id.in_({row.event_id for row in pictures}), events.c.document_id.in_(_ids(pictures)))
    messages = list(connection.execute(events_whole.where(told).order_by(events.c.seq)))
    asked = {object_id for kind, _, object_id in objects if kind == "bridge"}
    questions = _rows(connection, bridge_answers, bridge_answers.c.id.in_(asked), bridge_answers.c.created_at)
    made = or_(attempts.c.event_id.in_(_ids(messages)), attempts.c.delivery_id.in_(_ids(work) | asked))
    tries = _rows(connection, attempts, made, attempts.c.at, attempts.c.id)
    steps = _rows(connection, calls, calls.c.delivery_id.in_(_ids(work)), calls.c.delivery_id, calls.c.step)
    values = {row.value for row in numbers}
    sources = _ids(messages) | _ids(work) | _ids(tries)
    used = or_(
        refs.c.key.in_({row.waits_for for row in work if row.waits_for}),
        refs.c.source_id.in_(sources),
        refs.c.from_key.in_(values),
        refs.c.to_key.in_(values),
    )
    translations = _rows(connection, refs, used, refs.c.seq)
    raised = _rows(connection, tasks, of_objects(tasks, objects), tasks.c.seq)
    targets = asked | _ids(messages) | _ids(work) | _ids(raised) | {row.key for row in translations}
    acts = _rows(connection, audit, audit.c.target.in_(targets), audit.c.seq)

    changed_by = {row.id: row.name for row in facts}
    story.identifiers.extend(_plain(numbers))
    story.events.extend(event_view(row) for row in messages)
    story.documents.extend(document_view(row) for row in pictures)
    story.changes.extend(_plain(facts))
    story.deliveries.extend({**view(row._mapping), "change": changed_by[row.change_id]} for row in work)
    story.calls.extend(_plain(steps))
    story.attempts.extend(_plain(tries))
    story.references.extend(reference_view(row) for row in translations)
    story.tasks.extend(_plain(raised))
    story.questions.extend(bridge_view(row) for row in questions)
    story.audit.extend(_plain(acts))


def _ids(rows: Iterable[Any]) -> set[str]:
    return {row.id for row in rows}


def _plain(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return [view(row._mapping) for row in rows]
