"""After a restore nobody holds what was held when the backup was taken, and the ledger keeps that it was put back.

What may have been done since is not marked row by row: whoever delivers asks for `restores`. See `core.restores`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, case, delete, func, select, text, update

from app.adapters.ledger.columns import from_ms
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.schema import attempts, audit, deliveries, events
from app.adapters.ledger.shared_schema import bridge_answers, lanes, leases, permits, polls
from app.adapters.ledger.store import Store, ahead
from app.core.jsontext import loads
from app.core.restores import Restore
from app.core.times import iso, parse_time

#: What acts on the ledger as a whole are said to be about, in the audit.
LEDGER = "ledger"
_RESTORE, _CAUGHT_UP = "restore", "caught up"


def let_go(connection: Connection, now: int) -> int:
    """Nobody holds anything any more: no work, lease, call or poll; how much work that was.

    What was in hand may have been sent. For when it is known that no process works on the ledger.
    """
    count = 0
    for table, anew in ((events, "received"), (deliveries, "ready")):
        count += int(connection.execute(_let_go(table, anew, now)).rowcount)
    connection.execute(update(polls).where(polls.c.token.is_not(None)).values(token=None, due_at=now, updated_at=now))
    # The call that an open question stands at may have been made since.
    connection.execute(
        update(bridge_answers)
        .where(text("state IN ('running', 'waiting', 'in_doubt')"))
        .values(
            sent=True,
            token=None,
            due_at=None,
            state=case((bridge_answers.c.state == "running", "waiting"), else_=bridge_answers.c.state),
            updated_at=now,
        )
    )
    for table in (leases, permits):
        connection.execute(delete(table))
    connection.execute(update(lanes).where(lanes.c.trial_until.is_not(None)).values(trial_until=None))
    return count


def _let_go(table: Table, anew: str, now: int) -> Any:
    c = table.c
    before = case((c.claimed_from.is_(None), anew), (c.claimed_from == "running", anew), else_=c.claimed_from)
    values: dict[str, Any] = {"state": before, "due_at": now, "token": None, "updated_at": now}
    if table is deliveries:
        values["sent"] = True
    return update(table).where(c.token.is_not(None)).values(values)


class Restoring(Store):
    """What is done with a ledger that was put back. Every method raises `LedgerUnavailable`."""

    def mark_restored(self, who: str, wary_s: float) -> Restore:
        """Keep that the ledger was put back now: calls made since its last row are not in it.

        For `wary_s` from now a delivery that is made anew counts as one that may have been sent before. No process may
        work on the ledger.
        """
        with self._db.write() as connection:
            now = self._now()
            knew = _newest(connection)
            let_go(connection, now)
            restore = Restore(None if knew is None else from_ms(knew), from_ms(now), from_ms(ahead(now, wary_s)))
            told = {"knew_until": restore.knew_until and iso(restore.knew_until)}
            after = {"wary_until": iso(restore.wary_until)}
            Finishing(self._db, connection, now).audit(who, _RESTORE, LEDGER, told, after)
        return restore

    def caught_up(self, who: str) -> bool:
        """A person says that all sources have told anew what they told before the restore; False when none waits."""
        now = self._clock.now()
        if not any(restore.wary_until > now for restore in self.restores()):
            return False
        with self._db.write() as connection:
            Finishing(self._db, connection, self._now()).audit(who, _CAUGHT_UP, LEDGER, {}, {"wary_until": iso(now)})
        return True

    def restores(self) -> list[Restore]:
        """Each time that the ledger was put back, the oldest first."""
        told = select(audit.c.at, audit.c.act, audit.c.before, audit.c.after).where(audit.c.target == LEDGER)
        with self._db.read() as connection:
            rows = connection.execute(told.order_by(audit.c.seq)).all()
        found: list[Restore] = []
        for row in rows:
            at = from_ms(row.at)
            if row.act == _RESTORE:
                knew = loads(row.before)["knew_until"]
                wary = parse_time(loads(row.after)["wary_until"])
                found.append(Restore(parse_time(knew) if knew else None, at, wary))
            elif row.act == _CAUGHT_UP:
                found = [Restore(one.knew_until, one.at, min(one.wary_until, at)) for one in found]
        return found

    def open_steps(self) -> Iterator[tuple[str, int, str, int]]:
        """(route, step, state, how many) of the deliveries that have not ended."""
        columns = (deliveries.c.route, deliveries.c.step, deliveries.c.state)
        counted = select(*columns, func.count()).where(deliveries.c.due_at.is_not(None)).group_by(*columns)
        with self._db.read() as connection:
            rows = connection.execute(counted.order_by(*columns)).all()
        yield from ((row[0], row[1], row[2], int(row[3])) for row in rows)

    def open_events(self) -> int:
        """How many events have not been read to their end."""
        with self._db.read() as connection:
            return connection.scalar(select(func.count()).where(events.c.due_at.is_not(None))) or 0


def _newest(connection: Connection) -> int | None:
    """When the last thing happened that the ledger knows of, as far as is quickly told."""
    lasts: tuple[tuple[Table, Any], ...] = (
        (events, events.c.received_at),
        (attempts, attempts.c.at),
        (audit, audit.c.at),
    )
    found = [connection.scalar(select(at).order_by(table.c.seq.desc()).limit(1)) for table, at in lasts]
    times = [at for at in found if at is not None]
    return max(times, default=None)


def known_until(moment: datetime | None) -> str:
    """When the last thing happened that a ledger knows of, for people."""
    return "it is empty" if moment is None else iso(moment)
