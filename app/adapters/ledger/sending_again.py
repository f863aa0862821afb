"""What is done is sent again because the world undid it: said by a person, under a new idempotency key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from app.adapters.ledger.emptied import emptied_deliveries
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.schema import calls, deliveries
from app.adapters.ledger.store import Store

_done = (
    select(*(deliveries.c[name] for name in ("id", "state", "because", "resends", "lane", "step")))
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.state == "done")
    .order_by(deliveries.c.seq)
    .with_for_update()
)
_calls = select(calls.c.delivery_id, calls.c.step, calls.c.state, calls.c.connection).where(
    calls.c.delivery_id.in_(bindparam("ids", expanding=True))
)
# As new, but for its place in the line: what came after it and is not over waits for it again.
_begin = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("row_id"))
    .values(
        state="ready",
        due_at=bindparam("now"),
        step=0,
        lane=bindparam("first_lane"),
        resends=deliveries.c.resends + 1,
        sent=False,
        attempts=0,
        deaths=0,
        because="",
        fault=None,
        waits_for=None,
        parked_at=None,
        began_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)
_put_back = (
    update(calls)
    .where(calls.c.delivery_id == bindparam("of"), calls.c.step == bindparam("at_step"))
    .values(state=bindparam("new_state"), updated_at=bindparam("now"))
)


class SendingAgain(Store):
    """Carries out what people ask for. Every method raises `LedgerUnavailable`."""

    def send_again(self, ids: Sequence[str], who: str, why: str, call: int | None = None) -> list[str]:
        """Carry out these deliveries once more; the ids of those that were done, and whose contents are still there.

        They begin again at their first call. Made once more, under new idempotency keys, is the last call that they
        made, or with `call` (counted from 1) that one and all after it. Of those before it only what reads is made
        anew: what changed something stands. A delivery that did not make `call` is left as it is.
        """
        if not ids:
            return []
        with self._db.write() as connection:
            tx = Finishing(self._db, connection, self._now())
            made: dict[str, dict[int, Any]] = {}
            for row in connection.execute(_calls, {"ids": list(ids)}):
                made.setdefault(row.delivery_id, {})[row.step] = row
            gone = emptied_deliveries(connection, ids)
            done = [row for row in connection.execute(_done, {"ids": list(ids)}).all() if row.id not in gone]
            return [row.id for row in done if self._begin(connection, tx, row, made.get(row.id, {}), who, why, call)]

    def _begin(
        self,
        connection: Connection,
        tx: Finishing,
        row: Any,
        made: Mapping[int, Any],
        who: str,
        why: str,
        call: int | None,
    ) -> bool:
        delivered = [step for step, one in made.items() if one.state == "delivered"]
        if call is not None and call - 1 not in delivered:
            return False
        first = call - 1 if call is not None else max(delivered, default=row.step)
        now = self._now()
        lane = made[0].connection if 0 in made else row.lane
        connection.execute(_begin, {"row_id": row.id, "first_lane": lane, "now": now})
        for step in delivered:
            state = "undone" if step >= first else "made"
            connection.execute(_put_back, {"of": row.id, "at_step": step, "new_state": state, "now": now})
        before = {"state": row.state, "because": row.because, "resends": row.resends}
        after = {"state": "ready", "resends": row.resends + 1, "call": first + 1, "why": why}
        tx.audit(who, "send again", row.id, before, after)
        return True
