"""In doubt: the request left and the answer never came. A probe looks at the target before anything is sent again."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.ports import Ids
from app.core.routing import RouteCall
from app.core.site import Site
from app.model import Attempt, DeliveryWork
from app.pipeline.call import Blocked, Caller
from app.pipeline.finish import Rendered


@dataclass(frozen=True, slots=True)
class Looked:
    """What a probe saw: found, not found, or None when it could not look."""

    found: bool | None
    attempt: Attempt


class Doubt:
    """Asks a target whether an earlier request had its effect."""

    def __init__(self, site: Site, caller: Caller, ids: Ids) -> None:
        self._site, self._caller, self._ids = site, caller, ids

    def probe(self, work: DeliveryWork, call: RouteCall, rendered: Rendered) -> Looked | Blocked:
        """Carry out the operation's probe for the request that `rendered` would send.

        Raises `DataError` when the probe's own expressions fail.
        """
        probe = rendered.operation.probe
        assert probe is not None
        names = {
            "request": {"body": rendered.body, "args": rendered.args},
            "settings": self._site.connections[call.connection].public_settings,
        }
        called = self._caller.call(call.connection, probe.operation, probe.args.render(names, "probe.with"))
        if isinstance(called, Blocked):
            return called
        attempt = called.attempt(self._ids, "probe", work.attempts, delivery_id=work.delivery_id, step=work.step)
        if called.outcome.status == 404 and called.outcome.result == "rejected":
            return Looked(False, attempt)
        if called.outcome.result != "delivered" or called.response is None:
            return Looked(None, attempt)
        answer = {**names, "body": called.response.body, "status": called.response.status}
        return Looked(bool(probe.found.render(answer, "probe.found")), attempt)
