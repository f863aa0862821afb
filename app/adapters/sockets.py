"""Kept-alive connections, plain and TLS. Every wait on them ends at the deadline of the whole call.

`requests`' own transport counts a time-out anew with every byte that comes in, so that an answer in drips never ends,
and a small call takes it six times the CPU.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from functools import cache
from typing import NamedTuple

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from app.adapters.outbound import BarredError, Guard
from app.core.strands import Carrier, aside, carrier

#: A connection that lay idle for longer is not used again: most servers close theirs after 5 s or more, and a request
#: that meets the closing may or may not have been read.
_IDLE_S = 4.0
_CONNECT_S = 10.0
_READ = 16_384  # bytes
_WANTS_TO_READ = (BlockingIOError, ssl.SSLWantReadError)


class Origin(NamedTuple):
    """Where a connection leads."""

    tls: bool
    host: str
    port: int


class NotConnectedError(Exception):
    """There is no connection, so nothing was sent. `__cause__` tells why."""


class Wire:
    """One open connection, used by one call at a time."""

    idle_since = 0.0

    def __init__(self, origin: Origin, deadline: float, guard: Guard) -> None:
        """Raises `NotConnectedError`."""
        self.origin, self.deadline = origin, deadline
        self._carrier: Carrier | None = None
        try:
            self._socket = _connected(origin, deadline, guard)
        except (OSError, UnicodeError, BarredError) as error:
            raise NotConnectedError from error
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def begin(self, deadline: float) -> None:
        """The next call is made by whoever calls this, in a strand or outside of one, and ends at `deadline`."""
        self.deadline, self._carrier = deadline, carrier()
        if self._carrier is not None:
            self._socket.settimeout(0.0)

    def send(self, data: bytes) -> None:
        """Send it all before the deadline, or as much as the peer takes.

        Some answer before they have read all of it, and close: what they said counts.
        """
        sent = self._send(data)
        while sent < len(data):
            sent += self._send(memoryview(data)[sent:])

    def receive(self) -> bytes:
        """What has come in, at least a byte; b"" once the peer has closed. Waits until the deadline."""
        while True:
            left = _left(self.deadline)
            if self._carrier is None:
                self._socket.settimeout(left)
            elif not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                self._wait(self._carrier)
            try:
                return self._socket.recv(_READ)
            except _WANTS_TO_READ:
                pass  # less has come than can be decrypted
            except ssl.SSLWantWriteError:
                self._wait(self._carrier, write=True)

    def quiet(self) -> bool:
        """Whether nothing has come in unasked; the peer's closing counts as something."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close it; harmless when it is closed."""
        self._socket.close()

    def _send(self, data: bytes | memoryview) -> int:
        left = _left(self.deadline)
        if self._carrier is None:
            self._socket.settimeout(left)
        try:
            return self._socket.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return len(data)
        except ssl.SSLWantReadError:
            self._wait(self._carrier)
        except (BlockingIOError, ssl.SSLWantWriteError):
            self._wait(self._carrier, write=True)
        return 0

    def _wait(self, here: Carrier | None, *, write: bool = False) -> None:
        """Let the other strands go on until this one can."""
        if here is not None and not here.until_ready(self._socket.fileno(), self.deadline, write=write):
            raise TimeoutError("the call's time is over")


class Pool:
    """The connections of one connection of the site that are not in use, the longest idle first."""

    def __init__(self, size: int, guard: Guard) -> None:
        self._size, self.guard = size, guard
        self._lock = threading.Lock()
        self._idle: list[Wire] = []

    def take(self, origin: Origin, deadline: float, now: float) -> Wire:
        """A connection to `origin` for a call from `now` until `deadline`: a kept one, else a new one."""
        while (wire := self._kept(origin, now - _IDLE_S)) is not None and not wire.quiet():
            wire.close()
        # Names, addresses and TLS take their time, each in its own way.
        wire = wire or aside(lambda: Wire(origin, deadline, self.guard))
        wire.begin(deadline)
        return wire

    def put(self, wire: Wire, now: float) -> None:
        """Keep a connection whose last answer was read to its end just `now`."""
        wire.idle_since = now
        with self._lock:
            self._idle.append(wire)
            oldest = self._idle.pop(0) if len(self._idle) > self._size else None
        if oldest is not None:
            oldest.close()

    def close(self) -> None:
        """Close those that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def _kept(self, origin: Origin, oldest: float) -> Wire | None:
        with self._lock:
            idle = self._idle
            while idle and idle[0].idle_since <= oldest:
                idle.pop(0).close()
            # The last one used first: under little load the others grow old and go.
            for at in range(len(idle) - 1, -1, -1):
                if idle[at].origin == origin:
                    return idle.pop(at)
        return None


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the call's time is over")
    return left


def _connected(origin: Origin, deadline: float, guard: Guard) -> socket.socket:
    """Like `socket.create_connection`, but only to addresses that the guard lets pass; the look-up and all addresses
    together get the call's time, and each of them at most its share."""
    refused: OSError | None = None
    until = min(deadline, time.monotonic() + _CONNECT_S)
    for family, kind, protocol, address in guard.addresses(origin.host, origin.port, until):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(_CONNECT_S, _left(deadline)))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            refused = error
            continue
        try:
            return _secured(sock, origin, deadline) if origin.tls else sock
        except BaseException:
            sock.close()
            raise
    raise refused or OSError("the host has no address")


def _secured(sock: socket.socket, origin: Origin, deadline: float) -> ssl.SSLSocket:
    sock.settimeout(min(_CONNECT_S, _left(deadline)))
    return _tls().wrap_socket(sock, server_hostname=origin.host.rstrip("."))


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    context.set_alpn_protocols(["http/1.1"])
    return context
