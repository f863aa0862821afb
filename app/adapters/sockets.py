"""Kept-alive HTTP connections that end at a deadline and remember whether anything was sent.

`requests` counts its time-out anew with every byte that comes in, so that an answer in drips never ends; here every
wait for the socket is cut to what is left of the whole call.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from http.client import HTTPResponse as PlainResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

#: A connection that lay idle for longer is not used again: most servers close theirs after 5 s or more, and a request
#: that meets the closing may or may not have been read.
_IDLE_S = 4.0


class Trace(threading.local):
    """What happened to the request that this thread is sending."""

    sent = False  # a byte of it may have left


trace = Trace()


class DeadlineAdapter(HTTPAdapter):
    """`requests`' transport with connections of this module. No retries, no proxies from the environment."""

    def __init__(self, size: int) -> None:
        super().__init__(pool_connections=2, pool_maxsize=size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Called by `requests`: a pool manager that opens connections with a deadline."""
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _UntilDeadline(io.RawIOBase):
    """A socket's incoming bytes, up to a moment."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Source:
    """What `http.client` reads a response from."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_UntilDeadline(self._sock, self._deadline))


class _Timed(HTTPConnection):
    """A connection that notes when it begins to send, and reads up to a deadline."""

    idle_since = 0.0
    _gathered: bytearray | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        # Head and body leave together: half the system calls, and one packet for most requests.
        self._gathered = bytearray()
        try:
            super().request(*args, **kwargs)
            whole = self._gathered
        finally:
            self._gathered = None
        self.send(bytes(whole))

    def send(self, data: Any) -> None:
        if self._gathered is not None and isinstance(data, (bytes, bytearray)):
            self._gathered += data
            return
        if self.sock is None:
            self.connect()
        trace.sent = True
        super().send(data)

    def getresponse(self) -> Any:
        # urllib3 has set `timeout` to what is left of the call's total.
        deadline = time.monotonic() + (self.timeout or 0.0)

        def response(sock: socket.socket, method: str | None = None) -> PlainResponse:
            return PlainResponse(_Source(sock, deadline), method=method)  # type: ignore[arg-type]

        self.response_class = response  # type: ignore[assignment]
        return super().getresponse()


class _TimedTls(_Timed, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Timed

    def _get_conn(self, timeout: float | None = None) -> Any:
        return _fresh(super()._get_conn(timeout))

    def _put_conn(self, conn: Any) -> None:
        super()._put_conn(_rested(conn))


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTls

    def _get_conn(self, timeout: float | None = None) -> Any:
        return _fresh(super()._get_conn(timeout))

    def _put_conn(self, conn: Any) -> None:
        super()._put_conn(_rested(conn))


def _fresh(conn: Any) -> Any:
    if conn.sock is not None and time.monotonic() - conn.idle_since > _IDLE_S:
        conn.close()
    return conn


def _rested(conn: Any) -> Any:
    if conn is not None:
        conn.idle_since = time.monotonic()
    return conn
