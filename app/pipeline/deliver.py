"""Deliver: references → mapping → request → call → outcome, for one step of one delivery at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from app.core import counting
from app.core.connectors import Operation
from app.core.outcomes import is_safe, may_repeat
from app.core.ports import Clock, Ids
from app.core.routing import Route, RouteCall, match, wanted
from app.core.site import Site
from app.core.times import iso
from app.errors import DataError, LedgerUnavailable, UnknownWord
from app.model import Attempt, DeliveryFinish, DeliveryWork, Reference
from app.pipeline.answers import Answer
from app.pipeline.call import Blocked, Caller
from app.pipeline.confirm import Confirmation
from app.pipeline.doubt import Doubt
from app.pipeline.finish import Finisher, begun, was_sent
from app.pipeline.ports import PipelineLedger
from app.pipeline.read import count_attempt
from app.pipeline.render import Rendered, Renderer
from app.pipeline.request import find_operation
from app.pipeline.resolve import Resolution, Resolver
from app.pipeline.restored import Restored
from app.pipeline.waits import Waits

log = structlog.get_logger()

_NO_ANSWER = "the request left and no answer came"


class Deliverer:
    """Carries out deliveries to any connection: `deliver` in a pool thread, `commit` for many at once."""

    def __init__(
        self, site: Site, ledger: PipelineLedger, caller: Caller, clock: Clock, ids: Ids, waits: Waits, shard: str
    ) -> None:
        self._site, self._ledger, self._caller, self._ids, self._shard = site, ledger, caller, ids, shard
        self._routes = {route.name: route for route in site.routes}
        self._resolver = Resolver(site, ledger, caller, clock, ids)
        self._renderer = Renderer(site, self._resolver)
        self._finisher = Finisher(site, clock, waits)
        self._confirmation = Confirmation(site, caller, clock, ids, self._finisher)
        self._doubt = Doubt(site, caller, ids)
        self._restored = Restored(ledger, clock)

    def claim(self, connection: str, limit: int, lease_s: float, token: str) -> Sequence[DeliveryWork]:
        """Claim due deliveries, and ask the ledger at once for all numbers that they want translated."""
        self._restored.ask()
        works = self._restored.doubt(self._ledger.claim_deliveries(connection, limit, lease_s, token))
        asked = []
        for work in works:
            route = self._routes.get(work.route)
            if route is not None and work.step < len(route.calls):
                mapping = self._site.mappings[route.calls[work.step].mapping]
                # What cannot be worked out says so when it is delivered.
                with suppress(DataError):
                    names = self._renderer.names(work, route.calls[work.step]) if mapping.references else {}
                    asked += [(work, use, names) for use in mapping.references]
        # They are claimed: without an answer each is asked for when it is needed.
        with suppress(LedgerUnavailable):
            self._resolver.ask_ahead(asked)
        return works

    def deliver(self, work: DeliveryWork, held: Callable[[], bool] | None = None) -> DeliveryFinish:
        """Make the call of the delivery's current step, or say why not and when to look again.

        `held` tells whether the lease still holds. It is asked just before the request is sent: all that comes before,
        a look at the target for example, may have taken longer than the lease when the process stood still, and
        somebody else may have done it meanwhile. Never raises for bad data or a failing target: both are states that
        people can see.
        """
        attempts: list[Attempt] = []
        references: list[Reference] = []
        try:
            finish = self._deliver(work, held, attempts, references)
        except UnknownWord as error:
            finish = _after(attempts, self._finisher.review(work, str(error)))
        except DataError as error:
            finish = _after(attempts, self._finisher.dead(work, str(error), "data"))
        finish = self._finisher.complete(finish, attempts, references)
        if finish.state in ("parked", "conflict"):
            self._finisher.tell_waiting(work, finish)
        for attempt in attempts:
            log.info(
                "delivery.attempted",
                delivery_id=work.delivery_id,
                route=work.route,
                kind=attempt.kind,
                call=f"{attempt.connection}.{attempt.operation}",
                number=attempt.number,
                outcome=attempt.outcome.result,
                fault=attempt.outcome.fault,
                status=attempt.outcome.status,
                ms=attempt.took_ms,
                state=finish.state,
                next=iso(finish.due_at) if finish.due_at else None,
            )
        return finish

    def failed(self, work: DeliveryWork, error: Exception) -> DeliveryFinish:
        """What to write when delivering met a fault of our own: tried again later, shown until then."""
        because = f"the hub itself failed: {type(error).__name__}; see the log of {work.delivery_id}"
        # Nobody knows whether it was before or after the request left.
        return replace(self._finisher.again(work, because, None, None), sent=True)

    def commit(self, token: str, finishes: Sequence[DeliveryFinish]) -> list[str]:
        """Write finished tries with what they learned; the lanes that got work."""
        tally = counting.Tally()
        lanes: set[str] = set()
        with self._ledger.write() as tx:
            held = tx.finish_deliveries(token, finishes)
            for finish in finishes:
                for attempt in finish.attempts:
                    count_attempt(tally, attempt)
                if finish.delivery_id not in held:
                    tally.add(counting.FENCED, connection=finish.lane)
                    log.warning("delivery.fenced", delivery_id=finish.delivery_id, because="its lease was lost")
                elif finish.due_at is None:
                    tally.add(counting.DELIVERIES, connection=finish.lane, route=finish.route, state=finish.state)
                lanes.add(finish.lane)
            tx.count(tally.amounts(), self._shard)
        return [f"out:{lane}" for lane in sorted(lanes)]

    def _deliver(
        self,
        work: DeliveryWork,
        held: Callable[[], bool] | None,
        attempts: list[Attempt],
        references: list[Reference],
    ) -> DeliveryFinish:
        route = self._routes.get(work.route)
        if route is None or work.step >= len(route.calls):
            why = f"route {work.route!r} is no longer in config/routes.yaml or config/flows"
            return self._finisher.dead(work, why, "config")
        if not match([route], work.change, work.document.body, work.document.connection):
            return self._finisher.skipped(work, f"route {work.route} does not want this change any more")
        call, row = route.calls[work.step], work.calls.get(work.step)
        if row is not None and row.state == "review":
            return self._finisher.still_reviewed(work)
        if call.when is not None and not wanted(call, work.step + 1, self._renderer.plain_names(work, call)):
            return self._finisher.left_out(work, route, call)
        operation = find_operation(self._site.connections[call.connection], call.operation)
        if row is not None and row.state in ("delivered", "made") and not is_safe(operation):
            return self._finisher.stands(work, route, call, row)
        return self._make(work, route, call, operation, held, attempts, references)

    def _make(
        self,
        work: DeliveryWork,
        route: Route,
        call: RouteCall,
        operation: Operation,
        held: Callable[[], bool] | None,
        attempts: list[Attempt],
        references: list[Reference],
    ) -> DeliveryFinish:
        """Make the call: confirm, render, look where that is due, send."""
        sent, confirm = was_sent(work) and not is_safe(operation), route.confirm and not begun(work)
        if confirm and not sent:
            gone = self._confirmation.ask(work, attempts)
            if gone is not None:
                return gone
        rendered = self._renderer.render(work, call, attempts, references)
        if isinstance(rendered, Resolution):
            return self._stopped(work, rendered)
        faults = operation.body_schema.errors(rendered.body, "body") if operation.body_schema else []
        if faults:
            what = "the rendered body does not fit the operation's schema: " + "; ".join(faults)
            return self._finisher.dead(work, f"{what}; mend mapping {call.mapping}, then retry", "data")
        look = _must_look(work, operation, confirm)
        if look:
            settled = self._look(work, route, call, rendered, attempts)
            if settled is not None:
                return settled
        if confirm and sent:
            gone = self._confirmation.ask(work, attempts)
            if gone is not None and gone.state == "skipped" and not look:
                # Not sent again, and nothing tells whether it arrived the first time.
                return self._finisher.in_doubt(work, f"{gone.because}; an earlier try may have reached the target")
            if gone is not None:
                return gone
        return self._send(work, route, call, rendered, held, attempts)

    def _stopped(self, work: DeliveryWork, found: Resolution) -> DeliveryFinish:
        """A reference stands in the way."""
        if found.blocked:
            return self._finisher.blocked(work, found.blocked)
        if found.failed:
            because = f"looking up {found.key}: {found.failed.because}"
            if found.failed.pause:
                lookup = found.attempts[-1].connection
                return self._finisher.blocked(work, Blocked(lookup, found.failed.because, None))
            if found.failed.result == "rejected":
                return self._finisher.dead(work, because, found.failed.fault)
            if found.failed.result == "review":
                return self._finisher.review(work, because)
            return self._finisher.again(work, because, found.failed.fault, found.failed.retry_after_s)
        if found.reference is not None:
            return self._finisher.conflict(work, found.reference)
        if found.missing == "park":
            return self._finisher.parked(work, found.key)
        if found.missing == "retry":
            return self._finisher.again(work, f"{found.key} is not known yet", "transient", None)
        return self._finisher.dead(work, f"{found.key} is not known", "data")

    def _look(
        self, work: DeliveryWork, route: Route, call: RouteCall, rendered: Rendered, attempts: list[Attempt]
    ) -> DeliveryFinish | None:
        """Look at the target whether it is done already. None: it is not, so send."""
        sent = was_sent(work)
        if rendered.operation.probe is None:
            why = "the ledger was put back: it may have been sent before" if work.other_keys else _NO_ANSWER
            return self._finisher.in_doubt(work, f"{why}; nothing tells if it worked")
        looked = self._doubt.probe(work, call, rendered, attempts)
        if isinstance(looked, Blocked):
            return self._finisher.blocked(work, looked)
        if looked.saw == "found" and looked.answer is not None:
            told = "found at the target by the probe" + ("" if sent else ", before it was sent")
            return self._finisher.delivered(work, route, rendered, replace(looked.answer, because=told))
        if looked.saw == "unclear":
            return self._finisher.in_doubt(work, "the probe cannot tell whether it is at the target")
        if looked.saw == "missing":
            return None
        if sent:
            return self._finisher.in_doubt(work, f"the probe failed: {looked.outcome.because}", looked=True)
        if looked.outcome.pause:
            return self._finisher.blocked(work, Blocked(call.connection, looked.outcome.because, None))
        because = f"looking at the target before sending: {looked.outcome.because}"
        if looked.outcome.result == "rejected":
            return self._finisher.dead(work, because, looked.outcome.fault)
        return self._finisher.again(work, because, looked.outcome.fault, looked.outcome.retry_after_s)

    def _send(
        self,
        work: DeliveryWork,
        route: Route,
        call: RouteCall,
        rendered: Rendered,
        held: Callable[[], bool] | None,
        attempts: list[Attempt],
    ) -> DeliveryFinish:
        called = self._caller.call(
            call.connection,
            call.operation,
            rendered.args,
            body=rendered.body,
            idempotency_key=rendered.idempotency_key,
            held=held,
        )
        if isinstance(called, Blocked):
            return self._finisher.blocked(work, called)
        attempt = called.attempt(
            self._ids, "call", work.attempts, delivery_id=work.delivery_id, step=work.step, used=rendered.used
        )
        attempts.append(attempt)
        outcome = called.outcome
        body = called.response.body if called.response else None
        if outcome.pause:
            return self._finisher.blocked(work, Blocked(call.connection, outcome.because, None))
        match outcome.result:
            case "delivered":
                answer = Answer(body, outcome.status, outcome.because)
                return self._finisher.delivered(work, route, rendered, answer)
            case "rejected":
                return self._finisher.dead(work, outcome.because, outcome.fault)
            case "review":
                return self._finisher.reviewed(work, rendered, outcome, body)
            case "restart":
                return self._finisher.restart(work, route, rendered, outcome)
            case "in_doubt":
                return self._finisher.in_doubt(work, outcome.because, looked=rendered.operation.probe is not None)
            case "retry":
                return self._finisher.again(work, outcome.because, outcome.fault, outcome.retry_after_s)


def _after(attempts: Sequence[Attempt], finish: DeliveryFinish) -> DeliveryFinish:
    """The finish of a try that a fault of the files ended: when that was after the call, it may not be made again."""
    made = any(attempt.kind == "call" for attempt in attempts)
    return replace(finish, sent=True) if made else finish


def _must_look(work: DeliveryWork, operation: Operation, confirm: bool) -> bool:
    """Whether the target has to be looked at before anything is sent."""
    if was_sent(work):
        # Where the source is asked too, only a look can tell apart "no longer true" and "done, and then undone".
        if work.other_keys and not is_safe(operation):
            return True
        return not may_repeat(operation) or (operation.probe is not None and (confirm or operation.probe.before))
    row = work.calls.get(work.step)
    return operation.probe is not None and operation.probe.before and (row is None or row.state != "send")
