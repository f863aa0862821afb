"""Lanes: may a connection be called now, how fast, and by how many at a time. Shared by all processes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, update

from app.adapters.ledger.columns import from_ms, to_ms
from app.adapters.ledger.engine import once
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.schema import deliveries, events
from app.adapters.ledger.shared_schema import lanes, permits
from app.adapters.ledger.store import Store, ahead
from app.core.lane_state import LaneState

#: A bucket holds what flows in this long: little, so that no second sees much more than its share.
BURST_S = 0.2
#: So much the clocks of two machines may differ, in seconds.
_MARGIN_S = 5.0

_one = select(lanes).where(lanes.c.connection == bindparam("name"))
_locked = _one.with_for_update()
_new_row = {"paused": False, "because": "", "failures": 0, "opened_times": 0}
_insert = once(lambda db: db.insert(lanes).on_conflict_do_nothing())
_update = update(lanes).where(lanes.c.connection == bindparam("name"))
_trial = (
    update(lanes)
    .where(
        lanes.c.connection == bindparam("name"),
        ~lanes.c.paused,
        lanes.c.open_until <= bindparam("now"),
        or_(lanes.c.trial_until.is_(None), lanes.c.trial_until <= bindparam("now")),
    )
    .values(trial_until=bindparam("until"))
)
_free = [
    update(table)
    .where(and_(table.c.waits_for == bindparam("wanted"), table.c.due_at.is_not(None), table.c.state != "running"))
    .values(due_at=bindparam("now"), waits_for=None, updated_at=bindparam("now"))
    for table in (events, deliveries)
]


class Lanes(Store):
    """The gates of the connections. Every method raises `LedgerUnavailable`."""

    def lane_state(self, connection: str) -> LaneState:
        """Whether the connection may be called; one never heard of may."""
        with self._db.read() as db:
            row = db.execute(_one, {"name": connection}).first()
        return LaneState(connection) if row is None else _state(row)

    def lanes(self) -> list[LaneState]:
        """Every connection that was ever called, paused or limited."""
        with self._db.read() as db:
            return [_state(row) for row in db.execute(select(lanes).order_by(lanes.c.connection))]

    def pause(self, connection: str, because: str, who: str) -> None:
        """Stop calling a connection until somebody resumes it. Pausing what is paused changes nothing."""
        with self._db.write() as db:
            row = self._lock(db, connection)
            if not row.paused:
                db.execute(_update.values(paused=True, because=because), {"name": connection})
                self._audit(db, who, "pause", connection, {"paused": False}, {"paused": True, "because": because})

    def resume(self, connection: str, who: str) -> None:
        """Call a connection again: its breaker is closed too, and what waited for it is due now."""
        with self._db.write() as db:
            row = self._lock(db, connection)
            shut = {"paused": row.paused, "because": row.because}
            closed = {"failures": 0, "open_until": None, "opened_times": 0, "trial_until": None}
            db.execute(_update.values(paused=False, because="", **closed), {"name": connection})
            self._release(db, connection)
            self._audit(db, who, "resume", connection, shut, {"paused": False})

    def save_lane(self, state: LaneState, before: LaneState | None = None) -> None:
        """Keep what the breaker says. Pausing is not its business: that is for `pause` and `resume`.

        What is as it was `before`, when it was read, is left as others made it since. A trial is over with it; when it
        closes the breaker, what waited for the connection is due now.
        """
        with self._db.write() as db:
            row = self._lock(db, state.connection)
            of = ("because", "failures", "open_until", "opened_times")
            said = {name: getattr(state, name) for name in of}
            values = {name: value for name, value in said.items() if before is None or value != getattr(before, name)}
            if row.paused:
                values.pop("because", None)
            if "open_until" in values:
                until = values["open_until"]
                values |= {"open_until": None if until is None else to_ms(until), "shut_at": self._now()}
            db.execute(_update.values(values | {"trial_until": None}), {"name": state.connection})
            if row.open_until is not None and values.get("open_until", row.open_until) is None:
                self._release(db, state.connection)

    def take_trial(self, connection: str, lease_s: float) -> bool:
        """Whether the caller may make the one call that tries whether an open breaker can close.

        True for one caller at a time: the next one after `save_lane`, or after `lease_s` if it never comes.
        """
        now = self._now()
        with self._db.write() as db:
            taken = db.execute(_trial, {"name": connection, "now": now, "until": ahead(now, lease_s)})
            return taken.rowcount == 1

    def take_tokens(self, connection: str, rate_per_s: float, want: int) -> tuple[int, float]:
        """Up to `want` calls from the connection's bucket, which fills with `rate_per_s`.

        The second value is how many seconds to wait for the next one; 0 when all that was wanted was there.
        """
        full = max(1.0, rate_per_s * BURST_S)
        with self._db.write() as db:
            row = self._lock(db, connection)
            now = self._now()
            # A clock that was put back must not dry the bucket up until it has caught up again.
            past = max(0, now - row.tokens_at) / 1000 if row.tokens_at is not None else 0.0
            have = full if row.tokens is None else min(full, row.tokens + past * rate_per_s)
            got = max(0, min(want, int(have + 1e-9)))
            have -= got
            db.execute(_update.values(tokens=have, tokens_at=now), {"name": connection})
        return got, 0.0 if got == want else max(0.0, 1.0 - have) / rate_per_s

    def take_permits(self, connection: str, holder: str, cap: int, want: int, lease_s: float) -> int:
        """How many calls at a time the holder may have under way: `want`, or what the others leave of `cap`.

        Replaces what it held before; ends by itself after `lease_s`.
        """
        with self._db.write() as db:
            self._lock(db, connection)
            now = self._now()
            mine = and_(permits.c.connection == connection, permits.c.holder == holder)
            # One that ends later than any could that is taken now is of a clock that has been put back since.
            over = or_(permits.c.until <= now, permits.c.until > ahead(now, lease_s + _MARGIN_S))
            lapsed = and_(permits.c.connection == connection, over)
            db.execute(delete(permits).where(or_(mine, lapsed)))
            taken = db.scalar(select(func.sum(permits.c.count)).where(permits.c.connection == connection)) or 0
            got = max(0, min(want, cap - int(taken)))
            if got:
                row = {"connection": connection, "holder": holder, "count": got, "until": ahead(now, lease_s)}
                db.execute(self._db.insert(permits), [row])
        return got

    def release_permits(self, connection: str, holder: str) -> None:
        """Give up what `take_permits` gave."""
        with self._db.write() as db:
            db.execute(delete(permits).where(permits.c.connection == connection, permits.c.holder == holder))

    def _lock(self, db: Connection, connection: str) -> Any:
        """The lane's row, made if need be, and nobody else's until the end of the transaction."""
        row = db.execute(_locked, {"name": connection}).first()
        if row is None:
            db.execute(_insert(self._db), [{"connection": connection, **_new_row}])
            row = db.execute(_locked, {"name": connection}).one()
        return row

    def _release(self, db: Connection, connection: str) -> None:
        wanted = f"connection:{connection}"
        tx = Finishing(self._db, db, self._now())
        # Against a finish that is about to wait for this: either it sees `freed_at`, or it is seen here.
        tx.lock_objects([("reference", wanted, "")])
        now = self._now()
        db.execute(_update.values(freed_at=now), {"name": connection})
        for statement in _free:
            db.execute(statement, {"wanted": wanted, "now": now})

    def _audit(self, db: Connection, who: str, act: str, connection: str, before: Any, after: Any) -> None:
        Finishing(self._db, db, self._now()).audit(who, act, f"connection:{connection}", before, after)


def _state(row: Any) -> LaneState:
    return LaneState(
        connection=row.connection,
        paused=row.paused,
        because=row.because,
        failures=row.failures,
        open_until=None if row.open_until is None else from_ms(row.open_until),
        opened_times=row.opened_times,
    )
