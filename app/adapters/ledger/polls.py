"""Polls: where each one stands, and who reads now. One worker at a time, under a lease and a token."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, update

from app.adapters.ledger.claims import DEADLY
from app.adapters.ledger.columns import from_ms, to_ms
from app.adapters.ledger.engine import once
from app.adapters.ledger.mending import after_jump
from app.adapters.ledger.schema import changes, documents, events
from app.adapters.ledger.shared_schema import polls
from app.adapters.ledger.statements import Statement, among
from app.adapters.ledger.store import Store, ahead
from app.adapters.ledger.transaction import Writing
from app.core.polls import PollFinish, PollKey, PollState, PollWork

#: A poll that has taken down so many workers in a row is left alone for so long, in seconds.
_SET_ASIDE_S = 3600.0
_BECAUSE = f"its worker died {DEADLY} times: something in the list ends the process; look into the log"
_NEW = {"attempts": 0, "deaths": 0, "found": 0, "brought": 0, "because": ""}

_this = and_(polls.c.connection == bindparam("of"), polls.c.name == bindparam("named"))
_held = and_(_this, polls.c.token == bindparam("holder"))
_insert = once(lambda db: db.insert(polls).on_conflict_do_nothing())
_all = select(polls).order_by(polls.c.connection, polls.c.name)
_one = select(polls).where(_this).with_for_update()
_change = update(polls).where(_this)
_due = (
    select(polls)
    .where(
        polls.c.connection == bindparam("of"),
        polls.c.active,
        polls.c.due_at <= bindparam("now"),
        or_(polls.c.token.is_(None), polls.c.due_at <= bindparam("lapsed")),
    )
    .order_by(polls.c.due_at, polls.c.name)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_effects = Statement(
    lambda dialect: (
        select(events.c.id, events.c.state, func.count(changes.c.seq).label("changes"))
        .join_from(events, documents, documents.c.id == events.c.document_id, isouter=True)
        .join(
            changes,
            # The document's id alone is in no index.
            and_(
                changes.c.document_id == documents.c.id,
                *(changes.c[name] == documents.c[name] for name in ("kind", "connection", "object_id")),
            ),
            isouter=True,
        )
        .where(among(dialect, events.c.id, "ids"))
        .group_by(events.c.id, events.c.state)
    )
)


class PollWriting(Writing):
    """The part of a transaction that writes what became of claimed polls."""

    def finish_polls(self, token: str, finishes: Sequence[PollFinish]) -> set[PollKey]:
        """Write what became of claimed polls; the keys of those that the token still held."""
        held = set()
        for finish in sorted(finishes, key=lambda one: str(one.key)):
            row = self._connection.execute(_one, _named(finish.key)).first()
            if row is not None and row.token == token:
                held.add(finish.key)
                self._connection.execute(_change.values(self._finished(finish, row)), _named(finish.key))
        return held

    def _finished(self, finish: PollFinish, row: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "due_at": after_jump(to_ms(finish.due_at), finish.told_at, row.updated_at, self._now),
            "token": None,
            "deaths": 0,
            "attempts": 0 if finish.good else row.attempts - (not finish.counted),
            "fault": finish.fault,
            "because": finish.because,
            "found": row.found + finish.found,
            "brought": row.brought + finish.new,
            "updated_at": self._now,
        }
        # It never goes back, but for one that a clock set which has been put back since.
        known = row.cursor_ms or 0
        if finish.cursor is not None and (to_ms(finish.cursor) >= known or known > self._now):
            values["cursor_ms"] = to_ms(finish.cursor)
            values["read_at"] = None if finish.read_at is None else to_ms(finish.read_at)
        if finish.good:
            values["good_at"] = self._now
        return values


class Polling(Store):
    """Every method raises `LedgerUnavailable`."""

    def keep_polls(self, on: Mapping[PollKey, float]) -> None:
        """These polls are on, each with how often it looks in seconds; all others are off from now.

        One that is new or was off is due at once.
        """
        now = self._now()
        with self._db.write() as db:
            known = {PollKey(row.connection, row.name): row for row in db.execute(_all.with_for_update())}
            for key in sorted(known.keys() - on.keys(), key=str):
                db.execute(_change.values(active=False), _named(key))
            for key in sorted(on, key=str):
                row = known.get(key)
                latest = now if row is None or not row.active else ahead(now, on[key])
                if row is None:
                    self._make(db, key, active=True)
                elif row.token is None:
                    db.execute(_change.values(active=True, due_at=min(row.due_at, latest)), _named(key))
                else:
                    # Somebody reads it now, or died of it: its due_at is the end of that lease.
                    db.execute(_change.values(active=True), _named(key))

    def claim_polls(self, connection: str, limit: int, lease_s: float, token: str) -> list[PollWork]:
        """Take up to `limit` due polls of a connection, now held by the token until the lease ends."""
        now, claimed = self._now(), []
        with self._db.write() as db:
            wanted = {"of": connection, "now": now, "lapsed": self._lapsed(now, lease_s), "most": limit}
            for row in db.execute(_due, wanted).all():
                if row.token is not None and row.deaths + 1 >= DEADLY:
                    aside = {"token": None, "deaths": 0, "due_at": ahead(now, _SET_ASIDE_S), "updated_at": now}
                    change = _change.values(**aside, because=_BECAUSE, fault="data")
                    db.execute(change, _named(PollKey(row.connection, row.name)))
                else:
                    claimed.append(_claim(db, row, now, lease_s, token))
        return claimed

    def claim_poll(self, key: PollKey, lease_s: float, token: str) -> PollWork | None:
        """Take this poll, due or not, on or off; None while somebody else holds it."""
        now = self._now()
        with self._db.write() as db:
            self._make(db, key, active=False)
            row = db.execute(_one, _named(key)).one()
            held = row.token is not None and row.due_at > self._lapsed(now, lease_s)
            return None if held else _claim(db, row, now, lease_s, token)

    def renew_polls(self, token: str, lease_s: float) -> int:
        """Move the end of the lease of all polls that the token still holds; how many that is."""
        change = update(polls).where(polls.c.token == bindparam("holder"))
        with self._db.write() as db:
            return db.execute(change.values(due_at=ahead(self._now(), lease_s)), {"holder": token}).rowcount

    def hand_back_polls(self, token: str, keys: Collection[PollKey]) -> int:
        """Give back what was claimed and not begun, as if it had not been claimed; how many that was."""
        now = self._now()
        back = update(polls).where(_held).values(token=None, due_at=now, attempts=polls.c.attempts - 1, updated_at=now)
        with self._db.write() as db:
            return sum(db.execute(back, {**_named(key), "holder": token}).rowcount for key in sorted(keys, key=str))

    def polls(self) -> list[PollState]:
        """Where every poll stands that was ever on or run by hand."""
        now = self._now()
        with self._db.read() as db:
            return [_state(row, now) for row in db.execute(_all)]

    def effects(self, event_ids: Collection[str]) -> dict[str, tuple[str, int]]:
        """What became of events: the state of each, and how many changes its document brought."""
        with self._db.read() as db:
            return {row.id: (row.state, int(row.changes)) for row in _effects.rows(db, {"ids": list(event_ids)})}

    def _make(self, db: Any, key: PollKey, *, active: bool) -> None:
        """The poll's row, due now, unless it is there."""
        now = self._now()
        row = {"connection": key.connection, "name": key.name, "active": active, "due_at": now, **_NEW}
        db.execute(_insert(self._db), [{**row, "created_at": now, "updated_at": now}])


def _claim(db: Any, row: Any, now: int, lease_s: float, token: str) -> PollWork:
    key = PollKey(row.connection, row.name)
    held = {"token": token, "due_at": ahead(now, lease_s), "updated_at": now}
    # Counted before the work: whoever held it and was not heard of again died of it.
    counts = {"attempts": row.attempts + 1, "deaths": row.deaths + (row.token is not None)}
    db.execute(_change.values(**held, **counts), _named(key))
    return PollWork(key, _moment(row.cursor_ms), _moment(row.read_at), row.attempts + 1)


def _named(key: PollKey) -> dict[str, str]:
    return {"of": key.connection, "named": key.name}


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)


def _state(row: Any, now: int) -> PollState:
    running = row.token is not None and row.due_at > now
    return PollState(
        key=PollKey(row.connection, row.name),
        on=bool(row.active),
        running=running,
        due_at=from_ms(row.due_at) if row.active else None,
        cursor=_moment(row.cursor_ms),
        good_at=_moment(row.good_at),
        since=from_ms(row.created_at),
        failures=max(0, row.attempts - running),
        because=row.because,
        fault=row.fault,
        found=row.found,
        new=row.brought,
    )
