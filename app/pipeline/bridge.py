"""Bridges: a question is verified, answered from other systems within its time, and never answered by halves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from app.core import counting
from app.core.bridges import BridgeClaim, BridgeState, Question
from app.core.jsontext import dump_text, loads
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.errors import DataError, LedgerUnavailable
from app.model import Attempt, Identifier, Json, Rejection
from app.pipeline.bridge_doors import Door, error_body, once_key, read_doors, traced
from app.pipeline.bridge_keeping import Keeping
from app.pipeline.bridge_ports import BridgeLedger
from app.pipeline.bridge_state import Answered, Stopped, Walk
from app.pipeline.bridge_walk import Walker
from app.pipeline.call import Caller
from app.pipeline.read import count_attempt
from app.pipeline.receive import Incoming, clean

log = structlog.get_logger()

#: Who died while it answered is given up so long after the question's deadline.
_LEASE_MARGIN_S = 5.0
#: How often it is looked whether another process has the answer.
_LOOK_AGAIN_S = 0.05
_RETRY_AFTER_S = 5
#: What the asker is told; why in full stands in the log and in `trace`.
_TOLD = {
    "late": "not answered in time",
    "unavailable": "a system behind the hub cannot be asked now",
    "refused": "a system behind the hub refused it",
    "in_doubt": "a call of it was not answered and may have worked; a person looks at it",
    "faulty": "the hub cannot work it out; its log tells why",
    "busy": "the same question is being answered",
    "crowded": "too many questions at once",
    "ledger_unavailable": "the ledger cannot be reached now",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the asker gets. The body is JSON text, byte for byte."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Bridges:
    """Answers the questions of a site's bridges. Used by many threads."""

    def __init__(
        self,
        site: Site,
        ledger: BridgeLedger,
        caller: Caller,
        clock: Clock,
        ids: Ids,
        reject: Callable[[Rejection, bool], object],
        *,
        at_once: int = 16,
    ) -> None:
        """`at_once` questions are answered at a time, so that threads are left for messages.

        Raises `ConfigError` when a question could not be verified.
        """
        self._site, self._ledger, self._caller, self._clock, self._ids = site, ledger, caller, clock, ids
        self._reject = reject
        self._doors = read_doors(site)
        self._room = threading.BoundedSemaphore(at_once)
        self._stopping = threading.Event()
        self._counted = threading.Lock()
        self._amounts: dict[tuple[str, str], float] = {}

    def ask(self, incoming: Incoming, path: str) -> Reply:
        """Verify and answer one question. Never raises for what a target, the ledger or the question does."""
        started = self._clock.monotonic()
        door = self._doors.get((incoming.connection, path.strip("/")))
        if door is None:
            known = incoming.connection in self._site.connections
            return self._turned_away(incoming, None, 404, "unknown bridge", known=known)
        if incoming.method != "POST":
            return self._turned_away(incoming, door, 405, "wrong method", {"Allow": "POST"})
        limit = self._site.hub.body_limit
        if (incoming.length or 0) > limit or len(body := incoming.read(limit + 1)) > limit:
            return self._turned_away(incoming, door, 413, "too large")
        if incoming.length is not None and len(body) < incoming.length:
            return self._turned_away(incoming, door, 400, "cut off")
        verdict = door.scheme.verify(incoming.headers, body, self._clock.now())
        if not verdict.ok:
            challenge = {"WWW-Authenticate": door.scheme.challenge} if door.scheme.challenge else {}
            return self._turned_away(incoming, door, 401, verdict.cause, challenge)
        question_id, came_at = self._ids.new("brq"), self._clock.now()
        try:
            request = loads(body)
            if not isinstance(request, dict):
                raise DataError("the question is no JSON object")
            key = once_key(door.bridge, request)
            numbers = traced(door.bridge, request)
        except DataError as error:
            return self._told(door, question_id, 400, "invalid", clean(error.what)[:200], started)
        if not self._room.acquire(blocking=False):
            return self._told(door, question_id, 503, "crowded", _TOLD["crowded"], started)
        try:
            kept = door.masker.value(request)
            question = Question(question_id, door.bridge.name, door.bridge.source, key, kept, came_at)
            return self._answer(door, question, request, numbers, started)
        except LedgerUnavailable as error:
            log.error("ledger.unavailable", bridge=door.bridge.name, error=str(error))
            return self._told(door, question_id, 503, "ledger_unavailable", _TOLD["ledger_unavailable"], started)
        finally:
            self._room.release()

    def stop(self) -> None:
        """Nobody waits for another's answer any more."""
        self._stopping.set()

    def counts(self) -> dict[tuple[str, str], float]:
        """What was counted since this was last asked: {(name, labels as JSON): amount}."""
        with self._counted:
            found, self._amounts = self._amounts, {}
        return found

    def _answer(
        self, door: Door, question: Question, request: Json, numbers: list[Identifier], started: float
    ) -> Reply:
        end = started + door.bridge.deadline_s
        token, claim = self._ids.new("tok"), BridgeClaim("mine", question.id)
        if question.key is not None:
            found = self._claimed(door, question, token, end)
            if found is None:
                return self._told(door, question.id, 503, "busy", _TOLD["busy"], started)
            claim = found
        if claim.state == "answered":
            self._count(door, claim.status, "again", started, claim.id)
            return Reply(claim.status, claim.answer, {"X-Request-Id": claim.id})
        walk = Walk(claim.id, door.bridge, request, list(claim.calls), claim.sent, claim.tries, identifiers=[*numbers])
        held_until = end + _LEASE_MARGIN_S
        keeping = Keeping(self._ledger, question, token, door.masker, held_until, self._clock, self._count_attempts)
        walker = Walker(self._site, self._ledger, self._caller.until(end), self._clock, self._ids, keeping)
        try:
            came = walker.walk(walk)
        except BaseException:
            keeping.let_go(walk)
            raise
        if isinstance(came, Answered):
            return self._given(door, walk, keeping, came, started)
        return self._stopped(door, walk, keeping, came, started, end)

    def _claimed(self, door: Door, question: Question, token: str, end: float) -> BridgeClaim | None:
        """The question to answer or its answer; None when somebody is still at it when the time is over."""
        while True:
            claim = self._ledger.claim_bridge(question, token, door.bridge.deadline_s + _LEASE_MARGIN_S)
            if claim.state != "busy":
                return claim
            if self._clock.monotonic() + _LOOK_AGAIN_S >= end or self._stopping.wait(_LOOK_AGAIN_S):
                return None

    def _given(self, door: Door, walk: Walk, keeping: Keeping, came: Answered, started: float) -> Reply:
        if not came.final:
            # Nothing was done: who asks again is looked up again.
            walk.calls = []
        state: BridgeState = "answered" if came.final else "waiting"
        if not keeping.finish(walk, state, "", came.status, came.body):
            return self._told(door, walk.delivery_id, 503, "late", _TOLD["late"], started)
        self._count(door, came.status, "" if came.final else "empty", started, walk.delivery_id)
        return Reply(came.status, came.body, {"X-Request-Id": walk.delivery_id})

    def _stopped(self, door: Door, walk: Walk, keeping: Keeping, came: Stopped, started: float, end: float) -> Reply:
        trouble: str = came.trouble
        if trouble == "unavailable" and self._clock.monotonic() >= end - 0.1:
            trouble = "late"
        state: BridgeState = "in_doubt" if walk.sent or trouble == "in_doubt" else "waiting"
        keeping.finish(walk, state, came.because, 400 if trouble == "invalid" else 503)
        if trouble == "invalid":
            return self._told(door, walk.delivery_id, 400, trouble, clean(came.because)[:200], started)
        wait = _RETRY_AFTER_S
        if came.until is not None:
            wait = max(1, round((came.until - self._clock.now()).total_seconds()))
        because = door.masker.text(came.because)
        return self._told(door, walk.delivery_id, 503, trouble, _TOLD[trouble], started, because=because, wait_s=wait)

    def _told(
        self,
        door: Door,
        question_id: str,
        status: int,
        code: str,
        message: str,
        started: float,
        *,
        because: str = "",
        wait_s: int = _RETRY_AFTER_S,
    ) -> Reply:
        self._count(door, status, code, started, question_id, because)
        headers = {"X-Request-Id": question_id}
        if status == 503:
            headers["Retry-After"] = str(wait_s)
        return Reply(status, error_body(door.error, status, code, message, question_id), headers)

    def _turned_away(
        self,
        incoming: Incoming,
        door: Door | None,
        status: int,
        cause: str,
        headers: Mapping[str, str] | None = None,
        *,
        known: bool = True,
    ) -> Reply:
        connection = clean(incoming.connection)[:100]
        self._reject(Rejection(self._clock.now(), connection, cause), known)
        log.warning("bridge.rejected", connection=connection, cause=cause, status=status)
        error = door.error if door else None
        return Reply(status, error_body(error, status, cause.replace(" ", "_"), cause, ""), headers or {})

    def _count(self, door: Door, status: int, code: str, started: float, question_id: str, because: str = "") -> None:
        took_s = self._clock.monotonic() - started
        name = door.bridge.name
        tell = log.warning if status >= 500 else log.info
        tell(
            "bridge.answered",
            bridge=name,
            connection=door.bridge.source,
            question_id=question_id,
            status=status,
            code=code,
            because=because,
            ms=round(took_s * 1000, 1),
        )
        asked = counting.BRIDGE_REQUESTS, dump_text({"bridge": name, "status": str(status)})
        self._add({asked: 1.0, (counting.BRIDGE_SECONDS, dump_text({"bridge": name})): took_s})

    def _count_attempts(self, attempts: Sequence[Attempt]) -> None:
        tally = counting.Tally()
        for attempt in attempts:
            count_attempt(tally, attempt)
        self._add(tally.amounts())

    def _add(self, amounts: Mapping[tuple[str, str], float]) -> None:
        with self._counted:
            for key, amount in amounts.items():
                self._amounts[key] = self._amounts.get(key, 0.0) + amount
