"""Calls to targets over HTTP. The network's failures are values: nothing here raises for them."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from requests import RequestException

from app.adapters.http_answer import Answer, TooLargeError, read_answer
from app.adapters.http_request import origin_of, write_request
from app.adapters.outbound import BarredError, Guard, Names
from app.adapters.sockets import NotConnectedError, Origin, Pool
from app.core.auth import credentials
from app.core.connectors import Connection
from app.core.jsontext import loads
from app.core.outcomes import SAFE_METHODS
from app.errors import DataError
from app.model import Json, NoResponse, Request, Response

#: Larger answers are cut off, in bytes.
BODY_CAP = 5 * 2**20
TEXT_KEPT = 2_000  # characters
#: They say nothing, or are credentials of a session that the hub does not keep.
_DROPPED_HEADERS = ("set-cookie", "set-cookie2")


class _Line(NamedTuple):
    """What stays the same for every call of one connection of the site."""

    connection: Connection
    credentials: Mapping[str, str]
    pool: Pool
    #: Where its files send its calls and logins. Its secrets go nowhere else, whatever was rendered.
    own: frozenset[Origin]


class HttpSender:
    """Sends requests over one pool of kept-alive connections for each connection of the site."""

    def __init__(self, *, body_cap: int = BODY_CAP) -> None:
        self._body_cap = body_cap
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._names = Names()

    def send(
        self,
        connection: Connection,
        request: Request,
        timeout_s: float,
        credentials: Mapping[str, str] | None = None,
    ) -> Response | NoResponse:
        """Send the request with the connection's credentials and read the whole answer within `timeout_s`.

        `credentials` are headers that a login gave: they win over all others and are kept nowhere.

        It goes to the hosts that the connection's files name and to no others, and only to addresses that are public
        or allowed. Redirects are not followed, cookies not kept. A request that changes nothing and met a connection
        which the target was just closing is sent once more.
        """
        answer = self._once(connection, request, timeout_s, credentials)
        if isinstance(answer, NoResponse) and answer.kind == "broken" and request.method in SAFE_METHODS:
            left = timeout_s - answer.took_ms / 1000
            if left > 0.1:
                return self._once(connection, request, left, credentials)
        return answer

    def close(self) -> None:
        """Close every kept connection."""
        with self._lock:
            lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.pool.close()

    def _once(
        self, connection: Connection, request: Request, timeout_s: float, credentials: Mapping[str, str] | None
    ) -> Response | NoResponse:
        started = time.monotonic()
        try:
            line = self._line(connection)
            # Credentials come last: neither a template nor a record ever holds them.
            fixed = {**line.credentials, **credentials} if credentials else line.credentials
            origin, message = write_request(request, fixed)
        except (RequestException, DataError, ValueError) as error:
            return NoResponse("refused", f"cannot be sent: {_reason(error)}", False, 0)
        if origin not in line.own:
            return NoResponse("refused", _foreign(origin, connection), False, 0)
        try:
            answer = self._exchange(line.pool, origin, message, request.method, started, timeout_s)
        except NotConnectedError as error:
            return _not_connected(error.__cause__, _since(started), connection)
        except TooLargeError:
            what = f"the answer is larger than {self._body_cap // 2**20} MiB"
            return NoResponse("too_large", what, True, _since(started))
        except TimeoutError:
            return NoResponse("timeout", f"no complete answer within {timeout_s:g} s", True, _since(started))
        except Exception as error:  # of any kind: a byte may have left, so the call is in doubt and nothing else
            what = f"the connection broke before the answer was complete: {_reason(error)}"
            return NoResponse("broken", what, True, _since(started))
        return _response(answer, _since(started))

    def _exchange(
        self, pool: Pool, origin: Origin, message: bytes, method: str, started: float, timeout_s: float
    ) -> Answer:
        wire = pool.take(origin, started + timeout_s, started)
        reusable = False
        try:
            wire.send(message)
            answer = read_answer(wire.receive, method, self._body_cap)
            reusable = answer.reusable
            return answer
        finally:
            if reusable:
                pool.put(wire, time.monotonic())
            else:
                wire.close()

    def _line(self, connection: Connection) -> _Line:
        line = self._lines.get(connection.name)
        if line is None or line.connection is not connection:
            with self._lock:
                known = self._lines.get(connection.name)
                pool = known.pool if known else None
                if pool is None or pool.guard.allow != connection.allow:
                    if pool is not None:
                        pool.close()
                    pool = Pool(connection.limits.concurrency, Guard(self._names, connection.allow))
                own = frozenset(origin for url in connection.urls() if (origin := origin_of(url)))
                line = self._lines[connection.name] = _Line(connection, credentials(connection.auth), pool, own)
        return line


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _response(answer: Answer, took_ms: int) -> Response:
    status, headers, body, _ = answer
    for name in _DROPPED_HEADERS:
        if name in headers:
            del headers[name]
    text = body[: TEXT_KEPT * 4].decode("utf-8", "replace")[:TEXT_KEPT]
    return Response(status, headers, _json(headers.get("content-type", ""), body), text, took_ms)


def _json(content_type: str, body: bytes) -> Json:
    body = body.removeprefix(b"\xef\xbb\xbf")
    # Many targets send JSON as text/plain or under no name at all; nobody sends it as HTML.
    if not body.strip() or ("json" not in content_type and body.lstrip()[:1] not in (b"{", b"[")):
        return None
    try:
        return loads(body)
    except DataError:
        return None


def _foreign(origin: Origin, connection: Connection) -> str:
    return (
        f"cannot be sent: {origin.host[:100]} is no host of the connection; its calls go where its base_url and its "
        f"login are, with their scheme and port: see {connection.where}"
    )


def _not_connected(error: BaseException | None, took_ms: int, connection: Connection) -> NoResponse:
    if isinstance(error, BarredError):
        what = f"{error.told(connection.where)}, restart the hub, then `backhaul resume {connection.name}`"
        return NoResponse("barred", what, False, took_ms)
    if isinstance(error, UnicodeError):
        return NoResponse("refused", f"cannot be sent: {_reason(error)}", False, took_ms)
    if isinstance(error, TimeoutError):
        return NoResponse("connect", f"no connection after {took_ms} ms", False, took_ms)
    if isinstance(error, socket.gaierror):
        return NoResponse("connect", "the host's name is not known", False, took_ms)
    if isinstance(error, ssl.SSLError):
        return NoResponse("tls", f"no TLS connection: {_reason(error)}", False, took_ms)
    return NoResponse("connect", f"no connection: {_reason(error)}", False, took_ms)


def _reason(error: BaseException | None) -> str:
    told = error.strerror if isinstance(error, OSError) else None
    return (told or str(error) or type(error).__name__)[:200]
