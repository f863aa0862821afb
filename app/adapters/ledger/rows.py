"""Rows of the ledger to the values of the model, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from app.adapters.ledger.columns import from_ms, to_ms
from app.core.jsontext import dump_text, loads
from app.model import Attempt, CallRow, Change, DeliveryWork, Document, EventWork, Json


def to_document(row: Any) -> Document:
    """The document of a row of `documents`. What it was mapped from is parsed when it is asked for."""
    return Document(
        document_id=row.id,
        kind=row.kind,
        connection=row.connection,
        object_id=row.object_id,
        seq=row.seq,
        version=row.version,
        observed_at=from_ms(row.observed_at),
        body=loads(row.body),
        raw=partial(loads, row.raw),
        event_id=row.event_id,
        stamp=row.stamp,
        stale=bool(row.stale),
    )


#: The columns of a document, as `from_document` gives them.
DOCUMENT = (
    *("id", "kind", "connection", "object_id", "seq", "stale", "version", "observed_at", "event_id", "stamp", "body"),
    "raw",
)


def from_document(document: Document, seq: int, now: int) -> tuple[Any, ...]:
    """The row of a document: the columns of `DOCUMENT` and `created_at`."""
    own = (document.document_id, document.kind, document.connection, document.object_id)
    state = (seq, document.stale, document.version, to_ms(document.observed_at))
    return (*own, *state, document.event_id, document.stamp, dump_text(document.body), dump_text(document.raw), now)


def to_event_work(row: Any, came: Any) -> EventWork:
    """The work of a claimed row of `events` and of what came with it."""
    return EventWork(
        event_id=row.id,
        connection=row.connection,
        type=row.type,
        received_at=from_ms(row.received_at),
        headers=loads(came.headers),
        body=came.body,
        came_from=row.claimed_from,
        attempts=row.attempts,
        created_at=from_ms(row.began_at),
        waits_for=row.waits_for or "",
    )


def to_delivery_work(row: Any, document: Document, told: Mapping[int, CallRow]) -> DeliveryWork:
    """The work of a claimed row of `deliveries`, whose columns are called own_…; `told` are the rows of its calls."""
    return DeliveryWork(
        delivery_id=row.own_id,
        route=row.own_route,
        part=row.own_part,
        lane=row.own_lane,
        step=row.own_step,
        came_from=row.own_claimed_from,
        attempts=row.own_attempts,
        resends=row.own_resends,
        sent=bool(row.own_sent),
        created_at=from_ms(row.own_began_at),
        parked_at=None if row.own_parked_at is None else from_ms(row.own_parked_at),
        because=row.own_because,
        document=document,
        change=Change(row.change_name, row.change_key, loads(row.change_data)),
        change_id=row.change_id,
        answers=tuple(_answer(told.get(step)) for step in range(row.own_step)),
        calls=told,
        made_at=from_ms(row.own_created_at),
    )


def _answer(told: CallRow | None) -> Json:
    return told.answer if told is not None and told.state == "delivered" else None


#: The columns of an attempt, as `from_attempt` gives them.
ATTEMPT = (
    *("id", "event_id", "delivery_id", "step", "kind", "number", "at", "took_ms", "connection", "operation"),
    *("outcome", "because", "fault", "status", "retry_after_s", "request", "response"),
)


def from_attempt(attempt: Attempt) -> tuple[Any, ...]:
    """The row of an attempt."""
    outcome = attempt.outcome
    whose = (attempt.attempt_id, attempt.event_id or None, attempt.delivery_id or None, attempt.step, attempt.kind)
    made = (attempt.number, to_ms(attempt.at), attempt.took_ms, attempt.connection, attempt.operation)
    came = (outcome.result, outcome.because, outcome.fault, outcome.status, outcome.retry_after_s)
    return (*whose, *made, *came, dump_text(attempt.request), dump_text(attempt.response))
