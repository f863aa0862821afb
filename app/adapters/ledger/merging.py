"""A burst becomes one call: what a newer picture makes needless is ended before it is sent, and says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Connection, bindparam, or_, update

from app.adapters.ledger.schema import deliveries
from app.adapters.ledger.statements import Statement
from app.model import NewDelivery

_UNSENT = ("ready", "parked", "conflict")

_merge = Statement(
    lambda _dialect: (
        update(deliveries)
        .where(
            deliveries.c.order_key == bindparam("key"),
            deliveries.c.route == bindparam("in_route"),
            deliveries.c.part == bindparam("in_part"),
            deliveries.c.due_at.is_not(None),
            or_(*(deliveries.c.state == state for state in _UNSENT)),
            deliveries.c.step == 0,
            ~deliveries.c.sent,
        )
        .values(state="skipped", due_at=None, waits_for=None, because=bindparam("why"), updated_at=bindparam("now"))
        .returning(deliveries.c.began_at)
    )
)


def merge(connection: Connection, adding: Iterable[dict[str, Any]], new: NewDelivery, now: int) -> list[int]:
    """End the deliveries that `new` takes the place of; when each of them began, in milliseconds.

    They are those of the same route, object and part of which nothing was ever sent: in the ledger, and among the rows
    that this transaction is still `adding`. The object must be locked.
    """
    why = f"merged into {new.delivery_id}, which has a newer picture"
    taken: list[int] = []
    for row in adding:
        same = (row["order_key"], row["route"], row["part"]) == (new.order_key, new.route, new.part)
        if same and row["state"] == "ready":
            taken.append(cast(int, row["began_at"]))
            row.update(state="skipped", due_at=None, because=why)
    wanted = {"key": new.order_key, "in_route": new.route, "in_part": new.part, "why": why, "now": now}
    return taken + [row.began_at for row in _merge.rows(connection, wanted)]
