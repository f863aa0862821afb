"""Receipts become events, once per vendor's id; what was turned away at the door is kept in a bounded log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, delete, insert, select, text

from app.adapters.ledger.columns import bounded, clean, from_ms, to_ms
from app.adapters.ledger.schema import event_bodies, events
from app.adapters.ledger.shared_schema import rejections
from app.adapters.ledger.statements import Statement, insert_many
from app.adapters.ledger.store import Store
from app.core.jsontext import dump_text
from app.model import FINAL_EVENT_STATES, Json, Receipt, Received, Rejection

REJECTIONS_KEPT = 1000


_insert = insert_many(
    events,
    (
        *("id", "connection", "state", "due_at", "attempts", "deaths", "because", "received_at", "began_at"),
        *("updated_at", "vendor_id", "type"),
    ),
    lambda adding: adding.on_conflict_do_nothing(),
)


def _insert_bodies(dialect: str) -> TextClause:
    """The bodies of what was kept, behind each other in one value: JSON holds no bytes.

    While SQLite or PostgreSQL carries it out, the threads of the requests can run; row by row they would take turns
    with it at each row.
    """
    rows = "json_each(:rows)" if dialect == "sqlite" else "json_array_elements(CAST(:rows AS json))"
    return text(
        "INSERT INTO event_bodies (seq, headers, body) SELECT events.seq, row.value ->> 1,"
        " substr(:bodies, CAST(row.value ->> 2 AS INTEGER), CAST(row.value ->> 3 AS INTEGER))"
        f" FROM {rows} AS row JOIN events ON events.id = row.value ->> 0"
        " WHERE true ON CONFLICT DO NOTHING"
    )


_keep_bodies = Statement(_insert_bodies)
_kept = select(events.c.id, events.c.connection, events.c.vendor_id).where(
    events.c.connection.in_(bindparam("connections", expanding=True)),
    events.c.vendor_id.in_(bindparam("vendor_ids", expanding=True)),
)
_body = (
    select(event_bodies.c.body)
    .join_from(events, event_bodies, event_bodies.c.seq == events.c.seq)
    .where(events.c.id == bindparam("wanted"))
)
_too_old = delete(rejections).where(
    rejections.c.seq
    <= select(rejections.c.seq).order_by(rejections.c.seq.desc()).offset(REJECTIONS_KEPT).limit(1).scalar_subquery()
)


class Receiving(Store):
    """Takes in what comes through the door."""

    def receive(
        self, receipts: Sequence[Receipt], more: Callable[[], Sequence[Receipt]] | None = None
    ) -> list[Received]:
        """Keep these messages in one transaction; the answers come in the order of the receipts.

        `more` is asked once the ledger may be written, maybe after others: what it gives is kept
        with them, and answered behind them. A message whose vendor id is known for its connection, from before or from
        the same batch, is a duplicate: nothing is written and the answer names the first. Raises `LedgerUnavailable`:
        nothing was kept then.
        """
        if not receipts and more is None:
            return []
        with self._db.write() as connection:
            if more is not None:
                receipts = [*receipts, *more()]
            return self._take_in(connection, receipts)

    def _take_in(self, connection: Connection, receipts: Sequence[Receipt]) -> list[Received]:
        now = self._now()
        # One order in all processes, so that two batches with the same messages cannot wait for each other.
        keyed = sorted((receipt.connection, bounded(receipt.vendor_id), at) for at, receipt in enumerate(receipts))
        ordered = [receipts[at] for _, _, at in keyed]
        rows = [_row(one, key[1], now) for one, key in zip(ordered, keyed, strict=True)]
        parts: list[Json] = []
        begin = 1
        for one in ordered:
            parts.append([one.event_id, clean(dump_text(dict(one.headers))), begin, len(one.body)])
            begin += len(one.body)
        # SQLite takes a part of nothing for NULL: behind the bodies something follows.
        bodies = {"rows": dump_text(parts), "bodies": b"".join([*(one.body for one in ordered), b"\0"])}
        _insert.run(connection, rows)
        if _keep_bodies.change(connection, bodies) == len(rows):
            return [Received(receipt.event_id, False) for receipt in receipts]
        first = _first(connection, {key[:2] for key in keyed})
        ids = {at: first[kept, vendor_id] for kept, vendor_id, at in keyed}
        return [Received(ids[at], ids[at] != receipt.event_id) for at, receipt in enumerate(receipts)]

    def reject(self, turned_away: Sequence[Rejection]) -> None:
        """Keep that these requests were turned away; the newest 1,000 stay. Raises `LedgerUnavailable`."""
        if not turned_away:
            return
        rows = [{"at": to_ms(one.at), "connection": one.connection, "cause": one.cause} for one in turned_away]
        with self._db.write() as connection:
            connection.execute(insert(rejections), rows)
            connection.execute(_too_old)

    def rejections(self, limit: int = 100) -> list[Rejection]:
        """What was turned away, newest first."""
        query = select(rejections).order_by(rejections.c.seq.desc()).limit(limit)
        with self._db.read() as connection:
            return [Rejection(from_ms(row.at), row.connection, row.cause) for row in connection.execute(query)]

    def event_body(self, event_id: str) -> bytes | None:
        """A message byte for byte as it came; None when there is no such event."""
        with self._db.read() as connection:
            return connection.scalar(_body, {"wanted": event_id})


def _first(connection: Connection, keys: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The ids under which the messages with these keys are kept."""
    wanted = {"connections": sorted({key[0] for key in keys}), "vendor_ids": sorted({key[1] for key in keys})}
    return {(row.connection, row.vendor_id): row.id for row in connection.execute(_kept, wanted)}


def _row(receipt: Receipt, vendor_id: str, now: int) -> tuple[Any, ...]:
    due_at = None if receipt.state in FINAL_EVENT_STATES else now
    state = (receipt.event_id, receipt.connection, receipt.state, due_at, 0, 0, receipt.because)
    return (*state, to_ms(receipt.received_at), now, now, vendor_id, receipt.type)
