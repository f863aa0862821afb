"""What must hold in a ledger at any moment, asked of all its rows: for `backhaul ledger verify`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, or_, select, tuple_

from app.adapters.ledger.schema import (
    attempts,
    calls,
    changes,
    deliveries,
    documents,
    event_bodies,
    events,
    identifiers,
)
from app.adapters.ledger.seals import SEALED_MOST, Sealing, Unsound
from app.adapters.ledger.shared_schema import bridge_answers
from app.core.checkup import Fault, Piece
from app.model import FINAL_DELIVERY_STATES, FINAL_EVENT_STATES, Json

#: Of one kind of fault so many are named.
NAMED = 100
_SOUGHT = "seals"


@dataclass(frozen=True, slots=True)
class _Check:
    """Rows that must not be there: `wrong` tells them, `name` is what a row is called."""

    check: str
    what: str
    table: Table
    name: ColumnElement[Any]
    wrong: ColumnElement[bool]


def _missing(table: Table, key: ColumnElement[Any]) -> ColumnElement[bool]:
    return ~exists().where(table.c.id == key)


def _work(table: Table, final: frozenset[str], waits: tuple[str, ...]) -> Iterator[_Check]:
    c, kind = table.c, table.name
    ended = c.state.in_(final)
    yield _Check(f"{kind} ended", "has ended and is still due", table, c.id, and_(ended, c.due_at.is_not(None)))
    yield _Check(f"{kind} due", "has not ended and is never due", table, c.id, and_(~ended, c.due_at.is_(None)))
    held = or_(and_(c.state == "running", c.token.is_(None)), and_(c.state != "running", c.token.is_not(None)))
    yield _Check(f"{kind} held", "is running and nobody holds it, or is held and not running", table, c.id, held)
    silent = and_(c.state.in_(waits), c.because == "")
    yield _Check(f"{kind} waiting", "waits and does not say why", table, c.id, silent)
    yield _Check(f"{kind} dead", "is dead and does not say why", table, c.id, and_(c.state == "dead", c.because == ""))


_untold = and_(
    deliveries.c.state == "done",
    ~exists().where(calls.c.delivery_id == deliveries.c.id, calls.c.state == "delivered"),
)
_foreign = and_(attempts.c.delivery_id.is_not(None), attempts.c.delivery_id.startswith("dlv_"))
_CHECKS = (
    *_work(events, FINAL_EVENT_STATES, ("waiting", "parked")),
    *_work(deliveries, FINAL_DELIVERY_STATES, ("waiting", "parked", "conflict", "in_doubt")),
    _Check("deliveries done", "is done and no call of it was delivered", deliveries, deliveries.c.id, _untold),
    _Check("events", "has lost what came", events, events.c.id, ~exists().where(event_bodies.c.seq == events.c.seq)),
    _Check("documents", "has no event", documents, documents.c.id, _missing(events, documents.c.event_id)),
    _Check("changes", "has no document", changes, changes.c.id, _missing(documents, changes.c.document_id)),
    _Check("deliveries", "has no change", deliveries, deliveries.c.id, _missing(changes, deliveries.c.change_id)),
    _Check("calls", "has no delivery", calls, calls.c.delivery_id, _missing(deliveries, calls.c.delivery_id)),
    _Check(
        "attempts of deliveries",
        "has no delivery",
        attempts,
        attempts.c.id,
        and_(_foreign, _missing(deliveries, attempts.c.delivery_id)),
    ),
    _Check(
        "attempts of events",
        "has no event",
        attempts,
        attempts.c.id,
        and_(attempts.c.event_id.is_not(None), _missing(events, attempts.c.event_id)),
    ),
    _Check(
        "identifiers",
        "makes something findable that is not there",
        identifiers,
        identifiers.c.object_id,
        ~exists().where(
            documents.c.kind == identifiers.c.kind,
            documents.c.connection == identifiers.c.connection,
            documents.c.object_id == identifiers.c.object_id,
        )
        # A question of a bridge is found by its numbers too, and has no document.
        & ~exists().where(bridge_answers.c.id == identifiers.c.object_id),
    ),
)
#: The checks that `verify` carries out, in order.
CHECKS = (*(check.check for check in _CHECKS), _SOUGHT)


class Verifying(Sealing):
    """Looks whether a ledger is sound, also while a hub works on it. Raises `LedgerUnavailable`."""

    def checks(self) -> tuple[str, ...]:
        """The names of all checks, in the order in which they are best carried out."""
        return CHECKS

    def verify(self, check: str) -> Iterator[Unsound]:
        """What one of `CHECKS` finds wrong; of one kind no more than 100."""
        if check == _SOUGHT:
            yield from self.unsealed()
            return
        for one in _CHECKS:
            if one.check == check:
                with self._db.read() as connection:
                    found = connection.scalars(select(one.name).select_from(one.table).where(one.wrong).limit(NAMED))
                    names = list(found)
                yield from (Unsound(check, str(name), one.what) for name in names)

    def parts(self) -> tuple[str, ...]:
        """What `look_at` can look at, best in this order: the tables that have checks, and the seals."""
        return (*dict.fromkeys(check.table.name for check in _CHECKS), _SOUGHT)

    def look_at(self, part: str, after: Json, most: int) -> Piece:
        """Look at up to `most` rows of one of `parts`, in the order of their keys, behind `after`.

        Finds what `verify` does. Of the seals at least one is looked at, which holds a bounded number of rows.
        """
        if part == _SOUGHT:
            rows, faults = 0, []
            number: int | None = int(after or 0)
            while number is not None and (not rows or rows + SEALED_MOST <= most):
                count, found, number = self.unsealed_after(number)
                rows += count
                faults += [Fault(one.row, one.what) for one in found]
            return Piece(rows, tuple(faults), number)
        checks = [check for check in _CHECKS if check.table.name == part]
        with self._db.read() as connection:
            return _look_at(connection, checks, after, most)

    def kept(self) -> dict[str, int]:
        """How many rows there are, by table."""
        with self._db.read() as connection:
            tables = (events, documents, changes, deliveries, calls, attempts)
            return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def _look_at(connection: Connection, checks: list[_Check], after: Json, most: int) -> Piece:
    table = checks[0].table
    keys = list(table.primary_key.columns)
    key = tuple_(*keys)
    behind = [] if after is None else [key > tuple_(*after)]
    found = connection.execute(select(*keys).where(*behind).order_by(*keys).limit(most)).all()
    if not found:
        return Piece(0, (), None)
    here = [*behind, key <= tuple_(*found[-1])]
    faults = [
        Fault(str(name), one.what)
        for one in checks
        for name in connection.scalars(select(one.name).select_from(table).where(*here, one.wrong).limit(NAMED))
    ]
    return Piece(len(found), tuple(faults), list(found[-1]) if len(found) == most else None)
