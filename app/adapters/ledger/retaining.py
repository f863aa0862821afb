"""Takes old contents out: what came, what was read from it, what was sent and answered. What happened stays.

Each look reads so many rows of one table in their order and writes in one short transaction. What tells repeats apart
(a vendor's id of an event, keys of changes and calls, references) is never touched. Nothing of what has not ended is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, func, or_, select, text, update

from app.adapters.ledger.columns import iso_ms
from app.adapters.ledger.schema import attempts, calls, changes, deliveries, documents, event_bodies, events
from app.adapters.ledger.shared_schema import bridge_answers
from app.adapters.ledger.store import Store
from app.adapters.ledger.story import of_objects
from app.adapters.ledger.taking_out import take_out
from app.core.contents import BEGINS, LONGEST, How, bare_picture, marker
from app.core.jsontext import dump_text, loads
from app.model import Json

#: What is looked through, in this order.
KINDS = ("events", "documents", "attempts", "calls", "questions")

#: Gives a value with its persons hidden.
Mask = Callable[[Json], Json]
#: Says how many seconds contents of a connection are kept; None is for ever.
Keeps = Callable[[str], float | None]

_open_question = text("state IN ('running', 'waiting', 'in_doubt')")


class Retaining(Store):
    """Every method raises `LedgerUnavailable`; nothing is written then."""

    def expire(
        self, kind: str, after: str | int | None, keeps: Keeps, mask: Mask, most: int
    ) -> tuple[str | int | None, int]:
        """Look at `most` rows of one of `KINDS` behind `after` (None: from the first one) and take out what is old.

        Gives the last one looked at, None when there are no more, and of how many rows contents were taken.
        """
        now = self._now()

        def old(connection_name: str, at: int) -> bool:
            keep_s = keeps(connection_name)
            return keep_s is not None and at < now - keep_s * 1000

        find, take = _WAYS[kind]
        with self._db.read() as connection:
            seen, wanted = find(connection, after, old, most)
        count = 0
        if wanted:
            with self._db.write() as connection:
                count = take(connection, wanted, "expired", now, mask)
        return seen, count


Old = Callable[[str, int], bool]
Found = tuple[str | int | None, list[Any]]


def _page(connection: Connection, query: Any, key: Any, after: str | int | None, most: int) -> list[Any]:
    query = query.order_by(key).limit(most)
    return list(connection.execute(query if after is None else query.where(key > after)))


def _there(column: Any, *, size: Any = None) -> Any:
    """Whether a content is not gone yet."""
    begins = BEGINS.encode() if column is event_bodies.c.body else BEGINS
    here = func.substr(column, 1, len(BEGINS)) != begins
    return here if size is None else or_(here, size > LONGEST)


def _old_events(connection: Connection, after: str | int | None, old: Old, most: int) -> Found:
    query = select(events.c.seq, events.c.connection, events.c.updated_at, events.c.due_at)
    rows = _page(connection, query, events.c.seq, after, most)
    due = [row.seq for row in rows if row.due_at is None and old(row.connection, row.updated_at)]
    here = _there(event_bodies.c.body, size=func.length(event_bodies.c.body))
    wanted = list(connection.scalars(select(event_bodies.c.seq).where(event_bodies.c.seq.in_(due), here)))
    return (rows[-1].seq if rows else None), wanted


def take_bodies(connection: Connection, numbers: list[int], how: How, now: int, _mask: Mask) -> int:
    """Take out what came with these events, unless they were woken meanwhile."""
    query = select(events.c.seq).where(events.c.seq.in_(numbers), events.c.due_at.is_(None)).with_for_update()
    ended = list(connection.scalars(query))
    gone = {"headers": "{}", "body": marker(how, day(now)).encode()}
    connection.execute(update(event_bodies).where(event_bodies.c.seq.in_(ended)).values(gone))
    return len(ended)


#: Of the same object: something is still to be done, or ended a short while ago and may be tried again.
def _busy(since: Any) -> Any:
    same = and_(*(changes.c[name] == documents.c[name] for name in ("kind", "connection", "object_id")))
    return exists().where(
        same,
        deliveries.c.change_id == changes.c.id,
        or_(deliveries.c.due_at.is_not(None), deliveries.c.updated_at >= since),
    )


def _old_documents(connection: Connection, after: str | int | None, old: Old, most: int) -> Found:
    query = select(documents.c.id, documents.c.connection, documents.c.created_at)
    rows = _page(connection, query, documents.c.id, after, most)
    due = [row for row in rows if old(row.connection, row.created_at)]
    if not due:
        return (rows[-1].id if rows else None), []
    query = select(documents.c.id).where(documents.c.id.in_([row.id for row in due]), _there(documents.c.raw))
    here = set(connection.scalars(query))
    wanted = [row for row in due if row.id in here]
    return rows[-1].id, [(row.id, old) for row in wanted]


def _take_old_documents(connection: Connection, wanted: list[Any], how: How, now: int, mask: Mask) -> int:
    old: Old = wanted[0][1]
    ids = [one for one, _ in wanted]
    # The youngest that may be old at one of these connections: what ended since then keeps its object's pictures.
    named = select(documents.c.id, documents.c.connection).where(documents.c.id.in_(ids))
    free: list[str] = []
    for name in {row.connection for row in connection.execute(named)}:
        since = _edge(old, name, now)
        query = select(documents.c.id).where(documents.c.id.in_(ids), documents.c.connection == name, ~_busy(since))
        free += connection.scalars(query)
    return take_pictures(connection, free, how, now, mask)


def _edge(old: Old, name: str, now: int) -> int:
    """The first millisecond that is not old yet."""
    low, high = 0, now
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if old(name, middle) else (low, middle)
    return low


def take_pictures(connection: Connection, ids: list[str], how: How, now: int, mask: Mask) -> int:
    """Take out the contents of these documents; of an object's newest its persons: the next is compared with it."""
    newer = documents.alias("newer")
    same = (newer.c[name] == documents.c[name] for name in ("kind", "connection", "object_id"))
    is_head = ~documents.c.stale & ~exists().where(*same, newer.c.seq > documents.c.seq, ~newer.c.stale)
    query = select(documents, is_head.label("is_head")).where(documents.c.id.in_(ids))
    gone, rows = marker(how, day(now)), connection.execute(query).all()
    if not rows:
        return 0
    written = [
        {
            "row_id": row.id,
            "new_body": dump_text(bare_picture(mask(loads(row.body)), how, day(now))) if row.is_head else gone,
            "new_raw": gone,
        }
        for row in rows
    ]
    values: dict[str, Any] = {"body": bindparam("new_body"), "raw": bindparam("new_raw")}
    connection.execute(update(documents).where(documents.c.id == bindparam("row_id")).values(values), written)
    # By the objects, for which there is an index.
    mine = of_objects(changes, {(row.kind, row.connection, row.object_id) for row in rows})
    facts = connection.execute(select(changes.c.id, changes.c.data, changes.c.document_id).where(mine)).all()
    taken = set(ids)
    masked = [
        {"row_id": row.id, "new_data": dump_text(mask(loads(row.data)))} for row in facts if row.document_id in taken
    ]
    if masked:
        statement = update(changes).where(changes.c.id == bindparam("row_id")).values(data=bindparam("new_data"))
        connection.execute(statement, masked)
    return len(rows)


