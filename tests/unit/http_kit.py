"""A connection of the site, requests and an adapter, for tests of the HTTP adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.core.connectors import Connection, Connector, Limits
from app.core.source import Where
from app.model import Request

WHERE = Where("connector.yaml", 1, 1)
JSON = "Content-Type: application/json"


def connection(**auth: str) -> Connection:
    connector = Connector("acme", Path("."), WHERE)
    return Connection("acme_eu", connector, WHERE, "acme_eu", limits=Limits(), auth=auth or {"scheme": "none"})


def request(url: str, method: str = "POST", body: Any = None) -> Request:
    return Request("acme_eu", "announce", method, url, {"Accept": "application/json"}, body)
