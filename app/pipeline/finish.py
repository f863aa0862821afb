"""The ends and waits of a delivery: each builds the `DeliveryFinish` that the ledger writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.core import retry
from app.core.connectors import Operation
from app.core.ports import Clock
from app.core.routing import Route
from app.core.site import Site
from app.core.times import iso
from app.model import (
    Attempt,
    DeliveryFinish,
    DeliveryState,
    DeliveryWork,
    Fault,
    Identifier,
    Json,
    Reference,
    ReferenceKey,
)
from app.pipeline.call import Blocked, Called
from app.pipeline.waits import Waits

log = structlog.get_logger()

#: A probe looks after this long: what was in doubt has mostly settled at the target by then.
_PROBE_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Rendered:
    """A step of a delivery, rendered and ready to be sent."""

    operation: Operation
    args: Json
    body: Json
    idempotency_key: str
    used: Mapping[str, Any]  # the references that went in, by name


class Finisher:
    """Builds what to write of a try, with the time of the next look where there is one."""

    def __init__(self, site: Site, clock: Clock, waits: Waits) -> None:
        self._site, self._clock, self._waits = site, clock, waits

    def delivered(self, work: DeliveryWork, route: Route, rendered: Rendered, called: Called) -> DeliveryFinish:
        """The target took it: done, or on to the route's next call, with what the answer told."""
        answer = called.response.body if called.response else None
        names = {
            "args": rendered.args,
            "request": {"body": rendered.body, "args": rendered.args},
            "body": answer,
            "status": called.outcome.status,
        }
        found: list[Identifier] = []
        learned: list[Reference] = []
        for capture in rendered.operation.capture:
            value = capture.id.render(names, "capture.id")
            if value is None or value == "":
                continue
            found.append(Identifier(str(value), capture.kind, capture.kind == "return"))
            if capture.system and capture.from_id:
                source = self._site.connections.get(work.document.connection)
                key = ReferenceKey(
                    capture.kind,
                    source.system if source else work.document.connection,
                    capture.system,
                    str(capture.from_id.render(names, "capture.from")),
                )
                evidence = {"delivery": work.delivery_id}
                learned.append(Reference(key, str(value), "captured", self._clock.now(), evidence))
        finish = self.done(work, rendered, called.outcome.because, answer, found, learned)
        if work.step + 1 < len(route.calls):
            following = route.calls[work.step + 1].connection
            return replace(finish, state="ready", due_at=self._clock.now(), step=work.step + 1, lane=following)
        return finish

    def done(
        self,
        work: DeliveryWork,
        rendered: Rendered,
        because: str,
        answer: Json,
        found: Sequence[Identifier] = (),
        learned: Sequence[Reference] = (),
    ) -> DeliveryFinish:
        """It is at the target, which gave it these numbers."""
        used = rendered.used.values()
        return self._finish(
            work,
            "done",
            because,
            answer=answer,
            idempotency_key=rendered.idempotency_key,
            operation=rendered.operation.name,
            identifiers=(*(Identifier(one["to"], f"{one['to_system']} {one['kind']}") for one in used), *found),
            references=tuple(learned),
        )

    def again(
        self, work: DeliveryWork, because: str, fault: Fault | None, retry_after_s: float | None
    ) -> DeliveryFinish:
        """Tried again on the hub's schedule; dead once the schedule is spent."""
        wait = retry.next_wait(self._site.hub.retry, work.attempts, retry_after_s, self._waits.rng)
        if wait is None:
            return self.dead(work, f"gave up after {work.attempts} tries: {because}", fault)
        due = self._clock.now() + timedelta(seconds=wait)
        return self._finish(work, "waiting", because, fault, due_at=due)

    def blocked(self, work: DeliveryWork, blocked: Blocked) -> DeliveryFinish:
        """A connection may not be called now: nothing was tried, so no try is counted."""
        return self._finish(
            work,
            "waiting",
            f"{blocked.connection}: {blocked.because}",
            due_at=self._waits.blocked(blocked.until),
            waits_for=f"connection:{blocked.connection}",
            counted=False,
        )

    def parked(self, work: DeliveryWork, key: ReferenceKey) -> DeliveryFinish:
        """A number is not known yet: released when it becomes known, asked for again from time to time."""
        return self._finish(
            work,
            "parked",
            f"{key} is not known yet",
            due_at=self._waits.recheck(work.parked_at),
            waits_for=str(key),
            counted=False,
        )

    def conflict(self, work: DeliveryWork, reference: Reference) -> DeliveryFinish:
        """Several candidates for one number: no call, a person decides with `refs set`."""
        candidates = ", ".join(reference.evidence["candidates"])
        key = reference.key
        choose = f"backhaul refs set {key.kind} '{key.id}' CHOICE --from {key.from_system} --to {key.to_system}"
        if key.scope:
            choose += f" --scope '{key.scope}'"
        because = f"{key} has several matches: {candidates}; choose one: `{choose}`"
        return self._finish(work, "conflict", because, "data", due_at=self._waits.alarm(), waits_for=str(reference.key))

    def review(self, work: DeliveryWork, because: str) -> DeliveryFinish:
        """A word that no table knows: waits for a person, then `retry`."""
        return self._finish(work, "parked", because, "data", due_at=self._waits.alarm(), counted=False)

    def tell_waiting(self, work: DeliveryWork, finish: DeliveryFinish) -> None:
        """Log that it waits for a number or a word; louder once it has waited for longer than the policy's alarm."""
        since = work.parked_at or self._clock.now()
        overdue = (self._clock.now() - since).total_seconds() >= self._site.hub.parked.alarm_s
        tell = log.warning if overdue else log.info
        tell(
            "delivery.waits_too_long" if overdue else "delivery.waits",
            delivery_id=work.delivery_id,
            route=work.route,
            state=finish.state,
            since=iso(since),
            waits_for=finish.waits_for or "a word",
            next=iso(finish.due_at) if finish.due_at else None,
        )

    def in_doubt(self, work: DeliveryWork, because: str, *, looked: bool = False) -> DeliveryFinish:
        """It may have worked. With a probe somebody looks soon; without one a person decides with `resolve`."""
        if looked:
            due = self._clock.now() + timedelta(seconds=min(_PROBE_AFTER_S * 2 ** min(work.attempts - 1, 10), 3600.0))
        else:
            due = self._waits.alarm()
            because += f"; settle it with `backhaul resolve {work.delivery_id} delivered|retry|dead`"
        return self._finish(work, "in_doubt", because, "remote", due_at=due, sent=True)

    def dead(self, work: DeliveryWork, because: str, fault: Fault | None) -> DeliveryFinish:
        """The end without success, kept and shown; `retry` wakes it."""
        return self._finish(work, "dead", because, fault)

    def skipped(self, work: DeliveryWork, because: str) -> DeliveryFinish:
        """Nothing to do any more."""
        return self._finish(work, "skipped", because)

    def complete(
        self, finish: DeliveryFinish, attempts: Sequence[Attempt], references: Sequence[Reference]
    ) -> DeliveryFinish:
        """The finish with the tries made and the translations learned on the way."""
        return replace(finish, attempts=tuple(attempts), references=finish.references + tuple(references))

    def _finish(
        self,
        work: DeliveryWork,
        state: DeliveryState,
        because: str,
        fault: Fault | None = None,
        *,
        due_at: datetime | None = None,
        sent: bool | None = None,
        **more: Any,
    ) -> DeliveryFinish:
        return DeliveryFinish(
            work.delivery_id,
            state,
            due_at,
            because,
            fault,
            step=work.step,
            lane=work.lane,
            route=work.route,
            sent=work.sent if sent is None else sent,
            **more,
        )
