"""Finishes: what became of claimed work. A token that no longer holds a row changes nothing of it.

The tries that a late worker made are kept all the same: they happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, case, select, update

from app.adapters.ledger.columns import bounded, to_ms
from app.adapters.ledger.mending import after_jump
from app.adapters.ledger.references import ReferenceWriting
from app.adapters.ledger.rows import ATTEMPT, from_attempt
from app.adapters.ledger.schema import attempts, calls, deliveries, documents, events
from app.adapters.ledger.shared_schema import lanes
from app.adapters.ledger.statements import Given, Many, Statement, among, insert_many
from app.adapters.ledger.store import bare
from app.core.jsontext import dump_text
from app.model import Attempt, DeliveryFinish, EventFinish

_CONNECTION = "connection:"

_held_events = Statement(
    lambda dialect: (
        select(events.c.id, events.c.claimed_at)
        .where(among(dialect, events.c.id, "ids"), events.c.token == bindparam("holder"), events.c.state == "running")
        .order_by(events.c.seq)
        .with_for_update()
    )
)
_held_deliveries = Statement(
    lambda dialect: (
        select(
            *(deliveries.c[name] for name in ("id", "claimed_at", "step", "lane", "sent", "parked_at", "resends")),
            *(documents.c[name] for name in ("kind", "connection", "object_id")),
        )
        .join_from(deliveries, documents, documents.c.id == deliveries.c.document_id)
        .where(
            among(dialect, deliveries.c.id, "ids"),
            deliveries.c.token == bindparam("holder"),
            deliveries.c.state == "running",
        )
        .order_by(deliveries.c.seq)
        .with_for_update(of=deliveries)
    )
)
_freed_since = Statement(
    lambda dialect: select(lanes.c.connection, lanes.c.freed_at).where(
        among(dialect, lanes.c.connection, "connections"), lanes.c.freed_at.is_not(None)
    )
)


def _finishing(table: Table, *more: str) -> Many:
    """Writes the row of each finish; `more` are the columns that only this table has."""
    names = ("state", "due_at", "because", "fault", "waits_for", *more)
    number = table.c.attempts.type
    types = {"row_id": table.c.id.type, "uncounted": number, "untried": number, "now": table.c.updated_at.type}

    def make(_dialect: str, given: Given) -> Any:
        values = {name: given[f"new_{name}"] for name in names}
        # Where nothing was tried, nothing is known of what ended the workers before.
        deaths = case((given["untried"] > 0, table.c.deaths), else_=0)
        fixed = {"attempts": table.c.attempts - given["uncounted"], "deaths": deaths, "token": None}
        changed = update(table).where(table.c.id == given["row_id"])
        return changed.values(**values, **fixed, updated_at=given["now"])

    return Many({**types, **{f"new_{name}": table.c[name].type for name in names}}, make)


_finish_events = _finishing(events, "document_id")
_finish_deliveries = _finishing(deliveries, "step", "lane", "sent", "parked_at", "resends")
_insert_attempts = insert_many(
    attempts,
    ATTEMPT,
    lambda adding: adding.on_conflict_do_nothing(),
)
_told = ("connection", "operation", "idempotency_key", "state", "answer", "updated_at")
_put_calls = insert_many(
    calls,
    ("delivery_id", "step", *_told),
    lambda adding: adding.on_conflict_do_update(
        index_elements=["delivery_id", "step"], set_={name: adding.excluded[name] for name in _told}
    ),
)


class Finishing(ReferenceWriting):
    """The part of a transaction that writes what became of claimed work."""

    def finish_events(self, token: str, finishes: Sequence[EventFinish]) -> set[str]:
        """Write what became of claimed events; the ids of those that the token still held."""
        if not finishes:
            return set()
        self._keep_attempts(attempt for finish in finishes for attempt in finish.attempts)
        wanted = {"ids": [finish.event_id for finish in finishes], "holder": token}
        held = {row.id: row for row in _held_events.rows(self._connection, wanted)}
        mine = [finish for finish in finishes if finish.event_id in held]
        freed = self._freed(finish.waits_for for finish in mine)
        rows = [self._common(finish.event_id, finish, held[finish.event_id], freed) for finish in mine]
        for row, finish in zip(rows, mine, strict=True):
            row["new_document_id"] = finish.document_id or None
        _finish_events.run(self._connection, rows)
        return set(held)

    def finish_deliveries(self, token: str, finishes: Sequence[DeliveryFinish]) -> set[str]:
        """Write what became of claimed deliveries; the ids of those that the token still held.

        `finish.step` is where the delivery stands from now on: its operation, key and answer are those of the call
        that it stood at until now. What it waits for may have come meanwhile: then it is due at once.
        """
        if not finishes:
            return set()
        self._keep_attempts(attempt for finish in finishes for attempt in finish.attempts)
        wanted = {"ids": [finish.delivery_id for finish in finishes], "holder": token}
        held = {row.id: row for row in _held_deliveries.rows(self._connection, wanted)}
        mine = [finish for finish in finishes if finish.delivery_id in held]
        self.lock_objects(
            ("reference", key, "") for finish in mine for key in (finish.waits_for, *_references(finish)) if key
        )
        for finish in mine:
            row = held[finish.delivery_id]
            self.add_identifiers(row.kind, row.connection, row.object_id, finish.identifiers)
        self.put_references([reference for finish in mine for reference in finish.references])
        freed = self._freed(finish.waits_for for finish in mine)
        freed.update(self._known_since([finish.waits_for for finish in mine if finish.waits_for]))
        rows = [self._delivery(finish, held[finish.delivery_id], freed) for finish in mine]
        _finish_deliveries.run(self._connection, rows)
        made = [self._call(finish, held[finish.delivery_id]) for finish in mine if finish.operation]
        _put_calls.run(self._connection, made)
        return set(held)

    def _keep_attempts(self, made: Iterable[Attempt]) -> None:
        rows = [from_attempt(attempt) for attempt in made]
        if rows:
            _insert_attempts.run(self._connection, rows)

    def _freed(self, waits: Iterable[str]) -> dict[str, int]:
        """When the connections that something waits for were last resumed, under the words that it waits with."""
        names = {wait.removeprefix(_CONNECTION) for wait in waits if wait.startswith(_CONNECTION)}
        if not names:
            return {}
        found = _freed_since.rows(self._connection, {"connections": sorted(names)})
        return {f"{_CONNECTION}{row.connection}": row.freed_at for row in found}

    def _common(
        self, row_id: str, finish: EventFinish | DeliveryFinish, held: Any, freed: dict[str, int]
    ) -> dict[str, Any]:
        due_at = None
        if finish.due_at is not None:
            due_at = after_jump(to_ms(finish.due_at), finish.told_at, held.claimed_at, self._now)
        waits_for = finish.waits_for or None
        # Only what came after the claim counts: else work that waits for another reason would spin.
        if due_at is not None and waits_for and freed.get(bounded(waits_for), -1) >= held.claimed_at:
            due_at, waits_for = min(due_at, self._now), None
        return {
            "row_id": row_id,
            "new_state": finish.state,
            "new_due_at": due_at,
            "new_because": finish.because,
            "new_fault": finish.fault,
            "new_waits_for": waits_for,
            "uncounted": 0 if finish.counted else 1,
            "untried": 0 if finish.counted or finish.attempts else 1,
            "now": self._now,
        }

    def _delivery(self, finish: DeliveryFinish, held: Any, freed: dict[str, int]) -> dict[str, Any]:
        row = self._common(finish.delivery_id, finish, held, freed)
        moved_on = finish.step != held.step
        parked = finish.state in ("parked", "conflict")
        if parked and finish.waits_for and not row["new_waits_for"]:
            row["new_state"] = "ready"
        since = None if moved_on else held.parked_at
        row["new_step"] = finish.step
        row["new_lane"] = bare(finish.lane) or held.lane
        # A new step has not been sent; and where nothing was tried, what an earlier try may have done still holds.
        row["new_sent"] = False if moved_on else finish.sent or (held.sent and not finish.counted)
        row["new_parked_at"] = self._now if parked and since is None else since
        row["new_resends"] = held.resends + 1 if finish.new_key else held.resends
        return row

    def _call(self, finish: DeliveryFinish, held: Any) -> tuple[Any, ...]:
        made = (finish.delivery_id, held.step, held.lane, finish.operation, finish.idempotency_key, finish.call_state)
        return (*made, dump_text(finish.answer), self._now)


def _references(finish: DeliveryFinish) -> list[str]:
    return [str(reference.key) for reference in finish.references]
