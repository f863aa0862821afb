"""The ends and waits of a delivery: each builds the `DeliveryFinish` that the ledger writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.core import retry
from app.core.outcomes import is_safe
from app.core.ports import Clock
from app.core.routing import Route, RouteCall
from app.core.site import Site
from app.core.times import iso
from app.model import (
    Attempt,
    CallRow,
    CallState,
    DeliveryFinish,
    DeliveryState,
    DeliveryWork,
    Fault,
    Identifier,
    Json,
    Outcome,
    Reference,
    ReferenceKey,
)
from app.pipeline.answers import Answer, learn
from app.pipeline.call import Blocked
from app.pipeline.render import Rendered
from app.pipeline.request import find_operation
from app.pipeline.waits import Waits

log = structlog.get_logger()

#: A probe looks after this long: what was in doubt has mostly settled at the target by then.
_PROBE_AFTER_S = 2.0


def was_sent(work: DeliveryWork) -> bool:
    """Whether an earlier try of the current call may have reached the target, before the delivery began again too."""
    row = work.calls.get(work.step)
    return work.sent or (row is not None and row.state == "in_doubt")


def begun(work: DeliveryWork) -> bool:
    """Whether a call was made since the delivery began, or began again."""
    return any(row.state == "delivered" for step, row in work.calls.items() if step < work.step)


def made(work: DeliveryWork) -> list[int]:
    """The calls that were made, before the delivery began again too; counted from 1."""
    return sorted(step + 1 for step, row in work.calls.items() if row.state in ("delivered", "made"))


class Finisher:
    """Builds what to write of a try, with the time of the next look where there is one."""

    def __init__(self, site: Site, clock: Clock, waits: Waits) -> None:
        self._site, self._clock, self._waits = site, clock, waits

    def delivered(self, work: DeliveryWork, route: Route, rendered: Rendered, answer: Answer) -> DeliveryFinish:
        """It is at the target: done, or on to the route's next call, with what the answer told.

        Raises `DataError` when a number cannot be captured from the answer.
        """
        learned = learn(self._site, work, rendered, answer, self._clock.now())
        used = [Identifier(one["to"], f"{one['to_system']} {one['kind']}") for one in rendered.used.values()]
        finish = self._finish(
            work,
            "done",
            answer.because,
            answer=answer.body,
            idempotency_key=rendered.idempotency_key,
            operation=rendered.operation.name,
            identifiers=(*used, *learned.identifiers),
            references=tuple(learned.references),
        )
        return self._onwards(work, route, finish)

    def left_out(self, work: DeliveryWork, route: Route, call: RouteCall) -> DeliveryFinish:
        """The call's `when` does not hold: on to the next one, or the end, skipped when no call was made at all."""
        because = f"call {work.step + 1} ({call.connection}.{call.operation}) not wanted: when is false"
        row = work.calls.get(work.step)
        finish = self._finish(work, "done" if made(work) else "skipped", because, counted=False)
        # What had its effect, or may have had it, is remembered for the case that it is wanted once more.
        if row is not None and row.state in ("delivered", "made"):
            finish = replace(finish, operation=call.operation, call_state="made", answer=row.answer)
        else:
            state_of_call: CallState = "in_doubt" if was_sent(work) else "skipped"
            finish = replace(finish, operation=call.operation, call_state=state_of_call)
        return self._onwards(work, route, finish)

    def stands(self, work: DeliveryWork, route: Route, call: RouteCall, row: CallRow) -> DeliveryFinish:
        """The call had its effect before the delivery began again: it is not made twice, and its answer stands."""
        because = f"call {work.step + 1} ({call.connection}.{call.operation}) was made before the delivery began again"
        finish = self._finish(work, "done", because, operation=call.operation, answer=row.answer, counted=False)
        return self._onwards(work, route, finish)

    def _onwards(self, work: DeliveryWork, route: Route, finish: DeliveryFinish) -> DeliveryFinish:
        if work.step + 1 >= len(route.calls):
            return finish
        # What goes well is no try of the schedule: each call has all of it, and a delivery that begins again ends once.
        following = route.calls[work.step + 1].connection
        return replace(
            finish, state="ready", due_at=self._clock.now(), step=work.step + 1, lane=following, counted=False
        )

    def restart(self, work: DeliveryWork, route: Route, rendered: Rendered, outcome: Outcome) -> DeliveryFinish:
        """Begins again at the first call, on the schedule of new tries; dead once that is spent."""
        finish = self.again(work, f"begins again: {outcome.because}", outcome.fault, outcome.retry_after_s)
        if finish.state == "dead":
            return finish
        return replace(
            finish,
            step=0,
            lane=route.calls[0].connection,
            operation=rendered.operation.name,
            idempotency_key=rendered.idempotency_key,
            call_state="in_doubt" if was_sent(work) else "refused",
            # To the old key the target would answer with the old refusal.
            new_key=rendered.operation.idempotency_header is not None,
        )

    def reviewed(self, work: DeliveryWork, rendered: Rendered, outcome: Outcome, answer: Json) -> DeliveryFinish:
        """The target's answer is for a person to judge: nothing is sent until somebody says what to do."""
        todo = f"`backhaul retry {work.delivery_id}` or `backhaul resolve {work.delivery_id} delivered|dead`"
        return self._finish(
            work,
            "parked",
            f"{outcome.because}; look at it, then {todo}",
            outcome.fault,
            due_at=self._waits.alarm(),
            answer=answer,
            idempotency_key=rendered.idempotency_key,
            operation=rendered.operation.name,
            call_state="review",
        )

    def still_reviewed(self, work: DeliveryWork) -> DeliveryFinish:
        """Nobody has judged the target's answer yet."""
        return self._finish(work, "parked", work.because, "data", due_at=self._waits.alarm(), counted=False)

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
        """Nothing to do any more. Done, and not skipped, when calls that change something were made before."""
        if calls := made(work):
            because += f"; made before that: call {', '.join(map(str, calls))}"
        return self._finish(work, "done" if self._changed(work, calls) else "skipped", because)

    def _changed(self, work: DeliveryWork, calls: Sequence[int]) -> bool:
        """Whether one of these calls, counted from 1, changes something at its target."""
        route = next((one for one in self._site.routes if one.name == work.route), None)
        wanted = [route.calls[number - 1] for number in calls if number <= len(route.calls)] if route else []
        return any(not is_safe(find_operation(self._site.connections[one.connection], one.operation)) for one in wanted)

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
