"""Claims: due work is taken in batches, by one UPDATE, under a lease and a token.

A claimed row's `due_at` is the end of its lease. When its worker dies, the row is due again without anybody's doing.
Whether a lease is over is asked of a time of its own (`lapse`), which a clock that is put forward does not carry away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Table,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from app.adapters.ledger.claimable import NOW, alone, claimable, first_of, head_of_line
from app.adapters.ledger.columns import from_ms
from app.adapters.ledger.rows import to_delivery_work, to_document, to_event_work
from app.adapters.ledger.schema import calls, changes, deliveries, documents, event_bodies, events
from app.adapters.ledger.shared_schema import lanes, polls
from app.adapters.ledger.statements import Statement, among
from app.adapters.ledger.store import Store, ahead, bare
from app.core.jsontext import loads
from app.model import CallRow, DeliveryWork, EventWork

#: Work that has taken down so many workers in a row is set aside instead of taking down the next.
DEADLY = 5
#: `due_count` counts no further: nobody wants more than "a lot".
COUNTED = 1_000

_by_seq = attrgetter("seq")
_BECAUSE = f"its worker died {DEADLY} times: something in it ends the process; look into the log, then `retry`"


def _claim(table: Table, lane: Any, *returned: Any) -> Any:
    """The claim. MATERIALIZED in effect: a locking CTE is never folded in, so LIMIT holds whatever the plan."""
    c = table.c
    picked = (
        select(c.seq)
        .where(lane == bindparam("in_lane"), *claimable(table), alone(table, lane))
        .order_by(c.due_at, c.seq)
        # A sum: of a bare value SQLite would make use when it plans, and so plan anew for each claim.
        .limit(bindparam("limit", type_=Integer) + 0)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    lapsed = c.state == "running"
    deadly = and_(lapsed, c.deaths >= DEADLY - 1)
    values: dict[str, Any] = {
        "claimed_from": c.state,
        "claimed_at": NOW,
        "state": case((deadly, "dead"), else_="running"),
        "due_at": case((deadly, null()), else_=bindparam("lease_end", type_=BigInteger)),
        "token": case((deadly, null()), else_=bindparam("holder")),
        "attempts": case((deadly, c.attempts), else_=c.attempts + 1),
        "deaths": case((lapsed, c.deaths + 1), else_=c.deaths),
        "because": case((deadly, literal(_BECAUSE)), else_=c.because),
        "fault": case((deadly, "data"), else_=c.fault),
        "updated_at": NOW,
    }
    if table is deliveries:
        # Whoever held it may have sent before it died.
        values["sent"] = or_(c.sent, lapsed)
    return update(table).where(c.seq.in_(select(picked.c.seq))).values(values).returning(*returned)


_event_columns = (
    *("id", "connection", "type", "received_at", "claimed_from", "attempts", "began_at", "waits_for", "seq", "state"),
)
_claim_events = Statement(
    lambda _dialect: _claim(events, events.c.connection, *(events.c[name] for name in _event_columns))
)
# Not with the claim: SQLite puts down what an UPDATE returns before it gives it back.
_came = Statement(lambda dialect: select(event_bodies).where(among(dialect, event_bodies.c.seq, "seqs")))
_claim_deliveries = Statement(lambda _dialect: _claim(deliveries, deliveries.c.lane, deliveries.c.id))
_own = (
    "id",
    "route",
    "part",
    "lane",
    "step",
    "claimed_from",
    "attempts",
    "resends",
    "sent",
    "began_at",
    "created_at",
    "parked_at",
    "because",
)
_pictured = ("kind", "connection", "object_id", "version", "observed_at", "event_id", "stamp", "stale", "body", "raw")
_claimed = Statement(
    lambda dialect: (
        select(
            *(deliveries.c[name].label(f"own_{name}") for name in _own),
            *(documents.c[name] for name in ("id", "seq", *_pictured)),
            *(changes.c[name].label(f"change_{name}") for name in ("id", "name", "key", "data")),
        )
        .join_from(deliveries, documents, documents.c.id == deliveries.c.document_id)
        .join(changes, changes.c.id == deliveries.c.change_id)
        .where(
            among(dialect, deliveries.c.id, "ids"),
            deliveries.c.state == "running",
            deliveries.c.token == bindparam("holder"),
        )
        .order_by(deliveries.c.seq)
    )
)
_calls = Statement(
    lambda dialect: select(calls.c.delivery_id, calls.c.step, calls.c.state, calls.c.answer).where(
        among(dialect, calls.c.delivery_id, "ids")
    )
)


def _renew(table: Table) -> Any:
    return (
        update(table)
        .where(table.c.token == bindparam("holder"), table.c.state == "running")
        .values(due_at=bindparam("lease_end", type_=BigInteger))
    )


def _hand_back(dialect: str, table: Table) -> Any:
    c = table.c
    return (
        update(table)
        .where(among(dialect, c.id, "ids"), c.token == bindparam("holder"), c.state == "running")
        .values(
            state=c.claimed_from,
            due_at=NOW,
            token=None,
            attempts=c.attempts - 1,
            # Still in the hands of a worker that died before: the next claim counts that death again.
            deaths=case((c.claimed_from == "running", c.deaths - 1), else_=c.deaths),
            updated_at=NOW,
        )
    )


_renews = (Statement(lambda _dialect: _renew(events)), Statement(lambda _dialect: _renew(deliveries)))
_hands_back = (
    Statement(lambda dialect: _hand_back(dialect, events)),
    Statement(lambda dialect: _hand_back(dialect, deliveries)),
)


def _lanes_of(table: Table, lane: Any) -> Any:
    """The distinct lanes with anything unfinished, hopping from one to the next through the index."""
    first = select(func.min(lane).label("lane")).where(table.c.due_at.is_not(None)).cte("hop", recursive=True)
    following = (
        select(func.min(lane)).where(table.c.due_at.is_not(None), lane > first.c.lane).scalar_subquery().label("lane")
    )
    hops = first.union_all(select(following).where(first.c.lane.is_not(None)))
    found = first_of(lane == hops.c.lane, *claimable(table)).is_not(None)
    return select(hops.c.lane).where(hops.c.lane.is_not(None), ~_shut(hops.c.lane), found)


def _shut(connection: Any) -> Any:
    return exists().where(
        lanes.c.connection == connection,
        or_(lanes.c.paused, lanes.c.open_until > NOW, lanes.c.trial_until > NOW),
    )


_event_lanes = Statement(lambda _dialect: _lanes_of(events, events.c.connection))
_delivery_lanes = Statement(lambda _dialect: _lanes_of(deliveries, deliveries.c.lane))
_poll_lanes = Statement(
    lambda _dialect: (
        select(polls.c.connection).where(polls.c.active, polls.c.due_at <= NOW, ~_shut(polls.c.connection)).distinct()
    )
)


def _counted(table: Table, lane: Any) -> Any:
    some = select(literal(1)).where(lane == bindparam("in_lane"), *claimable(table)).limit(COUNTED).subquery()
    return select(func.count()).select_from(some)


def _next(table: Table, lane: Any) -> Any:
    conditions: list[ColumnElement[bool]] = [lane == bindparam("in_lane"), table.c.due_at.is_not(None)]
    if table is deliveries:
        conditions.append(head_of_line(table.c))
    return select(table.c.due_at).where(*conditions).order_by(table.c.due_at).limit(1)


_counts = {"in": _counted(events, events.c.connection), "out": _counted(deliveries, deliveries.c.lane)}
_nexts = {"in": _next(events, events.c.connection), "out": _next(deliveries, deliveries.c.lane)}


class Claiming(Store):
    """Hands out due work. Every method raises `LedgerUnavailable`."""

    def due_lanes(self) -> list[str]:
        """The lanes ("in:shop", "out:wms", "poll:shop") with something claimable now, but for those paused or shut by a
        breaker."""
        now = self._now()
        with self._db.read() as connection:
            wanted = {"now": now, "lapsed": now}
            reads = [f"in:{lane}" for (lane,) in _event_lanes.rows(connection, wanted)]
            writes = [f"out:{lane}" for (lane,) in _delivery_lanes.rows(connection, wanted)]
            return reads + writes + [f"poll:{lane}" for (lane,) in _poll_lanes.rows(connection, wanted)]

    def claim_events(self, connection: str, limit: int, lease_s: float, token: str) -> list[EventWork]:
        """Take up to `limit` due events of a connection, oldest due first. A token is used for one claim only."""
        with self._db.write() as db:
            found = _claim_events.rows(db, self._claim_of(connection, limit, lease_s, token))
            rows = sorted((row for row in found if row.state == "running"), key=_by_seq)
            came = {one.seq: one for one in _came.rows(db, {"seqs": [row.seq for row in rows]})} if rows else {}
        return [to_event_work(row, came[row.seq]) for row in rows]

    def claim_deliveries(self, connection: str, limit: int, lease_s: float, token: str) -> list[DeliveryWork]:
        """Take up to `limit` due deliveries whose current call goes to `connection`, oldest due first.

        Of deliveries with one order key only the first unfinished one is taken. A token is used for one claim only.
        """
        with self._db.write() as db:
            found = _claim_deliveries.rows(db, self._claim_of(connection, limit, lease_s, token))
        if not found:
            return []
        # They are this token's now: what they need is looked up while others write.
        with self._db.read() as db:
            rows = _claimed.rows(db, {"ids": [row.id for row in found], "holder": token})
            later = [row.own_id for row in rows if not _untouched(row)]
            made = _calls.rows(db, {"ids": later}) if later else []
        # Parsed once for all changes of a picture.
        pictures = {row.id: row for row in rows}
        parsed = {key: to_document(row) for key, row in pictures.items()}
        told: dict[str, dict[int, CallRow]] = {}
        for row in made:
            told.setdefault(row.delivery_id, {})[row.step] = CallRow(row.state, loads(row.answer))
        return [to_delivery_work(row, parsed[row.id], told.get(row.own_id, {})) for row in rows]

    def renew(self, token: str, lease_s: float) -> int:
        """Move the end of the lease of all that the token still holds; how many that is."""
        wanted = {"holder": token, "lease_end": ahead(self._now(), lease_s)}
        with self._db.write() as connection:
            return sum(statement.change(connection, wanted) for statement in _renews)

    def hand_back(self, token: str, ids: Sequence[str]) -> int:
        """Give back what was claimed and not begun, as if it had not been claimed; how many that was."""
        if not ids:
            return 0
        wanted = {"holder": token, "ids": list(ids), "now": self._now()}
        with self._db.write() as connection:
            return sum(statement.change(connection, wanted) for statement in _hands_back)

    def due_count(self, lane: str) -> int:
        """How much is claimable now in a lane ("in:shop", "out:wms"); counted up to 1,000."""
        query = _counts["in" if lane.startswith("in:") else "out"]
        with self._db.read() as connection:
            now = self._now()
            return int(connection.scalar(query, {"in_lane": bare(lane), "now": now, "lapsed": now}))

    def next_due(self, lane: str) -> datetime | None:
        """When something in a lane will be claimable (in the past: it is already); None when nothing waits."""
        query = _nexts["in" if lane.startswith("in:") else "out"]
        with self._db.read() as connection:
            due = connection.scalar(query, {"in_lane": bare(lane), "lapsed": self._now()})
        return None if due is None else from_ms(due)

    def _claim_of(self, connection: str, limit: int, lease_s: float, token: str) -> dict[str, object]:
        now = self._now()
        lane = bare(connection)
        lapsed = self._lapsed(now, lease_s)
        end = ahead(now, lease_s)
        return {"in_lane": lane, "limit": limit, "holder": token, "now": now, "lapsed": lapsed, "lease_end": end}


def _untouched(row: Any) -> bool:
    """Whether it is on its very first try at its first call: nothing is written of its calls yet."""
    first = row.own_step == 0 and row.own_attempts == 1 and not row.own_sent
    return first and row.own_began_at == row.own_created_at and not row.own_resends
