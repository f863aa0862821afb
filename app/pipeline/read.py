"""Read: fetch what a message lacks, map the vendor's words to a document, and hand it to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import structlog

from app.core import counting, retry
from app.core.connectors import Connection, Fetch
from app.core.jsontext import loads
from app.core.polls import BROUGHT_BY
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.errors import DataError, Outdated, UnknownWord
from app.model import Attempt, Document, EventFinish, EventWork, Fault, Json
from app.pipeline.call import Blocked, Caller
from app.pipeline.capture import NOTHING, Captured, captured, keep_captured
from app.pipeline.compare import clashing, object_key, write_documents
from app.pipeline.picture import make_document
from app.pipeline.ports import PipelineLedger, Transaction
from app.pipeline.receive import event_type
from app.pipeline.reread import Rereader
from app.pipeline.waits import Waits

log = structlog.get_logger()

#: How long a fetch answers "not there" before the event is given up: read sides lag by seconds, not by hours.
NOT_FOUND_PATIENCE_S = 3600.0
#: What an event waits for whose document may be older or newer than a known one.
ITS_SOURCE = "source"
_ASK_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What reading one event came to: the event's next state and, when it was read, its document."""

    finish: EventFinish
    connection: str
    document: Document | None = None
    captured: Captured = NOTHING
    poll: str = ""  # the poll that brought it
    settled: Literal["", "asked", "gone"] = ""  # what came of asking the source itself which content is right


