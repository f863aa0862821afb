"""A connection of the site, requests and an adapter, for tests of the HTTP adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.adapters.http import HttpSender
from app.adapters.system import SystemClock
from app.core.connectors import Connection, Connector, Limits
from app.core.networks import Allow, read_allow
from app.core.source import Where
from app.model import NoResponse, Request, Response
from app.pipeline.carry import Strands

WHERE = Where("connector.yaml", 1, 1)
JSON = "Content-Type: application/json"
#: Where the servers of the tests are.
HERE = "127.0.0.0/8,::1"


def allow(*texts: str) -> Allow:
    """What `allow` with these texts says."""
    made, wrong = read_allow(texts)
    assert not wrong
    return made


def connection(**auth: str) -> Connection:
    connector = Connector("acme", Path("."), WHERE)
    told = auth or {"scheme": "none"}
    return Connection("acme_eu", connector, WHERE, "acme_eu", limits=Limits(), auth=told, allow=allow(HERE))


def at(connection: Connection, url: str) -> Connection:
    """The connection with this `base_url`."""
    return replace(connection, settings={"base_url": url})


class Sender(HttpSender):
    """Takes the address of each request for the connection's own, where the connection has none."""

    def send(
        self,
        connection: Connection,
        request: Request,
        timeout_s: float,
        credentials: Mapping[str, str] | None = None,
    ) -> Response | NoResponse:
        found = connection if connection.settings else at(connection, request.url)
        return super().send(found, request, timeout_s, credentials)


class SenderInStrand(Sender):
    """Makes each call in a strand, as a worker does."""

    def send(self, *told: Any, **more: Any) -> Response | NoResponse:
        given: list[Response | NoResponse] = []
        strands = Strands(lambda call: given.append(call()), SystemClock())
        try:
            strands.begin(lambda: super(SenderInStrand, self).send(*told, **more))
            strands.finish(lambda: None)
        finally:
            strands.close()
        return given[0]


def request(url: str, method: str = "POST", body: Any = None) -> Request:
    return Request("acme_eu", "announce", method, url, {"Accept": "application/json"}, body)
