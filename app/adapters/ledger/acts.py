"""What people do by hand: retry and resolve. Each act is claimed by its UPDATE, so that two people act once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, case, func, or_, select, update

from app.adapters.ledger.emptied import emptied_deliveries, emptied_events
from app.adapters.ledger.engine import once
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.schema import attempts, calls, deliveries, events
from app.adapters.ledger.store import Store, bare
from app.model import CallState

Verdict = Literal["delivered", "retry", "dead"]

#: What `retry` wakes. In doubt is not among them: that is for `resolve`.
EVENTS_TO_RETRY = ("dead", "unknown", "unreadable", "parked", "waiting")
DELIVERIES_TO_RETRY = ("dead", "parked", "conflict", "waiting")

_seen_events = (
    select(events.c.id, events.c.state, events.c.because)
    .where(events.c.id.in_(bindparam("ids", expanding=True)), events.c.state.in_(EVENTS_TO_RETRY))
    .order_by(events.c.seq)
    .with_for_update()
)
_seen_deliveries = (
    select(
        deliveries.c.id,
        deliveries.c.state,
        deliveries.c.because,
        deliveries.c.step,
        deliveries.c.resends,
        deliveries.c.sent,
        deliveries.c.lane,
        deliveries.c.waits_for,
    )
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.seq)
    .with_for_update()
)
_last_call = (
    select(
        attempts.c.delivery_id,
        attempts.c.outcome,
        func.row_number()
        .over(partition_by=attempts.c.delivery_id, order_by=(attempts.c.at.desc(), attempts.c.id.desc()))
        .label("back"),
    )
    .join_from(attempts, deliveries, deliveries.c.id == attempts.c.delivery_id)
    .where(
        attempts.c.delivery_id.in_(bindparam("ids", expanding=True)),
        attempts.c.kind == "call",
        attempts.c.step == deliveries.c.step,
    )
    .subquery()
)
_answered = select(_last_call.c.delivery_id).where(
    _last_call.c.back == 1, or_(_last_call.c.outcome == "rejected", _last_call.c.outcome == "review")
)


def _due_now(table: Any, state: str) -> Any:
    """Wake a row. A dead one starts its schedule and its patience anew, a waiting one goes on with both."""
    c = table.c
    # Not `in_`: its list is expanded at execution, which a statement for many rows at once does not allow.
    dead = or_(*(c.state == state for state in ("dead", "unknown", "unreadable")))
    values: dict[str, Any] = {
        "state": state,
        "due_at": bindparam("now"),
        "waits_for": None,
        "because": "",
        "fault": None,
        "deaths": 0,
        "attempts": case((dead, 0), else_=c.attempts),
        "began_at": case((dead, bindparam("now")), else_=c.began_at),
        "updated_at": bindparam("now"),
    }
    if table is deliveries:
        values["parked_at"] = case((dead, None), else_=c.parked_at)
        values["resends"] = c.resends + bindparam("anew")
        values["sent"] = case((bindparam("anew") > 0, False), else_=c.sent)
    return update(table).where(c.id == bindparam("row_id")).values(values)


_wake_event = _due_now(events, "received")
_wake_delivery = _due_now(deliveries, "ready")
_settle = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("row_id"))
    .values(
        state=bindparam("new_state"),
        due_at=bindparam("new_due_at"),
        step=bindparam("new_step"),
        lane=bindparam("new_lane"),
        because=bindparam("new_because"),
        fault=bindparam("new_fault"),
        resends=bindparam("new_resends"),
        sent=False,
        waits_for=None,
        parked_at=None,
        updated_at=bindparam("now"),
    )
)


def _upsert_call(db: Any) -> Any:
    adding = db.insert(calls)
    changed = {"state": adding.excluded.state, "updated_at": adding.excluded.updated_at}
    # The answer that a person looked at stays: the next calls may build on it.
    return adding.on_conflict_do_update(index_elements=["delivery_id", "step"], set_=changed)


_put_call = once(_upsert_call)
_reviewed = (
    update(calls)
    .where(calls.c.delivery_id.in_(bindparam("ids", expanding=True)), calls.c.state == "review")
    .values(state="refused", updated_at=bindparam("now"))
)


class Acting(Store):
    """Carries out what people ask for, with an audit row each. Every method raises `LedgerUnavailable`."""

    def retry(self, ids: Sequence[str], who: str) -> list[str]:
        """Make these events and deliveries due now; the ids of those that could be woken.

        That is what is dead, unknown, unreadable, parked, in conflict or waiting. A dead delivery whose last call was
        rejected, and one that a person reviewed, is sent under a new idempotency key: the target would answer the old
        one as before. What lost its content, by age or because a person was erased, stays as it is.
        """
        if not ids:
            return []
        with self._db.write() as connection:
            tx = Finishing(self._db, connection, self._now())
            return self._retry_events(connection, tx, ids, who) + self._retry_deliveries(connection, tx, ids, who)

    def resolve(self, delivery_id: str, verdict: Verdict, who: str, *, next_lane: str = "") -> bool:
        """Settle what is in doubt or waits for a person: it is done, send it again, or give it up. False: neither.

        `next_lane` is the connection of the route's next call, if it has one: a delivered call leads on to it.
        """
        with self._db.write() as connection:
            tx = Finishing(self._db, connection, self._now())
            row = connection.execute(_seen_deliveries, {"ids": [delivery_id]}).first()
            if row is None or not (row.state == "in_doubt" or (row.state == "parked" and row.waits_for is None)):
                return False
            now = self._now()
            goes_on = verdict == "retry" or (verdict == "delivered" and bool(next_lane))
            state = "ready" if goes_on else "done" if verdict == "delivered" else "dead"
            moves = verdict == "delivered" and bool(next_lane)
            connection.execute(
                _settle,
                {
                    "row_id": delivery_id,
                    "new_state": state,
                    "new_due_at": now if goes_on else None,
                    "new_step": row.step + 1 if moves else row.step,
                    "new_lane": bare(next_lane) if moves else row.lane,
                    "new_because": f"{who} says: {verdict}",
                    "new_fault": _fault(verdict),
                    # Who looked at an answer and says "again" wants another one; in doubt the old key still protects.
                    "new_resends": row.resends + int(verdict == "retry" and row.state == "parked"),
                    "now": now,
                },
            )
            if verdict != "dead":
                call = {"delivery_id": delivery_id, "step": row.step, "connection": row.lane, "operation": ""}
                said: CallState = "delivered" if verdict == "delivered" else "send"
                told = {"idempotency_key": "", "state": said, "answer": "null", "updated_at": now}
                connection.execute(_put_call(self._db), [{**call, **told}])
            tx.audit(who, f"resolve {verdict}", delivery_id, _before(row), {"state": state})
        return True

    def _retry_events(self, connection: Connection, tx: Finishing, ids: Sequence[str], who: str) -> list[str]:
        found = connection.execute(_seen_events, {"ids": list(ids)}).all()
        rows = [row for row in found if row.id not in emptied_events(connection, ids)] if found else []
        if rows:
            now = self._now()
            connection.execute(_wake_event, [{"row_id": row.id, "now": now} for row in rows])
        for row in rows:
            tx.audit(who, "retry", row.id, _before(row), {"state": "received"})
        return [row.id for row in rows]

    def _retry_deliveries(self, connection: Connection, tx: Finishing, ids: Sequence[str], who: str) -> list[str]:
        found = connection.execute(_seen_deliveries, {"ids": list(ids)}).all()
        gone = emptied_deliveries(connection, ids) if found else ()
        rows = [row for row in found if row.state in DELIVERIES_TO_RETRY and row.id not in gone]
        ended = [row.id for row in rows if row.state == "dead" or (row.state == "parked" and row.waits_for is None)]
        rejected = set(connection.scalars(_answered, {"ids": ended})) if ended else set()
        now = self._now()
        woken = [{"row_id": row.id, "anew": int(row.id in rejected), "now": now} for row in rows]
        if woken:
            connection.execute(_wake_delivery, woken)
            connection.execute(_reviewed, {"ids": [row.id for row in rows], "now": now})
        for row in rows:
            after = {"state": "ready", "resends": row.resends + int(row.id in rejected)}
            tx.audit(who, "retry", row.id, {**_before(row), "resends": row.resends}, after)
        return [row.id for row in rows]


def _fault(verdict: Verdict) -> str | None:
    """A delivery that a person gave up was the target's fault as far as anybody knows."""
    return "remote" if verdict == "dead" else None


def _before(row: Any) -> dict[str, str]:
    return {"state": row.state, "because": row.because}