class Reader:
    """Reads events of any connection: `read` in a pool thread, `commit` for many at once."""

    def __init__(
        self, site: Site, ledger: PipelineLedger, caller: Caller, clock: Clock, ids: Ids, waits: Waits, shard: str
    ) -> None:
        self._site, self._ledger, self._caller = site, ledger, caller
        self._clock, self._ids, self._waits, self._shard = clock, ids, waits, shard
        self._rereader = Rereader(site, caller, clock, ids)

    def read(self, work: EventWork) -> ReadResult:
        """Make a document of a claimed event, or say why not and when to look again. Never raises for bad data."""
        attempts: list[Attempt] = []
        try:
            outcome = self._read(work, attempts)
            result = outcome if isinstance(outcome, ReadResult) else ReadResult(outcome, work.connection)
        except UnknownWord as error:
            # A person has to say what the word means; the event waits, it is not guessed.
            finish = EventFinish(work.event_id, "parked", self._waits.alarm(), str(error), "data")
            result = ReadResult(finish, work.connection)
        except DataError as error:
            finish = EventFinish(work.event_id, "dead" if work.type else "unreadable", None, str(error), "data")
            result = ReadResult(finish, work.connection)
        if attempts:
            result = replace(result, finish=replace(result.finish, attempts=tuple(attempts)))
        finish = result.finish
        log.info(
            "event.read",
            event_id=work.event_id,
            connection=work.connection,
            type=work.type,
            state=finish.state,
            number=work.attempts,
            because=finish.because or None,
        )
        return result

    def failed(self, work: EventWork, error: Exception) -> ReadResult:
        """What to write when reading met a fault of our own: tried again later, shown until then."""
        because = f"the hub itself failed: {type(error).__name__}; see the log of {work.event_id}"
        return ReadResult(self._again(work, because, None, None), work.connection)

    def commit(self, token: str, results: Sequence[ReadResult]) -> list[str]:
        """Write finished reads with their documents, changes and deliveries; the lanes that got work."""
        try:
            return self._commit(token, results, foresee=True)
        except Outdated:
            return self._commit(token, results, foresee=False)

    def _commit(self, token: str, results: Sequence[ReadResult], *, foresee: bool) -> list[str]:
        """With `foresee` what follows is worked out before the transaction begins, as if all were still held."""
        tally = counting.Tally()
        with self._ledger.write() as tx:
            if foresee:
                tx.foresee([object_key(result.document) for result in results if result.document])
            results = self._without_clashes(tx, results)
            finishes = [result.finish for result in results]
            if foresee:
                busy = self._write(tx, results, tally)
                held = tx.finish_events(token, finishes)
                if len(held) < len(finishes):
                    raise Outdated("some of them are no longer held")
            else:
                held = tx.finish_events(token, finishes)
                busy = self._write(tx, [result for result in results if result.finish.event_id in held], tally)
            for result in results:
                if result.finish.event_id not in held:
                    tally.add(counting.FENCED, connection=result.connection)
                    log.warning("event.fenced", event_id=result.finish.event_id, because="its lease was lost")
                    continue
                tally.add(counting.EVENTS, connection=result.connection, state=result.finish.state)
                for attempt in result.finish.attempts:
                    count_attempt(tally, attempt)
            tx.count(tally.amounts(), self._shard)
        return [f"out:{connection}" for connection in sorted(busy)]

    def _write(self, tx: Transaction, results: Sequence[ReadResult], tally: counting.Tally) -> set[str]:
        written = [(result, result.document) for result in results if result.document]
        if not written:
            return set()
        news: dict[str, int] = {}
        busy = write_documents(
            tx, self._site, self._ids, [document for _, document in written], tally, news, self._clock.now()
        )
        keep_captured(tx, [(document, result.captured) for result, document in written if document.document_id in news])
        for result, document in written:
            if result.poll and news.get(document.document_id) and self._has_webhooks(result.connection):
                tally.add(counting.HEALED, connection=result.connection, poll=result.poll)
                log.warning("event.healed", event_id=document.event_id, poll=result.poll, object_id=document.object_id)
        return busy

    def _has_webhooks(self, connection: str) -> bool:
        inbound = self._site.connections[connection].connector.inbound
        return inbound is not None and inbound.webhooks

    def _without_clashes(self, tx: Transaction, results: Sequence[ReadResult]) -> Sequence[ReadResult]:
        """Those of which their source has to say first whether they are right wait for that."""
        read = [one for one in results if one.document and one.settled != "gone" and self._rereader.can(one.connection)]
        if not read:
            return results
        settled = {one.document.document_id for one in read if one.document and one.settled}
        torn = clashing(tx, [one.document for one in read if one.document], settled, self._clock.now())
        return [self._to_ask(one) if one.document and one.document.document_id in torn else one for one in results]

    def _to_ask(self, result: ReadResult) -> ReadResult:
        assert result.document is not None
        version = result.document.body.get("version") or result.document.body.get("updated_at")
        because = f"version {version} is known with other content" if version else "it differs from what came later"
        # Asked already, and yet older than what is known: by a clock that is a little behind, or was.
        wait, now = _ASK_AGAIN if result.settled else timedelta(), self._clock.now()
        finish = replace(
            result.finish,
            state="waiting",
            due_at=now + wait,
            told_at=now,
            because=f"{because}: its source is asked",
            document_id="",
            waits_for=ITS_SOURCE,
        )
        return ReadResult(finish, result.connection)

    def _read(self, work: EventWork, attempts: list[Attempt]) -> ReadResult | EventFinish:
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
        if inbound.fetch and (not inbound.fetch.when or inbound.fetch.when.render(names, "inbound.fetch.when")):
            observed_at = self._clock.now()
            fetched = self._fetch_all(work, connection, inbound.fetch, names, attempts)
            if isinstance(fetched, EventFinish):
                return fetched
            names[inbound.fetch.name] = fetched
        document = make_document(
            self._site, self._ids, connection, kind, names, observed_at=observed_at, event_id=work.event_id
        )
        if work.waits_for != ITS_SOURCE or not self._rereader.can(connection.name):
            return self._result(work, connection, names, document)
        asked = self._ask(work, document, attempts)
        if isinstance(asked, EventFinish):
            return asked
        found, because = asked
        made = self._result(work, connection, names, found, because)
        return replace(made, settled="gone" if found is document else "asked")

    def _result(
        self, work: EventWork, connection: Connection, names: Mapping[str, Any], document: Document, because: str = ""
    ) -> ReadResult:
        inbound, numbers = connection.connector.inbound, NOTHING
        if inbound and inbound.capture:
            numbers = captured(connection, {**names, document.kind: document.body}, work.event_id, self._clock.now())
        finish = EventFinish(work.event_id, "done", None, because, document_id=document.document_id)
        poll = work.headers.get(BROUGHT_BY, "")
        return ReadResult(finish, connection.name, document, numbers, poll)

    def _ask(self, work: EventWork, document: Document, attempts: list[Attempt]) -> tuple[Document, str] | EventFinish:
        """The document as its source shows it now, and why that one is written."""
        again = self._rereader.reread(work.connection, document)
        if again.called is not None:
            attempts.append(again.called.attempt(self._ids, "fetch", work.attempts, event_id=work.event_id))
        if again.document is not None:
            return again.document, "which of two pictures is right: its source was asked again"
        if again.blocked is not None:
            return self._blocked(work, again.blocked)
        assert again.failed is not None
        if again.failed.result != "rejected":
            return self._again(work, again.failed.because, again.failed.fault, again.failed.retry_after_s)
        if again.failed.status != 404:
            return EventFinish(work.event_id, "dead", None, again.failed.because, again.failed.fault)
        return document, "which of two pictures is right, and it is gone at its source (404): the later one counts"

    def _fetch_all(
        self, work: EventWork, connection: Connection, fetch: Fetch, names: dict[str, Any], attempts: list[Attempt]
    ) -> Json | EventFinish:
        """What the message lacks; first what tells where that is, which the document does not keep."""
        before = fetch.before
        if before and (not before.when or before.when.render(names, "inbound.fetch.before.when")):
            found = self._fetch(work, connection, before, names, attempts)
            if isinstance(found, EventFinish):
                return found
            names = {**names, before.name: found}
        return self._fetch(work, connection, fetch, names, attempts)

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
        # By the tries made, as everywhere: the event's age says nothing after the clock was put forward.
        patience = replace(self._site.hub.retry, give_up_after_s=NOT_FOUND_PATIENCE_S)
        if retry.next_wait(patience, work.attempts, None, self._waits.rng) is None:
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
