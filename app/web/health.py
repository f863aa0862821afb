"""`/healthz`: the process answers. `/readyz`: the hub can work; a dead target does not count, a stopped clock does."""

from __future__ import annotations

from flask import Blueprint, Response

from app.core.ports import Clock
from app.errors import LedgerUnavailable
from app.web.answers import answer
from app.web.ports import WebLedger

#: Seconds that the clock's lease may have run out before the hub counts as standing still.
CLOCK_PATIENCE_S = 5.0


def blueprint(ledger: WebLedger, clock: Clock) -> Blueprint:
    """The two questions that supervisors and load balancers ask."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def alive() -> Response:
        return answer({"alive": True})

    @pages.get("/readyz")
    def ready() -> Response:
        try:
            ledger.ping()
            age = clock_age_s(ledger, clock)
        except LedgerUnavailable:
            return answer({"ready": False, "ledger": "unavailable", "clock": "unknown"}, 503)
        if age is None or age >= CLOCK_PATIENCE_S:
            return answer({"ready": False, "ledger": "ok", "clock": "stopped"}, 503)
        return answer({"ready": True, "ledger": "ok", "clock": "ok"})

    return pages


def clock_age_s(ledger: WebLedger, clock: Clock) -> float | None:
    """Seconds since the lease of the clock process ran out: 0 while it runs, None when it never ran.

    Raises LedgerUnavailable.
    """
    lease = ledger.lease("clock")
    if lease is None:
        return None
    return max(0.0, (clock.now() - lease[1]).total_seconds())
