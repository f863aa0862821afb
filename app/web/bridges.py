"""`POST /bridge/<connection>/<path>`: hands the question as it came to `pipeline.bridge`, and waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from flask import Blueprint, Response, request

from app.core.site import Site
from app.errors import LedgerUnavailable
from app.model import Rejection
from app.pipeline.bridge import Bridges
from app.pipeline.bridge_ports import BridgeServices, CountingLedger
from app.pipeline.call import Caller
from app.pipeline.gates import Gates
from app.pipeline.tokens_login import Logins
from app.web.answers import JSON
from app.web.webhooks import METHODS, incoming

_TIDY_S = 1.0


def blueprint(bridges: Bridges) -> Blueprint:
    """The door for those who ask."""
    pages = Blueprint("bridges", __name__)

    @pages.route("/bridge/<connection>/<path:path>", methods=METHODS, provide_automatic_options=False)
    def bridge(connection: str, path: str) -> Response:
        reply = bridges.ask(incoming(request.environ, connection), path)
        return Response(reply.body, reply.status, dict(reply.headers), content_type=JSON)

    return pages


class Answering:
    """The bridges of a process with what they call through, and a thread that keeps its shares in order."""

    def __init__(self, services: BridgeServices, reject: Callable[[Rejection, bool], object]) -> None:
        """Raises `ConfigError` when a question could not be verified."""
        site: Site = services.site
        self._ledger: CountingLedger = services.ledger
        limits = {name: connection.limits for name, connection in site.connections.items()}
        holder = services.ids.new("web")
        self._gates = Gates(limits, site.hub.breaker, services.ledger, services.clock, holder)
        logins = Logins(services.http, services.clock, services.tokens, services.hide)
        caller = Caller(site, self._gates, services.http, services.clock, logins)
        at_once = max(1, site.hub.web_threads // 2)
        self.bridges = Bridges(site, services.ledger, caller, services.clock, services.ids, reject, at_once=at_once)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._tidy, name="bridges", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of every share, and write what was counted."""
        self.bridges.stop()
        self._gates.stop()
        self._closing.set()
        self._thread.join(5)
        self._write_counts()
        self._gates.release()

    def _tidy(self) -> None:
        while not self._closing.wait(_TIDY_S):
            self._gates.tidy()
            self._write_counts()

    def _write_counts(self) -> None:
        amounts = self.bridges.counts()
        if amounts:
            # Counters are worth no more than this: the log has every answer.
            with suppress(LedgerUnavailable), self._ledger.write() as tx:
                tx.count(amounts, "web bridges")
