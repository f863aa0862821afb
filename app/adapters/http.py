"""Calls to targets over HTTP. The network's failures are values: nothing here raises for them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping

import requests
from requests.exceptions import InvalidHeader, InvalidURL, SSLError
from urllib3.exceptions import LocationParseError, NameResolutionError
from urllib3.util import Timeout

from app.adapters.sockets import DeadlineAdapter, trace
from app.core.auth import credentials
from app.core.connectors import Connection
from app.core.jsontext import dumps, loads
from app.core.outcomes import SAFE_METHODS
from app.errors import DataError
from app.model import Json, NoResponse, Request, Response

#: Larger answers are cut off, in bytes.
BODY_CAP = 5 * 2**20
TEXT_KEPT = 2_000  # characters
_CONNECT_S = 10.0
_CHUNK = 65_536
#: They say nothing, or are credentials of a session that the hub does not keep.
_DROPPED_HEADERS = frozenset({"set-cookie", "set-cookie2"})


class _TooLarge(Exception):
    pass


class HttpSender:
    """Sends requests over one pool of kept-alive connections for each connection of the site."""

    def __init__(self, *, body_cap: int = BODY_CAP, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._body_cap, self._monotonic = body_cap, monotonic
        self._lock = threading.Lock()
        self._pools: dict[str, DeadlineAdapter] = {}

    def send(self, connection: Connection, request: Request, timeout_s: float) -> Response | NoResponse:
        """Send the request with the connection's credentials and read the whole answer within `timeout_s`.

        Redirects are not followed, cookies not kept. A request that changes nothing and met a connection which the
        target was just closing is sent once more.
        """
        answer = self._once(connection, request, timeout_s)
        if isinstance(answer, NoResponse) and answer.kind == "broken" and request.method in SAFE_METHODS:
            left = timeout_s - answer.took_ms / 1000
            if left > 0.1:
                return self._once(connection, request, left)
        return answer

    def close(self) -> None:
        """Close every kept connection."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def _once(self, connection: Connection, request: Request, timeout_s: float) -> Response | NoResponse:
        started = self._monotonic()
        trace.sent = False
        try:
            prepared = _prepare(connection, request)
        except (requests.RequestException, LocationParseError, DataError, ValueError) as error:
            return NoResponse("refused", f"cannot be sent: {_reason(error)}", False, 0)
        try:
            answer = self._pool(connection).send(
                prepared,
                stream=True,
                timeout=Timeout(connect=min(_CONNECT_S, timeout_s), total=timeout_s),  # type: ignore[arg-type]
                proxies={},
            )
            try:
                body = self._read(answer)
            except BaseException:
                answer.close()
                raise
        except _TooLarge:
            what = f"the answer is larger than {self._body_cap // 2**20} MiB"
            return NoResponse("too_large", what, True, self._took(started))
        except Exception as error:
            return _no_response(error, trace.sent, self._took(started), timeout_s)
        return _response(answer.status_code, answer.headers, body, self._took(started))

    def _pool(self, connection: Connection) -> DeadlineAdapter:
        pool = self._pools.get(connection.name)
        if pool is None:
            with self._lock:
                pool = self._pools.setdefault(connection.name, DeadlineAdapter(connection.limits.concurrency))
        return pool

    def _read(self, answer: requests.Response) -> bytes:
        raw = answer.raw
        length = answer.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self._body_cap:
            raise _TooLarge
        parts, size = [], 0
        while part := raw.read1(_CHUNK, decode_content=True):
            size += len(part)
            if size > self._body_cap:
                raise _TooLarge
            parts.append(part)
        raw.release_conn()
        return b"".join(parts)

    def _took(self, started: float) -> int:
        return round((self._monotonic() - started) * 1000)


def _prepare(connection: Connection, request: Request) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.prepare_method(request.method)
    prepared.prepare_url(request.url, None)
    # Credentials come last: neither a template nor a record ever holds them.
    prepared.prepare_headers({"Accept-Encoding": "identity", **request.headers, **credentials(connection.auth)})
    prepared.prepare_body(None if request.body is None else dumps(request.body), None)
    if request.body is not None:
        prepared.headers.setdefault("Content-Type", "application/json")
    return prepared


def _response(status: int, headers: Mapping[str, str], body: bytes, took_ms: int) -> Response:
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in _DROPPED_HEADERS}
    text = body[: TEXT_KEPT * 4].decode("utf-8", "replace")[:TEXT_KEPT]
    return Response(status, kept, _json(kept.get("content-type", ""), body), text, took_ms)


def _json(content_type: str, body: bytes) -> Json:
    body = body.removeprefix(b"\xef\xbb\xbf")
    # Many targets send JSON as text/plain or under no name at all; nobody sends it as HTML.
    if not body.strip() or ("json" not in content_type and body.lstrip()[:1] not in (b"{", b"[")):
        return None
    try:
        return loads(body)
    except DataError:
        return None


def _no_response(error: Exception, sent: bool, took_ms: int, timeout_s: float) -> NoResponse:
    causes = _causes(error)
    if isinstance(error, InvalidURL | InvalidHeader | LocationParseError | UnicodeError) and not sent:
        return NoResponse("refused", f"cannot be sent: {_reason(error)}", False, took_ms)
    late = any(
        isinstance(cause, TimeoutError | requests.Timeout) or "Timeout" in type(cause).__name__ for cause in causes
    )
    if not sent:
        if any(isinstance(cause, NameResolutionError | socket.gaierror) for cause in causes):
            return NoResponse("connect", "the host's name is not known", False, took_ms)
        if isinstance(error, SSLError) and not late:
            return NoResponse("tls", f"no TLS connection: {_reason(error)}", False, took_ms)
        what = f"no connection after {took_ms} ms" if late else f"no connection: {_reason(error)}"
        return NoResponse("connect", what, False, took_ms)
    if late:
        return NoResponse("timeout", f"no complete answer within {timeout_s:g} s", True, took_ms)
    return NoResponse("broken", f"the connection broke before the answer was complete: {_reason(error)}", True, took_ms)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and all it was made of: `requests` and urllib3 wrap each other's."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            todo += [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
    return found


def _reason(error: BaseException) -> str:
    """What the innermost error says: the outer ones repeat the address, which the attempt has anyway."""
    told = [cause for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    if told:
        return str(told[-1].strerror)
    inner = _causes(error)[-1]
    return (str(inner) or type(inner).__name__)[:200]
