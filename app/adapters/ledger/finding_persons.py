"""Finds what the ledger has of a person: by a number of the business, or by an e-mail address in any content."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Connection, or_, select

from app.adapters.ledger.columns import bounded
from app.adapters.ledger.engine import Database
from app.adapters.ledger.erasing_parts import Person
from app.adapters.ledger.normal import normal
from app.adapters.ledger.schema import (
    attempts,
    audit,
    changes,
    deliveries,
    documents,
    event_bodies,
    events,
    identifiers,
    refs,
)
from app.adapters.ledger.shared_schema import bridge_answers
from app.adapters.ledger.story import Stories
from app.adapters.ledger.transaction import ObjectKey
from app.core.jsontext import loads
from app.errors import DataError
from app.model import Json

#: Rows that are read at a time.
_PAGE = 200
#: Takes the name of a kind of rows, and the rows.
Adding = Callable[[str, Iterable[Any]], None]
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(slots=True)
class Traces:
    """Where something was found: objects, and what belongs to none."""

    objects: dict[ObjectKey, None] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    questions: set[str] = field(default_factory=set)
    references: set[int] = field(default_factory=set)
    words: tuple[str, ...] = ()


def find_by_number(db: Database, kind: str, number: str) -> Traces:
    """The objects that have a number of this kind ("order" or "return")."""
    i = identifiers.c
    named = or_(i.id_kind == kind, i.id_kind.like(f"% {kind}"), (i.kind == kind) & i.strong)
    with db.read() as connection:
        rows = connection.execute(select(identifiers).where(i.norm == bounded(normal(number)), named)).all()
    exact = [row for row in rows if row.value == bounded(number)] or rows
    return Traces(objects=dict.fromkeys((row.kind, row.connection, row.object_id) for row in exact))


def holds(email: str) -> Callable[[str], bool]:
    """Says whether a content holds this e-mail address, and not merely one that ends or begins like it.

    It may be written with the escapes of JSON or of addresses of the web, and in capitals.
    """
    pattern = re.compile(rf"(?<![\w.+-]){re.escape(email.strip().casefold())}(?![\w-]|\.\w)")

    def has(text: str) -> bool:
        plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        spoken = [plain, unquote(plain)] if "%" in plain else [plain]
        return any(pattern.search(one.casefold()) for one in spoken)

    return has


def find_by_email(db: Database, email: str) -> Traces:
    """Where an e-mail address stands in any content."""
    has, found = holds(email), Traces(words=(email.strip(), email.strip().casefold()))
    d, e = documents.c, events.c
    for row in _pages(db, select(d.id, d.kind, d.connection, d.object_id, d.body, d.raw), d.id):
        if has(row.body) or has(row.raw):
            found.objects[row.kind, row.connection, row.object_id] = None
    query = select(e.seq, e.id, event_bodies.c.headers, event_bodies.c.body, e.because)
    query = query.join_from(events, event_bodies, event_bodies.c.seq == e.seq)
    for row in _pages(db, query, e.seq):
        if has(row.body.decode("utf-8", "replace")) or has(row.headers) or has(row.because):
            found.events.add(row.id)
    a = attempts.c
    owners: set[str] = set()
    for row in _pages(db, select(a.seq, a.event_id, a.delivery_id, a.because, a.request, a.response), a.seq):
        if has(row.request) or has(row.response) or has(row.because):
            owners.update(one for one in (row.event_id, row.delivery_id) if one)
    b = bridge_answers.c
    for row in _pages(db, select(b.id, b.request, b.answer, b.calls, b.because), b.id):
        if any(has(text or "") for text in (row.request, row.answer, row.calls, row.because)):
            found.questions.add(row.id)
    for row in _pages(db, select(refs.c.seq, refs.c.from_id, refs.c.to_id, refs.c.evidence), refs.c.seq):
        if any(has(text) for text in (row.from_id, row.to_id, row.evidence)):
            found.references.add(row.seq)
    with db.read() as connection:
        rows = connection.execute(select(identifiers).where(identifiers.c.norm == bounded(normal(email))))
        found.objects.update(((row.kind, row.connection, row.object_id), None) for row in rows)
    found.events.update(one for one in owners if one.startswith("evt_"))
    found.questions.update(one for one in owners if one.startswith("brq_"))
    _owners(db, found, sorted(one for one in owners if one.startswith("dlv_")))
    return found


def _owners(db: Database, found: Traces, delivery_ids: list[str]) -> None:
    """Add the objects that these deliveries, and the events that were found, are about."""
    ways = (
        (delivery_ids, deliveries, changes, changes.c.id == deliveries.c.change_id),
        (sorted(found.events), events, documents, documents.c.id == events.c.document_id),
    )
    for owners, table, about, joined in ways:
        query = select(about.c.kind, about.c.connection, about.c.object_id).join_from(table, about, joined)
        for ids in _slices(owners):
            with db.read() as connection:
                rows = connection.execute(query.where(table.c.id.in_(ids)))
                found.objects.update(((row.kind, row.connection, row.object_id), None) for row in rows)


def gather(ledger: Stories, db: Database, traces: Traces) -> Person:
    """All rows that belong to what was found, and to what strong numbers link to it."""
    for objects in _slices(list(traces.objects)):
        traces.objects.update(dict.fromkeys(ledger.find_linked(objects)))
    got: dict[str, dict[Any, None]] = {}
    values: list[Json] = []

    def add(name: str, items: Iterable[Any]) -> None:
        got.setdefault(name, {}).update(dict.fromkeys(items))

    add("events", sorted(traces.events))
    add("questions", sorted(traces.questions))
    add("references", sorted(traces.references))
    for objects in _slices(list(traces.objects)):
        story = ledger.story(objects)
        add("numbers", ((row["id_kind"], row["value"]) for row in story.identifiers if row["id_kind"] != "event"))
        for name in ("events", "documents", "deliveries", "tasks", "questions"):
            add(name, (row["id"] for row in getattr(story, name)))
        values += [row["body"] for row in story.documents]
        add("targets", (row["key"] for row in story.references))
    ids = {name: list(found) for name, found in got.items()}
    for part in _slices([*ids.get("events", ()), *ids.get("deliveries", ()), *ids.get("questions", ())]):
        with db.read() as connection:
            _rows_of(connection, part, add, values)
    targets = [name for kind in ("events", "deliveries", "questions", "tasks", "targets") for name in got.get(kind, ())]
    for part in _slices(targets):
        with db.read() as connection:
            add("acts", connection.scalars(select(audit.c.seq).where(audit.c.target.in_(part))))
    for part in _slices(list(got.get("targets", ()))):
        with db.read() as connection:
            add("references", connection.scalars(select(refs.c.seq).where(refs.c.key.in_(part))))
    names = ("numbers", "events", "bodies", "documents", "deliveries", "attempts", "references", "tasks", "questions")
    return Person(
        objects=tuple(traces.objects),
        values=tuple(values),
        words=traces.words,
        **{name: tuple(got.get(name, ())) for name in (*names, "acts")},
    )


def _rows_of(connection: Connection, ids: list[str], add: Adding, values: list[Json]) -> None:
    """Add the bodies, tries and references of these events, deliveries and questions, and what they say."""
    query = select(events.c.seq, event_bodies.c.body).join_from(
        events, event_bodies, event_bodies.c.seq == events.c.seq
    )
    for row in connection.execute(query.where(events.c.id.in_(ids))).all():
        add("bodies", [row.seq])
        values += _read(row.body)
    a = attempts.c
    for owner in (a.event_id, a.delivery_id):
        for made in connection.execute(select(a.seq, a.id, a.request, a.response).where(owner.in_(ids))).all():
            add("attempts", [made.seq])
            values += [*_read(made.request), *_read(made.response)]
            add("references", connection.scalars(select(refs.c.seq).where(refs.c.source_id == made.id)))
    add("references", connection.scalars(select(refs.c.seq).where(refs.c.source_id.in_(ids))))


def _read(text: str | bytes) -> list[Json]:
    try:
        return [loads(text)]
    except DataError:
        return []


def _slices(items: list[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(items), 50):
        yield items[at : at + 50]


def _pages(db: Database, query: Any, key: Any) -> Iterator[Any]:
    last: Any = None
    while True:
        page = query.order_by(key).limit(_PAGE)
        with db.read() as connection:
            rows = connection.execute(page if last is None else page.where(key > last)).all()
        yield from rows
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]
