"""The load generator, a process of its own: signed events over kept-alive connections, closed loop or at a rate."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count

from bench.events import Events
from bench.http_pieces import message_end, status_of

#: A refused or broken request is made again after so long, at most so often.
_AGAIN_S, _TRIES = 0.2, 100
_NO_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to send. With `rate` 0 each connection sends its next event when the last one was answered."""

    port: int
    path: str
    secret: str
    prefix: str  # of the serials
    events: int
    connections: int
    kind: str = "return.labelled"
    orders: int = 0  # distinct orders; 0: each event has its own
    rate: float = 0.0  # events/s
    most_s: float = 300.0


@dataclass(slots=True)
class Result:
    """What came of it. Times are of the machine's monotonic clock, in seconds; latencies in milliseconds."""

    started: float = 0.0
    ended: float = 0.0
    sent: dict[str, float] = field(default_factory=dict)  # serial: when it was sent first
    acknowledged: dict[str, float] = field(default_factory=dict)  # serial: latency of the try that was answered 2xx
    statuses: dict[str, int] = field(default_factory=dict)  # of all tries; "broken" where no answer came
    again: int = 0  # tries beyond the first


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def alive(self) -> bool:
        """Whether it can take a request."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("the hub hung up"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = message_end(self._buffer)
        if end >= 0 and self._waiting and not self._waiting.done():
            head = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._waiting.set_result(status_of(head))

    def send(self, request: bytes) -> asyncio.Future[int]:
        """Send one request; the future gives its status."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.abort()


class Sender:
    """Sends the events of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._events = Events(job.secret, job.kind)
        self._numbers = count()
        self._deadline = 0.0
        self.result = Result()

    async def run(self) -> Result:
        """Send all, or until the time is over."""
        self.result.started = time.monotonic()
        self._deadline = self.result.started + self._job.most_s
        with suppress(TimeoutError):
            async with asyncio.timeout(self._job.most_s + _NO_ANSWER_S):
                await asyncio.gather(*(self._work() for _ in range(self._job.connections)))
        self.result.ended = time.monotonic()
        return self.result

    async def _work(self) -> None:
        connection: Connection | None = None
        while (number := next(self._numbers)) < self._job.events and time.monotonic() < self._deadline:
            if self._job.rate:
                due = self.result.started + number / self._job.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            serial = f"{self._job.prefix}{number:06d}"
            order = serial if not self._job.orders else f"{self._job.prefix}{number % self._job.orders:06d}"
            connection = await self._one(connection, serial, self._events.request(self._job.path, serial, order))
        if connection:
            connection.close()

    async def _one(self, connection: Connection | None, serial: str, request: bytes) -> Connection | None:
        for number in range(_TRIES):
            if number:
                self.result.again += 1
                await asyncio.sleep(_AGAIN_S)
            status, started = 0, time.monotonic()
            if started > self._deadline:
                break
            self.result.sent.setdefault(serial, started)
            try:
                if connection is None or not connection.alive:
                    connection = await self._connect()
                status = await connection.send(request)
            except OSError:
                if connection:
                    connection.close()
                connection = None
            ended = time.monotonic()
            name = str(status or "broken")
            self.result.statuses[name] = self.result.statuses.get(name, 0) + 1
            if 200 <= status < 300:
                self.result.acknowledged[serial] = (ended - started) * 1000
                break
        return connection

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self._job.port)
        return connection


def main() -> None:
    """The command of the process: a job as JSON on stdin, its result as JSON on stdout."""
    job = Job(**json.load(sys.stdin))
    json.dump(asdict(asyncio.run(Sender(job).run())), sys.stdout)


if __name__ == "__main__":
    main()
