"""Answers that no well-behaved server gives: written to the connection itself, past the web framework."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable

from flask import Response, request

_GIGABYTE = 2**30
_PIECE = b"x" * 65_536
#: A TLS alert "handshake failure" where an answer of HTTP was expected.
_TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
_DRIP_S = 1.0


def hang_up() -> None:
    """Close the connection without another byte."""
    _connection().shutdown(socket.SHUT_RDWR)


def _connection() -> socket.socket:
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    if connection is None:
        raise ConnectionResetError("the simulator hung up")
    return connection


def _head(response: Response, framing: str) -> bytes:
    lines = (f"HTTP/1.1 {response.status}", "Content-Type: application/json", "Connection: close", framing, "", "")
    return "\r\n".join(lines).encode()


def _truncated(response: Response, let_go: threading.Event) -> None:
    half = response.get_data()[: len(response.get_data()) // 2]
    _connection().sendall(_head(response, f"Content-Length: {len(half)}") + half)


def _too_short(response: Response, let_go: threading.Event) -> None:
    body = response.get_data()
    _connection().sendall(_head(response, f"Content-Length: {len(body)}") + body[: len(body) // 2])


def _huge(response: Response, let_go: threading.Event) -> None:
    connection = _connection()
    connection.sendall(_head(response, "Transfer-Encoding: chunked"))
    chunk = f"{len(_PIECE):x}\r\n".encode() + _PIECE + b"\r\n"
    for _ in range(_GIGABYTE // len(_PIECE)):
        if let_go.is_set():
            return
        connection.sendall(chunk)
    connection.sendall(b"0\r\n\r\n")


def _drip(response: Response, let_go: threading.Event) -> None:
    connection, body = _connection(), response.get_data()
    for byte in _head(response, f"Content-Length: {len(body)}") + body:
        connection.sendall(bytes([byte]))
        if let_go.wait(_DRIP_S):
            return


def _garbage(response: Response, let_go: threading.Event) -> None:
    _connection().sendall(_TLS_ALERT)


def _kill_caller(response: Response, let_go: threading.Event) -> None:
    from chaos.callers import pid_of_peer

    pid = pid_of_peer(int(request.environ["REMOTE_PORT"]), int(request.environ["SERVER_PORT"]))
    if pid and pid != os.getpid():
        os.kill(pid, signal.SIGKILL)


#: Mode: what is done to the connection before it is closed.
WAYS: dict[str, Callable[[Response, threading.Event], None]] = {
    "truncated": _truncated,
    "too_short": _too_short,
    "huge": _huge,
    "drip": _drip,
    "garbage": _garbage,
    "kill_caller": _kill_caller,
}


def spoil(mode: str, response: Response, let_go: threading.Event) -> None:
    """Answer in this way instead of with `response`, then hang up. Ends early once `let_go` is set."""
    try:
        WAYS[mode](response, let_go)
        hang_up()
    except OSError:
        return  # the caller had enough
