"""ERP and warehouse in one small process: they answer at once, or after `--delay-ms`, and keep what they were told."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from bench.http_pieces import head_end, header, message_end

Handler = Callable[[str, str, bytes, bytes], tuple[int, bytes]]  # method, target, head, body
_NOT_FOUND = 404, b'{"message":"not found"}'
_REASONS = {200: "OK", 201: "Created", 404: "Not Found", 422: "Unprocessable Entity"}


class Warehouse:
    """Takes announcements: when each came, under which RMA number and idempotency key."""

    def __init__(self) -> None:
        self.received: list[tuple[float, str, str]] = []

    def answer(self, method: str, target: str, head: bytes, body: bytes) -> tuple[int, bytes]:
        """The vendor's API, and the control end points of the bench."""
        if method == "POST" and target == "/returns":
            return self._announce(head, body)
        if target.startswith("/_bench/received"):
            first = int(parse_qs(urlsplit(target).query).get("from", ["0"])[0])
            return 200, orjson.dumps(self.received[first:])
        if target == "/_bench/count":
            return 200, b'{"count":%d}' % len(self.received)
        return _NOT_FOUND

    def _announce(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        arrived = time.monotonic()
        told = orjson.loads(body)
        if not told.get("salesOrder", "").startswith("ERP-"):
            return 422, b'{"message":"no such sales order"}'
        number = told["rmaNumber"]
        self.received.append((arrived, number, header(head, b"idempotency-key")))
        return 201, b'{"returnNumber":"W-%b","state":"announced"}' % number.encode()


class Erp:
    """Knows every order: `#77` is `ERP-77`."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, method: str, target: str, head: bytes, body: bytes) -> tuple[int, bytes]:
        """The vendor's API, and the control end point of the bench."""
        if method == "GET" and target.startswith("/orders?externalNumber="):
            self.asked += 1
            number = unquote(target.partition("=")[2])
            found = {"externalNumber": number, "number": f"ERP-{number}", "state": "shipped", "currency": "EUR"}
            return 200, orjson.dumps({"items": [found]})
        if target == "/_bench/count":
            return 200, b'{"count":%d}' % self.asked
        return _NOT_FOUND


class Server(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, handle: Handler, delay_s: float) -> None:
        self._handle, self._delay_s = handle, delay_s
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := message_end(self._buffer)) >= 0:
            message = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._one(message)

    def _one(self, message: bytes) -> None:
        start = head_end(message)
        head = message[:start]
        method, target, _ = head[: head.index(b"\r\n")].decode("latin-1").split(" ")
        status, body = self._handle(method, target, head, message[start:])
        answer = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        if self._delay_s and not target.startswith("/_bench/"):
            asyncio.get_running_loop().call_later(self._delay_s, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


async def serve(port_file: Path, delay_s: float) -> None:
    """Serve both on free ports until SIGTERM; the ports stand in `port_file` as soon as they take connections."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    ports = {}
    for name, handle in (("erp", Erp().answer), ("wms", Warehouse().answer)):
        server = await loop.create_server(partial(Server, handle, delay_s), "127.0.0.1", 0, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    part = port_file.with_suffix(".part")
    part.write_text(json.dumps(ports))
    part.rename(port_file)
    await stop.wait()


def main() -> None:
    """The command of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    told = parser.parse_args()
    asyncio.run(serve(told.port_file, told.delay_ms / 1000))


if __name__ == "__main__":
    main()
