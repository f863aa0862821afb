"""A caller on a real ledger with a target that answers what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.core.connectors import Connection, Limits
from app.core.site import BreakerPolicy, Hub
from app.model import NoResponse, Request, Response
from app.pipeline.call import Caller
from app.pipeline.gates import Gates
from tests.support import HandClock
from tests.unit.engine_kit import connection, operation, site

Answer = Response | NoResponse


class Target:
    """Answers what it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Answer] = lambda request: ok({})

    def send(self, connection: Connection, request: Request, timeout_s: float) -> Answer:
        self.requests.append(request)
        return self.answer(request)


def ok(body: Any) -> Response:
    return Response(200, {"content-type": "application/json", "x-id": "7"}, body, "", 5)


def status(number: int, **headers: str) -> Callable[[Request], Answer]:
    found = {name.replace("_", "-"): told for name, told in headers.items()}
    return lambda request: Response(number, found, {"message": "no"}, "", 5)


def caller(
    ledger: Ledger, clock: HandClock, target: Target, *, limits: Limits | None = None, failures: int = 3, **op: Any
) -> Caller:
    hub = Hub(breaker=BreakerPolicy(failures=failures, open_s=30, longest_s=100))
    found = connection(operation(**op), limits=limits)
    made = site(found, hub=hub)
    gates = Gates({found.name: found.limits}, hub.breaker, ledger, clock, SystemIds().new("wrk"))
    return Caller(made, gates, target, clock)
