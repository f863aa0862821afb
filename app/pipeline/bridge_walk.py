"""The calls of one question of a bridge, in order, and the answer that they make. Nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from app.core.bridges import CallMade
from app.core.connectors import Operation
from app.core.jsontext import dump_text
from app.core.outcomes import is_safe, may_repeat
from app.core.ports import Clock, Ids
from app.core.routing import RouteCall, delivery_view, wanted
from app.core.site import Site
from app.errors import DataError
from app.model import Identifier, Json, Outcome
from app.pipeline.answers import Answer, learn_from
from app.pipeline.bridge_state import Answered, Stopped, Trouble, Walk
from app.pipeline.call import Blocked, Caller
from app.pipeline.doubt import Doubt
from app.pipeline.ports import PipelineLedger
from app.pipeline.render import Rendered, fill_in
from app.pipeline.request import find_operation
from app.pipeline.resolve import Resolution, Resolver

log = structlog.get_logger()

#: So often a question is begun anew because what it had read was changed meanwhile.
_RESTARTS_MOST = 2


class Saves(Protocol):
    """Writes how far a question came, before something is changed at a target."""

    def save(self, walk: Walk, /) -> bool:
        """False when the question is somebody else's by now. Raises `LedgerUnavailable`."""


class Walker:
    """Makes the calls of one question, all before its end."""

    def __init__(
        self, site: Site, ledger: PipelineLedger, caller: Caller, clock: Clock, ids: Ids, saves: Saves
    ) -> None:
        """`caller` keeps to the end; `saves` is asked before each call that changes something."""
        self._site, self._caller, self._clock, self._ids, self._saves = site, caller, clock, ids, saves
        self._resolver = Resolver(site, ledger, caller, clock, ids)
        self._doubt = Doubt(site, caller, ids)

    def walk(self, walk: Walk) -> Answered | Stopped:
        """Make the calls that are left, and the answer. Raises `LedgerUnavailable`."""
        while True:
            came = self._walk(walk)
            if not (isinstance(came, Stopped) and came.restart and walk.restarts < _RESTARTS_MOST):
                return came
            walk.restarts += 1

    def _walk(self, walk: Walk) -> Answered | Stopped:
        try:
            for call in walk.bridge.calls[walk.step :]:
                stopped = self._step(walk, call)
                if stopped is not None:
                    return stopped
            mapping = self._site.mappings[walk.bridge.answer]
            assert mapping.body is not None
            names = {"request": walk.request, "answers": walk.answers, "settings": self._settings(walk.bridge.source)}
            return Answered(200, dump_text(mapping.body.render(names, "body")))
        except DataError as error:
            # Before the first answer there is nothing but the question that could be at fault.
            blame: Trouble = "invalid" if error.what.startswith("request.") and not walk.calls else "faulty"
            return Stopped(blame, error.what if blame == "invalid" else str(error))

    def _step(self, walk: Walk, call: RouteCall) -> Answered | Stopped | None:
        """One call; None when it was passed."""
        names: dict[str, Any] = {
            "request": walk.request,
            "answers": walk.answers,
            "settings": self._settings(call.connection),
            "delivery": delivery_view(walk.delivery_id, walk.key),
        }
        if not wanted(call, walk.step + 1, names):
            walk.calls.append(CallMade(False))
            return None
        operation = find_operation(self._site.connections[call.connection], call.operation)
        rendered = self._rendered(walk, call, operation, names)
        if not isinstance(rendered, Rendered):
            return rendered
        faults = operation.body_schema.errors(rendered.body, "body") if operation.body_schema else []
        if faults:
            return Stopped("faulty", f"mapping {call.mapping} makes no valid body: " + "; ".join(faults))
        if (walk.sent and not may_repeat(operation)) or (operation.probe is not None and operation.probe.before):
            looked = self._look(walk, call, rendered)
            if looked is not None:
                return looked if isinstance(looked, Stopped) else None
        return self._send(walk, call, operation, rendered)

    def _look(self, walk: Walk, call: RouteCall, rendered: Rendered) -> Stopped | bool | None:
        """True: it is done already. None: it is not, so it may be sent."""
        if rendered.operation.probe is None:
            return Stopped("in_doubt", f"{_spoken(call)} was sent and not answered; nothing tells if it worked")
        looked = self._doubt.probe(walk, call, rendered, walk.attempts_made)
        if isinstance(looked, Blocked):
            return _blocked(looked, "in_doubt" if walk.sent else "unavailable")
        if looked.saw == "found" and looked.answer is not None:
            self._passed(walk, rendered, looked.answer)
            return True
        if looked.saw == "missing":
            return None
        because = f"looking at {_spoken(call)}: {looked.outcome.because}"
        if looked.saw == "unclear":
            because = f"the probe cannot tell whether {_spoken(call)} was done"
        return Stopped("in_doubt" if walk.sent or looked.saw == "unclear" else "unavailable", because)

    def _send(self, walk: Walk, call: RouteCall, operation: Operation, rendered: Rendered) -> Answered | Stopped | None:
        if not is_safe(operation):
            # Written first: should this process die now, whoever goes on must not send it once more.
            walk.sent = not may_repeat(operation)
            saved = False
            try:
                saved = self._saves.save(walk)
            finally:
                walk.sent = walk.sent and saved
            if not saved:
                return Stopped("late", "another process has taken the question over")
        called = self._caller.call(
            call.connection,
            call.operation,
            rendered.args,
            body=rendered.body,
            idempotency_key=rendered.idempotency_key,
        )
        if isinstance(called, Blocked):
            walk.sent = False
            return _blocked(called)
        walk.attempts_made.append(
            called.attempt(
                self._ids, "call", walk.attempts, delivery_id=walk.delivery_id, step=walk.step, used=rendered.used
            )
        )
        outcome = called.outcome
        if outcome.result == "delivered":
            self._passed(walk, rendered, Answer(called.response.body if called.response else None, outcome.status, ""))
            return None
        walk.sent = outcome.result == "in_doubt"
        if outcome.result == "rejected" and outcome.status == 404 and is_safe(operation):
            return self._nothing(walk, f"{_spoken(call)}: {outcome.because}")
        restart = outcome.result == "restart" and not self._changed(walk)
        if restart:
            # What was read is out of date.
            walk.calls = []
        return self._failed(call, outcome, restart)

    def _rendered(
        self, walk: Walk, call: RouteCall, operation: Operation, names: dict[str, Any]
    ) -> Rendered | Answered | Stopped:
        mapping = self._site.mappings[call.mapping]
        made = fill_in(
            mapping,
            operation,
            names,
            lambda use: self._resolver.resolve(use, names, walk),
            walk.attempts_made,
            walk.references,
        )
        return made if isinstance(made, Rendered) else self._unknown(walk, made)

    def _unknown(self, walk: Walk, found: Resolution) -> Answered | Stopped:
        if found.blocked:
            return _blocked(found.blocked)
        if found.failed:
            return Stopped("unavailable", f"looking up {found.key}: {found.failed.because}")
        if found.reference is not None:
            return Stopped("refused", f"{found.key} has several matches: a person has to choose with `refs set`")
        return self._nothing(walk, f"{found.key} is not known")

    def _nothing(self, walk: Walk, because: str) -> Answered | Stopped:
        """What was asked for is not there: the bridge's `empty`, unless something was changed already."""
        empty = walk.bridge.empty
        if empty is None or self._changed(walk):
            return Stopped("refused", because)
        names = {"request": walk.request, "settings": self._settings(walk.bridge.source)}
        body = empty.body.render(names, "empty.body") if empty.body else None
        return Answered(empty.status, "" if body is None else dump_text(body), final=False)

    def _changed(self, walk: Walk) -> bool:
        for call, made in zip(walk.bridge.calls, walk.calls, strict=False):
            operation = find_operation(self._site.connections[call.connection], call.operation)
            if made.made and not is_safe(operation):
                return True
        return False

    def _passed(self, walk: Walk, rendered: Rendered, answer: Answer) -> None:
        walk.calls.append(CallMade(True, answer.body))
        walk.sent = False
        walk.identifiers.extend(
            Identifier(one["to"], f"{one['to_system']} {one['kind']}") for one in rendered.used.values()
        )
        source, now = walk.bridge.source, self._clock.now()
        try:
            learned = learn_from(self._site, source, walk.delivery_id, rendered, answer, now)
        except DataError as error:
            # It is done: a number that cannot be read in the answer must not keep the asker waiting.
            log.warning("bridge.not_captured", question_id=walk.delivery_id, because=str(error))
        else:
            walk.identifiers.extend(learned.identifiers)
            walk.references.extend(learned.references)

    def _failed(self, call: RouteCall, outcome: Outcome, restart: bool) -> Stopped:
        trouble: Trouble = "unavailable"
        if outcome.result == "in_doubt":
            trouble = "in_doubt"
        elif outcome.result in ("rejected", "review", "restart"):
            trouble = "refused"
        return Stopped(trouble, f"{_spoken(call)}: {outcome.because}", restart=restart)

    def _settings(self, connection: str) -> Mapping[str, Json]:
        return self._site.connections[connection].public_settings


def _spoken(call: RouteCall) -> str:
    return f"{call.connection}.{call.operation}"


def _blocked(blocked: Blocked, trouble: Trouble = "unavailable") -> Stopped:
    return Stopped(trouble, f"{blocked.connection}: {blocked.because}", blocked.until)
