"""Receipts become events, once per vendor's id; what was turned away at the door is kept in a bounded log."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from app.adapters.ledger.columns import bounded, from_ms, to_ms
from app.adapters.ledger.engine import once
from app.adapters.ledger.schema import events
from app.adapters.ledger.shared_schema import rejections
from app.adapters.ledger.store import Store
from app.core.jsontext import dump_text
from app.model import FINAL_EVENT_STATES, Receipt, Received, Rejection

REJECTIONS_KEPT = 1000

_insert = once(lambda db: db.insert(events).on_conflict_do_nothing().execution_options(preserve_rowcount=True))
_kept = select(events.c.id, events.c.connection, events.c.vendor_id).where(
    events.c.connection.in_(bindparam("connections", expanding=True)),
    events.c.vendor_id.in_(bindparam("vendor_ids", expanding=True)),
)
_too_old = delete(rejections).where(
    rejections.c.seq
    <= select(rejections.c.seq).order_by(rejections.c.seq.desc()).offset(REJECTIONS_KEPT).limit(1).scalar_subquery()
)


class Receiving(Store):
    """Takes in what comes through the door."""

    def receive(self, receipts: Sequence[Receipt]) -> list[Received]:
        """Keep these messages in one transaction; the answers come in the order of the receipts.

        A message whose vendor id is known for its connection, from before or from the same batch, is a duplicate:
        nothing is written and the answer names the first. Raises `LedgerUnavailable`: nothing was kept then.
        """
        if not receipts:
            return []
        now = self._now()
        # One order in all processes, so that two batches with the same messages cannot wait for each other.
        rows = [_row(receipt, now) for receipt in sorted(receipts, key=_key)]
        with self._db.write() as connection:
            written = connection.execute(_insert(self._db), rows).rowcount
            first = {} if written == len(rows) else _first(connection, receipts)
        ids = [first.get(_key(receipt), receipt.event_id) for receipt in receipts]
        return [Received(id_, id_ != receipt.event_id) for id_, receipt in zip(ids, receipts, strict=True)]

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
            return connection.scalar(select(events.c.body).where(events.c.id == event_id))


def _key(receipt: Receipt) -> tuple[str, str]:
    return receipt.connection, bounded(receipt.vendor_id)


def _first(connection: Connection, receipts: Sequence[Receipt]) -> dict[tuple[str, str], str]:
    keys = {_key(receipt) for receipt in receipts}
    wanted = {"connections": sorted({key[0] for key in keys}), "vendor_ids": sorted({key[1] for key in keys})}
    return {(row.connection, row.vendor_id): row.id for row in connection.execute(_kept, wanted)}


def _row(receipt: Receipt, now: int) -> dict[str, object]:
    return {
        "id": receipt.event_id,
        "connection": receipt.connection,
        "state": receipt.state,
        "due_at": None if receipt.state in FINAL_EVENT_STATES else now,
        "attempts": 0,
        "deaths": 0,
        "because": receipt.because,
        "received_at": to_ms(receipt.received_at),
        "began_at": now,
        "updated_at": now,
        "vendor_id": receipt.vendor_id,
        "type": receipt.type,
        "headers": dump_text(dict(receipt.headers)),
        "body": receipt.body,
    }
