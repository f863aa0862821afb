"""Small servers that behave badly on purpose, on free loopback ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class BadServer:
    """A listening socket whose handler gets each connection with the bytes of its first request."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def read_request(conn: socket.socket) -> bytes:
    """One request, headers and body, as it came; b"" when the peer closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = conn.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        part = conn.recv(65536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(handle: Callable[[socket.socket, BadServer], None]) -> Iterator[BadServer]:
    """Run `handle(conn, server)` in a thread for every connection until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = BadServer(listener.getsockname()[1])
    open_ones: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            open_ones.append(conn)
            threading.Thread(target=one, args=(conn,), daemon=True).start()

    def one(conn: socket.socket) -> None:
        with suppress(OSError), conn:
            handle(conn, server)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for conn in open_ones:
            with suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)


def answer(status: str, body: bytes, *headers: str) -> bytes:
    """The bytes of a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(raw: bytes) -> Callable[[socket.socket, BadServer], None]:
    """A handler that answers every request of a kept connection with the same bytes."""

    def handle(conn: socket.socket, server: BadServer) -> None:
        while request := read_request(conn):
            server.requests.append(request)
            conn.sendall(raw)

    return handle
