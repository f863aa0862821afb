"""Looks at a target whether what a call would do is done already: after a doubt, or before the first send."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from app.core.connectors import Probe
from app.core.ports import Ids
from app.core.routing import RouteCall
from app.core.site import Site
from app.model import Attempt, Outcome
from app.pipeline.answers import Answer
from app.pipeline.call import Blocked, Called, Caller, PagesStopped
from app.pipeline.render import Rendered
from app.pipeline.request import find_operation
from app.pipeline.resolve import Asks


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to: found, missing, unclear (a person decides), or failed (it saw nothing).

    `outcome` is that of the last call; `answer` is what stands for the operation's answer when it was found.
    """

    saw: Literal["found", "missing", "unclear", "failed"]
    outcome: Outcome
    answer: Answer | None = None


class Doubt:
    """Carries out the probes of operations."""

    def __init__(self, site: Site, caller: Caller, ids: Ids) -> None:
        self._site, self._caller, self._ids = site, caller, ids

    def probe(self, work: Asks, call: RouteCall, rendered: Rendered, attempts: list[Attempt]) -> Looked | Blocked:
        """Carry out the operation's probe for the request that `rendered` would send; `attempts` grow by its calls.

        Raises `DataError` when the probe's own expressions fail.
        """
        probe = rendered.operation.probe
        assert probe is not None
        args = probe.args.render(rendered.names, "probe.with")
        calls: list[Called] = []
        try:
            seen = self._ask(call.connection, probe.operation, args, calls)
        finally:
            attempts.extend(
                one.attempt(self._ids, "probe", work.attempts, delivery_id=work.delivery_id, step=work.step)
                for one in calls
            )
        if isinstance(seen, Blocked):
            return seen
        if isinstance(seen, Outcome):
            gone = len(calls) == 1 and seen.status == 404 and seen.result == "rejected"
            return Looked("missing" if gone else "failed", seen)
        return _judged(probe, rendered, seen, calls[0])

    def _ask(self, connection: str, operation: str, args: Any, calls: list[Called]) -> Blocked | Outcome | Answer:
        """The whole answer, all pages of a list as one; or why there is none."""
        paged = find_operation(self._site.connections[connection], operation).paging is not None
        if not paged:
            called = self._caller.call(connection, operation, args)
            if isinstance(called, Blocked):
                return called
            calls.append(called)
            if called.outcome.result != "delivered" or called.response is None:
                return called.outcome
            return Answer(called.response.body, called.response.status, "")
        items: list[Any] = []
        try:
            for page in self._caller.page_by_page(connection, operation, args):
                calls.append(page.called)
                items.extend(page.items)
        except PagesStopped as stopped:
            if isinstance(stopped.why, Called):
                calls.append(stopped.why)
                return stopped.why.outcome
            if isinstance(stopped.why, Blocked):
                return stopped.why
            return replace(calls[-1].outcome, result="retry", because=str(stopped), fault="remote")
        return Answer({"items": items}, calls[0].outcome.status, "")


def _judged(probe: Probe, rendered: Rendered, seen: Answer, first: Called) -> Looked:
    names = {**rendered.names, "body": seen.body, "status": seen.status}
    if probe.unclear is not None and probe.unclear.render(names, "probe.unclear"):
        return Looked("unclear", first.outcome)
    if not probe.found.render(names, "probe.found"):
        return Looked("missing", first.outcome)
    if probe.answer is None:
        return Looked("found", first.outcome, replace(seen, own=False))
    body = probe.answer.render(names, "probe.answer")
    return Looked("found", first.outcome, replace(seen, body=body))
