"""Deliver: references → mapping → request → call → outcome, for one step of one delivery at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from app.core import counting
from app.core.outcomes import may_repeat
from app.core.ports import Clock, Ids
from app.core.routing import Route, RouteCall, match
from app.core.site import Site
from app.core.times import iso
from app.errors import DataError, LedgerUnavailable, UnknownWord
from app.model import Attempt, DeliveryFinish, DeliveryWork, Reference
from app.pipeline.call import Blocked, Caller
from app.pipeline.doubt import Doubt
from app.pipeline.finish import Finisher, Rendered
from app.pipeline.ports import PipelineLedger
from app.pipeline.read import count_attempt
from app.pipeline.resolve import Resolution, Resolver
from app.pipeline.route import names_for, split_items
from app.pipeline.waits import Waits

log = structlog.get_logger()

#: A file in which no expression can name `raw` has neither the word nor an escape that might spell it.
_MENTIONS_RAW = re.compile(r"\braw\b|\\[xuU]")


class Deliverer:
    """Carries out deliveries to any connection: `deliver` in a pool thread, `commit` for many at once."""

    def __init__(
        self, site: Site, ledger: PipelineLedger, caller: Caller, clock: Clock, ids: Ids, waits: Waits, shard: str
    ) -> None:
        self._site, self._ledger, self._caller, self._ids, self._shard = site, ledger, caller, ids, shard
        self._routes = {route.name: route for route in site.routes}
        # The vendor's words lie unparsed with each document, and hardly any mapping looks at them.
        self._raw = not site.files or any(_MENTIONS_RAW.search(text) for text in site.files.values())
        self._resolver = Resolver(site, ledger, caller, clock, ids)
        self._finisher = Finisher(site, clock, waits)
        self._doubt = Doubt(site, caller, ids)

    def claim(self, connection: str, limit: int, lease_s: float, token: str) -> Sequence[DeliveryWork]:
        """Claim due deliveries, and ask the ledger at once for all numbers that they want translated."""
        works = self._ledger.claim_deliveries(connection, limit, lease_s, token)
        wanted = []
        for work in works:
            route = self._routes.get(work.route)
            if route is not None and work.step < len(route.calls):
                mapping = self._site.mappings[route.calls[work.step].mapping]
                # What cannot be worked out says so when it is delivered.
                with suppress(DataError):
                    names = self._names(work, route.calls[work.step]) if mapping.references else {}
                    wanted += [(work, use, names) for use in mapping.references]
        # They are claimed: without an answer each is asked for when it is needed.
        with suppress(LedgerUnavailable):
            self._resolver.ask_ahead(wanted)
        return works

    def deliver(self, work: DeliveryWork) -> DeliveryFinish:
        """Make the call of the delivery's current step, or say why not and when to look again.

        Never raises for bad data or a failing target: both are states that people can see.
        """
        attempts: list[Attempt] = []
        references: list[Reference] = []
        try:
            finish = self._deliver(work, attempts, references)
        except UnknownWord as error:
            finish = self._finisher.review(work, str(error))
        except DataError as error:
            finish = self._finisher.dead(work, str(error), "data")
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

    def _deliver(self, work: DeliveryWork, attempts: list[Attempt], references: list[Reference]) -> DeliveryFinish:
        route = self._routes.get(work.route)
        if route is None or work.step >= len(route.calls):
            return self._finisher.dead(work, f"route {work.route!r} is no longer in config/routes.yaml", "config")
        if not match([route], work.change, work.document.body, work.document.connection):
            return self._finisher.skipped(work, f"route {work.route} does not want this change any more")
        call = route.calls[work.step]
        rendered = self._render(work, call, attempts, references)
        if isinstance(rendered, DeliveryFinish):
            return rendered
        faults = rendered.operation.body_schema.errors(rendered.body, "body") if rendered.operation.body_schema else []
        if faults:
            what = "the rendered body does not fit the operation's schema: " + "; ".join(faults)
            return self._finisher.dead(work, f"{what}; mend mapping {call.mapping}, then retry", "data")
        if work.sent and not may_repeat(rendered.operation):
            settled = self._settle(work, call, rendered, attempts)
            if settled is not None:
                return settled
        return self._send(work, route, call, rendered, attempts)

    def _render(
        self, work: DeliveryWork, call: RouteCall, attempts: list[Attempt], references: list[Reference]
    ) -> Rendered | DeliveryFinish:
        mapping = self._site.mappings[call.mapping]
        connection = self._site.connections[call.connection]
        names = self._names(work, call)
        known: dict[str, str] = {}
        used: dict[str, Any] = {}
        for use in mapping.references:
            found = self._resolver.resolve(use, names, work)
            attempts.extend(found.attempts)
            if found.learned and found.reference:
                references.append(found.reference)
            waits = self._waits_for(work, found)
            if waits is not None:
                return waits
            assert found.reference is not None
            known[use.name] = found.reference.to_id
            used[use.name] = {
                "from": found.key.id,
                "to": found.reference.to_id,
                "kind": found.key.kind,
                "origin": found.reference.origin,
                "to_system": found.key.to_system,
            }
        names["refs"] = known
        args = mapping.args.render(names, "args") if mapping.args else {}
        body = mapping.body.render(names, "body") if mapping.body else None
        operation = connection.connector.operations[call.operation]
        key = f"{work.delivery_id}.{work.step}" + (f".{work.resends}" if work.resends else "")
        return Rendered(operation, args, body, key, used)

    def _names(self, work: DeliveryWork, call: RouteCall) -> dict[str, Any]:
        """What the mapping of a call sees, but for the references. Raises `DataError` when the part is not there."""
        mapping = self._site.mappings[call.mapping]
        names = names_for(work.document, work.change, raw=self._raw)
        names["answers"] = list(work.answers)
        names["settings"] = self._site.connections[call.connection].public_settings
        if mapping.split is not None:
            parts = split_items(mapping, names)
            if work.part not in parts:
                what = f"part {work.part!r} of the split is gone" if work.part else "it was never split"
                raise DataError(what, path="split", where=str(mapping.where))
            names[mapping.split.name] = parts[work.part]
        return names

    def _waits_for(self, work: DeliveryWork, found: Resolution) -> DeliveryFinish | None:
        if found.blocked:
            return self._finisher.blocked(work, found.blocked)
        if found.failed:
            because = f"looking up {found.key}: {found.failed.because}"
            if found.failed.pause:
                lookup = found.attempts[-1].connection
                return self._finisher.blocked(work, Blocked(lookup, found.failed.because, None))
            if found.failed.result == "rejected":
                return self._finisher.dead(work, because, found.failed.fault)
            return self._finisher.again(work, because, found.failed.fault, found.failed.retry_after_s)
        if found.missing == "park":
            return self._finisher.parked(work, found.key)
        if found.missing == "retry":
            return self._finisher.again(work, f"{found.key} is not known yet", "transient", None)
        if found.missing:
            return self._finisher.dead(work, f"{found.key} is not known", "data")
        if found.reference and found.reference.state == "conflict":
            return self._finisher.conflict(work, found.reference)
        return None

    def _settle(
        self, work: DeliveryWork, call: RouteCall, rendered: Rendered, attempts: list[Attempt]
    ) -> DeliveryFinish | None:
        """An earlier try may have reached the target: look there first. None means that it did not, so send."""
        if rendered.operation.probe is None:
            return self._finisher.in_doubt(work, "the request left and no answer came; nothing tells if it worked")
        looked = self._doubt.probe(work, call, rendered)
        if isinstance(looked, Blocked):
            return self._finisher.blocked(work, looked)
        attempts.append(looked.attempt)
        if looked.found is None:
            return self._finisher.in_doubt(work, f"the probe failed: {looked.attempt.outcome.because}", looked=True)
        if looked.found:
            return self._finisher.done(work, rendered, "found at the target by the probe", None)
        return None

    def _send(
        self, work: DeliveryWork, route: Route, call: RouteCall, rendered: Rendered, attempts: list[Attempt]
    ) -> DeliveryFinish:
        called = self._caller.call(
            call.connection,
            call.operation,
            rendered.args,
            body=rendered.body,
            idempotency_key=rendered.idempotency_key,
        )
        if isinstance(called, Blocked):
            return self._finisher.blocked(work, called)
        attempt = called.attempt(
            self._ids, "call", work.attempts, delivery_id=work.delivery_id, step=work.step, used=rendered.used
        )
        attempts.append(attempt)
        outcome = called.outcome
        if outcome.pause:
            return self._finisher.blocked(work, Blocked(call.connection, outcome.because, None))
        if outcome.result == "delivered":
            return self._finisher.delivered(work, route, rendered, called)
        if outcome.result == "rejected":
            return self._finisher.dead(work, outcome.because, outcome.fault)
        if outcome.result == "in_doubt":
            return self._finisher.in_doubt(work, outcome.because, looked=rendered.operation.probe is not None)
        return self._finisher.again(work, outcome.because, outcome.fault, outcome.retry_after_s)
