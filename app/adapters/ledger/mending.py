"""After the clock was put back, what is due lies too far ahead: rows from a time that is still to come are mended.

Nobody has to know of the jump: a row that was written later than now was written before it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, Table, and_, bindparam, case, literal, or_, select, text, update

from app.adapters.ledger.columns import to_ms
from app.adapters.ledger.schema import deliveries, events
from app.adapters.ledger.shared_schema import bridge_answers, lanes, polls
from app.adapters.ledger.statements import Statement
from app.adapters.ledger.store import Store, ahead

#: Clocks of several machines differ a little; in seconds.
_MARGIN_S = 5.0

_now = bindparam("now", type_=BigInteger)
_later = bindparam("later", type_=BigInteger)
_lease_end = bindparam("lease_end", type_=BigInteger)


def _waits(table: Table) -> Any:
    """What waits goes on to wait for as long as it was to wait when that was written."""
    left = table.c.due_at - table.c.updated_at
    return case((left > 0, _now + left), else_=_now)


def _of(table: Table, held: Any) -> Any:
    return (
        update(table)
        # No lease that was renewed by this time ends later than a lease from now.
        .where(
            table.c.due_at.is_not(None),
            or_(table.c.updated_at > _later, and_(held, table.c.due_at > _lease_end + round(_MARGIN_S * 1000))),
        )
        .values(due_at=case((held, _lease_end), else_=_waits(table)), updated_at=_now)
    )


_mend = (
    _of(events, events.c.state == "running"),
    _of(deliveries, deliveries.c.state == "running"),
    _of(polls, polls.c.token.is_not(None)),
    # Their state is written out: a partial index is found only by what is written in the statement.
    update(bridge_answers)
    .where(text("state IN ('running', 'waiting', 'in_doubt')"), bridge_answers.c.updated_at > _later)
    .values(
        due_at=case((bridge_answers.c.state == "running", _lease_end), else_=bridge_answers.c.due_at), updated_at=_now
    ),
    update(lanes)
    .where(lanes.c.open_until.is_not(None), lanes.c.shut_at > _later)
    .values(open_until=lanes.c.open_until - lanes.c.shut_at + _now, shut_at=_now),
    # A trial is one call, which ends before a lease does.
    update(lanes).where(lanes.c.trial_until > _lease_end + _MARGIN_S * 2000).values(trial_until=_now),
)


def _freed(table: Table) -> Any:
    """What waits for a connection that may be called: it was told a time that the connection has forgotten since."""
    shut = or_(lanes.c.paused, lanes.c.open_until > _now, lanes.c.trial_until > _now)
    names = select(literal("connection:") + lanes.c.connection).where(shut)
    waits = and_(table.c.waits_for.startswith("connection:", autoescape=True), table.c.waits_for.not_in(names))
    return (
        update(table)
        .where(table.c.due_at > _later, table.c.state != "running", waits)
        .values(due_at=_now, waits_for=None, updated_at=_now)
    )


def _same(change: Any, _dialect: str) -> Any:
    return change


_free = (_freed(events), _freed(deliveries))
# The last when the lanes are right again.
_mend_all = [Statement(partial(_same, change)) for change in (*_mend, *_free)]


def after_jump(due_at: int, told_at: datetime | None, claimed_at: int, now: int) -> int:
    """When work is due that was in hand while the clock was put back; all but `told_at` in milliseconds.

    `due_at` was said later than now, so before the jump: it waits for as long as was meant then, or a moment longer.
    Where nobody knows when that was, it may have been when the work was claimed.
    """
    said_at = claimed_at if told_at is None else to_ms(told_at)
    if said_at <= ahead(now, _MARGIN_S) or (told_at is None and due_at < claimed_at):
        return due_at
    return max(now, now + due_at - said_at)


class Mending(Store):
    """Every method raises `LedgerUnavailable`."""

    def mend_times(self, lease_s: float) -> int:
        """Bring forward what was written by a clock that has been put back since; how many rows that was.

        What somebody has in hand is his for another `lease_s`; what waits begins its wait anew.
        """
        now = self._now()
        wanted = {"now": now, "later": ahead(now, _MARGIN_S), "lease_end": ahead(now, lease_s)}
        with self._db.write() as connection:
            return sum(one.change(connection, wanted) for one in _mend_all)
