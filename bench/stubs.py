"""ERP and warehouse in one small process: they answer at once, or after `--delay-ms`, and keep what they were told.

They share the cores with what is measured, so they do no more than must be done while it runs: what came is kept as it
came, and read as JSON only when the bench asks for it.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

import orjson

from bench.http_pieces import answer, header, message_end
from bench.poller import Poller

Answer = Callable[[bytes], bytes]  # of a whole request

_NOT_FOUND = answer(b"404 Not Found", b'{"message":"not found"}')
_UNKNOWN_ORDER = answer(b"422 Unprocessable Entity", b'{"message":"no such sales order"}')
_BENCH = b"GET /_bench/"
_NUMBER = re.compile(rb'"rmaNumber":\s*"([^"\\]+)"')
_SALES_ORDER = re.compile(rb'"salesOrder":\s*"ERP-')
_ORDER = b"GET /orders?externalNumber="
_FROM = re.compile(rb"[?&]from=(\d+)")


class Warehouse:
    """Takes announcements: when each came, under which RMA number and idempotency key."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, bytes]] = []

    def answer(self, request: bytes) -> bytes:
        """The vendor's API, and the control end points of the bench."""
        if request.startswith(b"POST /returns "):
            arrived, number = time.monotonic(), _NUMBER.search(request)
            if number is None or not _SALES_ORDER.search(request):
                return _UNKNOWN_ORDER
            self._kept.append((arrived, request))
            return answer(b"201 Created", b'{"returnNumber":"W-%b","state":"announced"}' % number[1])
        if request.startswith(b"GET /_bench/count "):
            return answer(b"200 OK", b'{"count":%d}' % len(self._kept))
        if request.startswith(b"GET /_bench/received"):
            first = _FROM.search(request[: request.index(b"\r\n")])
            return answer(b"200 OK", orjson.dumps(list(map(told, self._kept[int(first[1]) if first else 0 :]))))
        return _NOT_FOUND


def told(kept: tuple[float, bytes]) -> tuple[float, str, str]:
    """When an announcement came, its RMA number and its idempotency key; "?" where it is not whole."""
    head, _, body = kept[1].partition(b"\r\n\r\n")
    try:
        announced = orjson.loads(body)
        whole = len(announced["lines"]) == 2 and announced["parcel"]["trackingNumber"]
        number = announced["rmaNumber"] if whole else "?"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        number = "?"
    return kept[0], number, header(head + b"\r\n", b"idempotency-key")


class Erp:
    """Knows every order: `77` is `ERP-77`."""

    def __init__(self) -> None:
        self._asked = 0

    def answer(self, request: bytes) -> bytes:
        """The vendor's API, and the control end point of the bench."""
        if request.startswith(_ORDER):
            self._asked += 1
            number = request[len(_ORDER) : request.index(b" ", len(_ORDER))]
            if not number.isalnum():
                number = orjson.dumps(unquote_to_bytes(number).decode())[1:-1]
            found = b'{"externalNumber":"%b","number":"ERP-%b","state":"shipped","currency":"EUR"}' % (number, number)
            return answer(b"200 OK", b'{"items":[%b]}' % found)
        if request.startswith(b"GET /_bench/count "):
            return answer(b"200 OK", b'{"count":%d}' % self._asked)
        return _NOT_FOUND


class Server:
    """Serves any number of kept-alive connections to both, in one thread."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._poller = Poller()
        self._doors: dict[int, tuple[socket.socket, Answer]] = {}
        self._callers: dict[int, tuple[socket.socket, Answer]] = {}
        self._unread: dict[int, bytes] = {}
        self._later: deque[tuple[float, socket.socket, bytes]] = deque()  # all wait equally long

    def open(self, handle: Answer) -> int:
        """Listen on a free port, which is returned."""
        door = socket.create_server(("127.0.0.1", 0), backlog=1024)
        door.setblocking(False)
        self._doors[door.fileno()] = door, handle
        self._poller.add(door)
        return int(door.getsockname()[1])

    def serve(self) -> None:
        """For ever."""
        while True:
            patience = 1.0
            if self._later:
                patience = max(0.0, self._later[0][0] - time.monotonic())
            for number in self._poller.ready(patience):
                if number in self._callers:
                    self._read(number)
                else:
                    self._let_in(*self._doors[number])
            while self._later and self._later[0][0] <= time.monotonic():
                _, caller, said = self._later.popleft()
                send(caller, said)

    def _let_in(self, door: socket.socket, handle: Answer) -> None:
        try:
            caller, _ = door.accept()
        except BlockingIOError:
            return
        caller.setblocking(False)
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._callers[caller.fileno()] = caller, handle
        self._poller.add(caller)

    def _read(self, number: int) -> None:
        caller, handle = self._callers[number]
        try:
            data = caller.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._poller.remove(caller)
            del self._callers[number]
            self._unread.pop(number, None)
            caller.close()
            return
        if self._unread:
            data = self._unread.pop(number, b"") + data
        while (end := message_end(data)) >= 0:
            request, data = data[:end], data[end:]
            said = handle(request)
            if self._delay_s and not request.startswith(_BENCH):
                self._later.append((time.monotonic() + self._delay_s, caller, said))
            else:
                send(caller, said)
        if data:
            self._unread[number] = data


def send(caller: socket.socket, said: bytes) -> None:
    """Send an answer whole; to who has hung up, nothing."""
    try:
        taken = caller.send(said)
        if taken < len(said):
            caller.settimeout(10.0)
            caller.sendall(said[taken:])
            caller.setblocking(False)
    except OSError:
        return


def main() -> None:
    """The command of the process. The ports stand in the file as soon as they take connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = Server(options.delay_ms / 1000)
    ports = {"erp": server.open(Erp().answer), "wms": server.open(Warehouse().answer)}
    part = options.port_file.with_suffix(".part")
    part.write_text(json.dumps(ports))
    part.rename(options.port_file)
    gc.disable()
    server.serve()


if __name__ == "__main__":
    main()
