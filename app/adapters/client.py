"""Plain HTTP to the hub itself and to simulators on this machine, for the commands. Vendors are called by `http.py`."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.adapters.outbound import BarredError, Guard, Names
from app.core.connectors import Connection
from app.core.jsontext import dumps, loads
from app.errors import DataError, HubError
from app.model import Json

_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered: the status, and the body as JSON where it is JSON, else as text."""

    status: int
    body: Json


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: what is sent along, a token for example, is meant for the one that was asked."""

    def redirect_request(self, *_: Any) -> None:
        """Nothing more is asked."""


# An empty table: what runs on this machine is never reached through a proxy of the environment.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)


class Client:
    """Asks once; nothing is kept between two calls."""

    def ask(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> Said:
        """One request, any status answered. Raises `HubError` when there is no answer."""
        request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
        try:
            with _OPENER.open(request, timeout=timeout_s) as answer:
                return Said(answer.status, _read(answer.read(_MOST_BYTES)))
        except urllib.error.HTTPError as error:
            return Said(error.code, _read(error.read(_MOST_BYTES)))
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise HubError(f"no answer from {url}: {reason}") from None

    def ask_json(self, method: str, url: str, value: Json = None, *, timeout_s: float = 10.0) -> Said:
        """`ask` with a JSON body, or none when `value` is None."""
        body = None if value is None else dumps(value)
        return self.ask(method, url, body=body, headers={"Content-Type": "application/json"}, timeout_s=timeout_s)

    def reach(self, url: str, timeout_s: float = 3.0) -> str:
        """Why nothing takes connections at the URL's host and port; "" when something does."""
        try:
            host, port = _door(url)
            socket.create_connection((host, port), timeout=timeout_s).close()
        except (KeyError, ValueError):
            return "is no http or https address"
        except OSError as error:
            return f"no connection to {host}:{port}: {error.strerror or error}"
        return ""

    def barred(self, connection: Connection, timeout_s: float = 3.0) -> str:
        """Why the hub's calls may not go to the addresses of `base_url` and the logins; "" when they may.

        Nothing is said of a host that nobody knows now.
        """
        guard, deadline = Guard(Names(), connection.allow), time.monotonic() + timeout_s
        for url in connection.urls():
            try:
                guard.addresses(*_door(url), deadline)
            except BarredError as error:
                return f"calls are refused: {error.told(connection.where)}"
            except (KeyError, ValueError, OSError):
                continue
        return ""


def _door(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or {"https": 443, "http": 80}[parts.scheme]


def _read(data: bytes) -> Json:
    try:
        return loads(data)
    except DataError:
        return data.decode("utf-8", "replace")
