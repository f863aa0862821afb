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


def from_document(document: Document, seq: int, now: int) -> dict[str, object]:
    """The row of a document."""
    return {
        "id": document.document_id,
        "kind": document.kind,
        "connection": document.connection,
        "object_id": document.object_id,
        "seq": seq,
        "stale": document.stale,
        "version": document.version,
        "observed_at": to_ms(document.observed_at),
        "created_at": now,
        "event_id": document.event_id,
        "stamp": document.stamp,
        "body": dump_text(document.body),
        "raw": dump_text(document.raw),
    }


def to_event_work(row: Any) -> EventWork:
    """The work of a claimed row of `events`."""
    return EventWork(
        event_id=row.id,
        connection=row.connection,
        type=row.type,
        received_at=from_ms(row.received_at),
        headers=loads(row.headers),
        body=row.body,
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
    )


def _answer(told: CallRow | None) -> Json:
    return told.answer if told is not None and told.state == "delivered" else None


def from_attempt(attempt: Attempt) -> dict[str, object]:
    """The row of an attempt."""
    outcome = attempt.outcome
    return {
        "id": attempt.attempt_id,
        "event_id": attempt.event_id or None,
        "delivery_id": attempt.delivery_id or None,
        "step": attempt.step,
        "kind": attempt.kind,
        "number": attempt.number,
        "at": to_ms(attempt.at),
        "took_ms": attempt.took_ms,
        "connection": attempt.connection,
        "operation": attempt.operation,
        "outcome": outcome.result,
        "because": outcome.because,
        "fault": outcome.fault,
        "status": outcome.status,
        "retry_after_s": outcome.retry_after_s,
        "request": dump_text(attempt.request),
        "response": dump_text(attempt.response),
    }