def _old_attempts(connection: Connection, after: str | int | None, old: Old, most: int) -> Found:
    a = attempts.c
    open_work = or_(
        exists().where(events.c.id == a.event_id, events.c.due_at.is_not(None)),
        exists().where(deliveries.c.id == a.delivery_id, deliveries.c.due_at.is_not(None)),
        exists().where(bridge_answers.c.id == a.delivery_id, _open_question),
    )
    rows = _page(connection, select(a.seq, a.connection, a.at), a.seq, after, most)
    due = [row.seq for row in rows if old(row.connection, row.at)]
    query = select(a.seq).where(a.seq.in_(due), _there(a.response), ~open_work)
    return (rows[-1].seq if rows else None), list(connection.scalars(query)) if due else []


def _take_attempts(connection: Connection, numbers: list[int], how: How, now: int, mask: Mask) -> int:
    return take_out(connection, attempts, numbers, how, now, day(now), lambda text: str(mask(text)))


def _old_calls(connection: Connection, after: str | int | None, old: Old, most: int) -> Found:
    d = deliveries.c
    rows = _page(connection, select(d.seq, d.id, d.lane, d.updated_at, d.due_at), d.seq, after, most)
    due = [row.id for row in rows if row.due_at is None and old(row.lane, row.updated_at)]
    query = select(calls.c.delivery_id).distinct()
    query = query.where(calls.c.delivery_id.in_(due), calls.c.answer != "null", _there(calls.c.answer))
    return (rows[-1].seq if rows else None), list(connection.scalars(query)) if due else []


def take_answers(connection: Connection, ids: list[str], how: How, now: int, _mask: Mask) -> int:
    """Take out what the calls of these deliveries were answered, unless they were woken meanwhile."""
    query = select(deliveries.c.id).where(deliveries.c.id.in_(ids), deliveries.c.due_at.is_(None)).with_for_update()
    ended = list(connection.scalars(query))
    theirs = and_(calls.c.delivery_id.in_(ended), calls.c.answer != "null")
    connection.execute(update(calls).where(theirs).values(answer=marker(how, day(now))))
    return len(ended)


def _old_questions(connection: Connection, after: str | int | None, old: Old, most: int) -> Found:
    b = bridge_answers.c
    rows = _page(connection, select(b.id, b.connection, b.state, b.updated_at), b.id, after, most)
    over = [row for row in rows if row.state in ("answered", "failed")]
    due = [row.id for row in over if old(row.connection, row.updated_at)]
    query = select(b.id).where(b.id.in_(due), _there(b.request))
    return (rows[-1].id if rows else None), list(connection.scalars(query)) if due else []


def take_questions(connection: Connection, ids: list[str], how: How, now: int, _mask: Mask) -> int:
    """Take out what was asked, and its answer: that it was answered, and with which status, stays."""
    b = bridge_answers.c
    gone = marker(how, day(now))
    over = and_(b.id.in_(ids), b.state.in_(("answered", "failed")))
    connection.execute(update(bridge_answers).where(over, b.answer.is_not(None)).values(answer=gone))
    connection.execute(update(bridge_answers).where(over).values(request=gone, calls="[]"))
    return len(ids)


def day(now: int) -> str:
    """The day of a millisecond, as 2026-11-22."""
    return str(iso_ms(now))[:10]


_WAYS: dict[str, tuple[Callable[..., Found], Callable[..., int]]] = {
    "events": (_old_events, take_bodies),
    "documents": (_old_documents, _take_old_documents),
    "attempts": (_old_attempts, _take_attempts),
    "calls": (_old_calls, take_answers),
    "questions": (_old_questions, take_questions),
}
