"""Read: fetch what a message lacks, map the vendor's words to a document, and hand it to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.core import counting, retry
from app.core.connectors import Connection, Fetch, Inbound
from app.core.documents import broken_laws, version_key
from app.core.jsontext import loads
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.errors import DataError, UnknownWord
from app.model import Attempt, Document, EventFinish, EventWork, Fault, Json
from app.pipeline.call import Blocked, Caller
from app.pipeline.compare import write_documents
from app.pipeline.ports import PipelineLedger
from app.pipeline.receive import event_type
from app.pipeline.waits import Waits

log = structlog.get_logger()

#: How long a fetch answers "not there" before the event is given up: read sides lag by seconds, not by hours.
NOT_FOUND_PATIENCE_S = 3600.0


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What reading one event came to: the event's next state and, when it was read, its document."""

    finish: EventFinish
    connection: str
    document: Document | None = None


class Reader:
    """Reads events of any connection: `read` in a pool thread, `commit` for many at once."""

    def __init__(
        self, site: Site, ledger: PipelineLedger, caller: Caller, clock: Clock, ids: Ids, waits: Waits, shard: str
    ) -> None:
        self._site, self._ledger, self._caller = site, ledger, caller
        self._clock, self._ids, self._waits, self._shard = clock, ids, waits, shard

    def read(self, work: EventWork) -> ReadResult:
        """Make a document of a claimed event, or say why not and when to look again. Never raises for bad data."""
        attempts: list[Attempt] = []
        document = None
        try:
            outcome = self._read(work, attempts)
            if isinstance(outcome, Document):
                document = outcome
                outcome = EventFinish(work.event_id, "done", None, document_id=document.document_id)
            finish = outcome
        except UnknownWord as error:
            # A person has to say what the word means; the event waits, it is not guessed.
            finish = EventFinish(work.event_id, "parked", self._waits.alarm(), str(error), "data")
        except DataError as error:
            finish = EventFinish(work.event_id, "dead" if work.type else "unreadable", None, str(error), "data")
        finish = _with_attempts(finish, attempts)
        log.info(
            "event.read",
            event_id=work.event_id,
            connection=work.connection,
            type=work.type,
            state=finish.state,
            number=work.attempts,
            because=finish.because or None,
        )
        return ReadResult(finish, work.connection, document)

    def failed(self, work: EventWork, error: Exception) -> ReadResult:
        """What to write when reading met a fault of our own: tried again later, shown until then."""
        because = f"the hub itself failed: {type(error).__name__}; see the log of {work.event_id}"
        return ReadResult(self._again(work, because, None, None), work.connection)

    def commit(self, token: str, results: Sequence[ReadResult]) -> list[str]:
        """Write finished reads with their documents, changes and deliveries; the lanes that got work."""
        tally = counting.Tally()
        with self._ledger.write() as tx:
            held = tx.finish_events(token, [result.finish for result in results])
            documents = []
            for result in results:
                if result.finish.event_id not in held:
                    tally.add(counting.FENCED, connection=result.connection)
                    log.warning("event.fenced", event_id=result.finish.event_id, because="its lease was lost")
                    continue
                tally.add(counting.EVENTS, connection=result.connection, state=result.finish.state)
                for attempt in result.finish.attempts:
                    count_attempt(tally, attempt)
                if result.document:
                    documents.append(result.document)
            busy = write_documents(tx, self._site, self._ids, documents, tally) if documents else set()
            tx.count(tally.amounts(), self._shard)
        return [f"out:{connection}" for connection in sorted(busy)]

    def _read(self, work: EventWork, attempts: list[Attempt]) -> Document | EventFinish:
        connection = self._site.connections.get(work.connection)
        inbound = connection.connector.inbound if connection else None
        if connection is None or inbound is None:
            raise DataError(
                f"connection {work.connection!r} is not set up to receive", todo="see config/connections.yaml"
            )
        names: dict[str, Any] = {"payload": loads(work.body), "settings": connection.public_settings}
        # One that was unreadable came back by `retry`: the files that read its type may be better now.
        word = work.type or event_type(inbound, {**names, "headers": work.headers})
        kind = inbound.types.get(word)
        if word in inbound.ignore:
            return EventFinish(work.event_id, "ignored", None, "the connector ignores this type")
        if kind is None:
            return EventFinish(work.event_id, "unknown", None, f"event type {word!r} is not known", "config")
        names["event"] = {"id": work.event_id, "type": word, "received_at": work.received_at}
        for rule in inbound.skip:
            if rule.when.render(names, "inbound.skip"):
                return EventFinish(work.event_id, "ignored", None, rule.because)
        observed_at = work.received_at
        if inbound.fetch:
            observed_at = self._clock.now()
            fetched = self._fetch(work, connection, inbound.fetch, names, attempts)
            if isinstance(fetched, EventFinish):
                return fetched
            names[inbound.fetch.name] = fetched
        return self._map(work, inbound, kind, names, observed_at)

    def _fetch(
        self, work: EventWork, connection: Connection, fetch: Fetch, names: dict[str, Any], attempts: list[Attempt]
    ) -> Json | EventFinish:
        args = fetch.args.render(names, "inbound.fetch.with")
        called = self._caller.call(connection.name, fetch.operation, args)
        if isinstance(called, Blocked):
            return self._blocked(work, called)
        attempts.append(called.attempt(self._ids, "fetch", work.attempts, event_id=work.event_id))
        outcome = called.outcome
        if outcome.pause:
            return self._blocked(work, Blocked(connection.name, outcome.because, None))
        if outcome.result == "rejected" and outcome.status == 404 and fetch.not_found == "retry":
            return self._not_there(work, "the object that the event names is not there yet (404)")
        if outcome.result == "rejected":
            return EventFinish(work.event_id, "dead", None, outcome.because, outcome.fault)
        if outcome.result != "delivered":
            return self._again(work, outcome.because, outcome.fault, outcome.retry_after_s)
        assert called.response is not None
        detail = called.response.body
        if fetch.ready and not fetch.ready.render({**names, fetch.name: detail}, "inbound.fetch.ready"):
            return self._not_there(work, "what was fetched does not show yet what the event tells")
        return detail

    def _map(
        self, work: EventWork, inbound: Inbound, kind: str, names: dict[str, Any], observed_at: datetime
    ) -> Document:
        mapping = self._site.mappings[inbound.mapping]
        assert mapping.document is not None
        body = mapping.document.render(names, "document")
        faults = self._site.validators[kind].errors(body, kind)
        if faults:
            raise DataError(
                "; ".join(faults), where=str(mapping.where), todo=f"mend mapping {mapping.name}, then retry"
            )
        for breach in broken_laws(body):
            log.warning("law.broken", event_id=work.event_id, breach=breach)
        return Document(
            document_id=self._ids.new("doc"),
            kind="order" if kind == "order" else "return",
            connection=work.connection,
            object_id=body["id"],
            seq=0,
            version=version_key(body),
            observed_at=observed_at,
            body=body,
            raw={name: names[name] for name in names if name not in ("settings", "event")},
            event_id=work.event_id,
            stamp=self._site.stamp,
        )

    def _blocked(self, work: EventWork, blocked: Blocked) -> EventFinish:
        return EventFinish(
            work.event_id,
            "waiting",
            self._waits.blocked(blocked.until),
            f"{blocked.connection}: {blocked.because}",
            counted=False,
            waits_for=f"connection:{blocked.connection}",
        )

    def _not_there(self, work: EventWork, because: str) -> EventFinish:
        if (self._clock.now() - work.created_at).total_seconds() > NOT_FOUND_PATIENCE_S:
            return EventFinish(work.event_id, "dead", None, f"{because}; gave up after an hour", "remote")
        return self._again(work, because, "transient", None)

    def _again(self, work: EventWork, because: str, fault: Fault | None, retry_after_s: float | None) -> EventFinish:
        wait = retry.next_wait(self._site.hub.retry, work.attempts, retry_after_s, self._waits.rng)
        if wait is None:
            return EventFinish(work.event_id, "dead", None, f"gave up after {work.attempts} tries: {because}", fault)
        return EventFinish(work.event_id, "waiting", self._clock.now() + timedelta(seconds=wait), because, fault)


def count_attempt(tally: counting.Tally, attempt: Attempt) -> None:
    """Count one try at one call by its outcome."""
    labels = {"connection": attempt.connection, "operation": attempt.operation, "outcome": attempt.outcome.result}
    tally.add(counting.ATTEMPTS, **labels)


def _with_attempts(finish: EventFinish, attempts: list[Attempt]) -> EventFinish:
    return replace(finish, attempts=tuple(attempts)) if attempts else finish
