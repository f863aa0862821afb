"""The load generator, a process of its own: signed events over kept-alive connections, closed loop or at a rate.

All requests are built and signed before the first is sent, so that what is measured shares the cores with as little as
can be: a send, a wait and a read for each event.
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from heapq import heappop, heappush

from bench.events import Events
from bench.http_pieces import message_end, status_of
from bench.poller import Poller

#: A refused or broken request is made again after so long, at most so often.
_AGAIN_S, _TRIES = 0.2, 100
_NO_ANSWER_S = 30.0
_LOOK_S = 0.5


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
    order_prefix: str = ""  # of those orders
    rate: float = 0.0  # events/s
    most_s: float = 300.0


@dataclass(slots=True)
class Result:
    """What came of it. Times are of the machine's monotonic clock, in seconds; latencies in milliseconds."""

    started: float = 0.0
    ended: float = 0.0
    cpu_s: float = 0.0  # of the generator itself, while it sent
    sent: dict[str, float] = field(default_factory=dict)  # serial: when it was sent first
    acknowledged: dict[str, float] = field(default_factory=dict)  # serial: latency of the try that was answered 2xx
    statuses: dict[str, int] = field(default_factory=dict)  # of all tries; "broken" where no answer came


class Connection:
    """One kept-alive connection with one request at a time."""

    __slots__ = ("number", "read", "socket", "started")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_NO_ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.number, self.started, self.read = -1, 0.0, b""

    def send(self, request: bytes) -> None:
        """Send a request, whatever the socket takes at once."""
        taken = self.socket.send(request)
        if taken < len(request):
            self.socket.settimeout(_NO_ANSWER_S)
            self.socket.sendall(request[taken:])
            self.socket.setblocking(False)


class Sender:
    """Sends the events of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        events, numbers = Events(job.secret, job.kind), range(job.events)
        self._serials = [f"{job.prefix}{number:06d}" for number in numbers]
        self._requests = [
            events.request(job.path, serial, f"{job.order_prefix}{number % job.orders:06d}" if job.orders else serial)
            for number, serial in zip(numbers, self._serials, strict=True)
        ]
        self._tries = [0] * job.events
        self._poller = Poller()
        self._idle: list[Connection] = []
        self._busy: dict[int, Connection] = {}
        self._due: list[tuple[float, int]] = []  # a heap: when to send which
        self.result = Result()

    def run(self) -> Result:
        """Send all, or until the time is over."""
        job, result = self._job, self.result
        for _ in range(min(job.connections, job.events)):
            self._connect()
        gc.collect()
        gc.disable()
        result.started, spent = time.monotonic(), time.process_time()
        step = 1 / job.rate if job.rate else 0.0
        self._due = [(result.started + number * step, number) for number in range(job.events)]
        deadline = result.started + job.most_s
        while (self._due or self._busy) and (now := time.monotonic()) < deadline + _NO_ANSWER_S:
            if now > deadline:
                self._due.clear()
            self._send_due()
            for number in self._poller.ready(self._patience()):
                if number in self._busy:
                    self._answered(self._busy[number])
                else:
                    self._hung_up(number)
                self._send_due()
        result.ended, result.cpu_s = time.monotonic(), time.process_time() - spent
        return result

    def _patience(self) -> float:
        if not (self._due and self._idle):
            return _LOOK_S
        return min(_LOOK_S, max(0.0, self._due[0][0] - time.monotonic()))

    def _connect(self) -> None:
        self._idle.append(connection := Connection(self._job.port))
        self._poller.add(connection.socket)

    def _send_due(self) -> None:
        due = self._due
        while due and self._idle and due[0][0] <= (now := time.monotonic()):
            connection, number = self._idle.pop(), heappop(due)[1]
            connection.number, connection.started = number, now
            self.result.sent.setdefault(self._serials[number], now)
            self._busy[connection.socket.fileno()] = connection
            try:
                connection.send(self._requests[number])
            except OSError:
                self._broken(connection)

    def _answered(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._broken(connection)
            return
        data = connection.read + data
        if message_end(data) < 0:
            connection.read = data
            return
        ended, connection.read = time.monotonic(), b""
        del self._busy[connection.socket.fileno()]
        self._idle.append(connection)
        status = status_of(data)
        self._count(str(status))
        if 200 <= status < 300:
            self.result.acknowledged[self._serials[connection.number]] = (ended - connection.started) * 1000
        else:
            self._again(connection.number)

    def _broken(self, connection: Connection) -> None:
        self._count("broken")
        del self._busy[connection.socket.fileno()]
        self._again(connection.number)
        self._replace(connection)

    def _hung_up(self, number: int) -> None:
        """The server closed a connection that lay idle for long."""
        for connection in [one for one in self._idle if one.socket.fileno() == number]:
            self._idle.remove(connection)
            self._replace(connection)

    def _replace(self, connection: Connection) -> None:
        self._poller.remove(connection.socket)
        connection.socket.close()
        self._connect()

    def _again(self, number: int) -> None:
        self._tries[number] += 1
        if self._tries[number] < _TRIES:
            heappush(self._due, (time.monotonic() + _AGAIN_S, number))

    def _count(self, name: str) -> None:
        self.result.statuses[name] = self.result.statuses.get(name, 0) + 1


def main() -> None:
    """The command of the process: a job as JSON on stdin, its result as JSON on stdout."""
    job = Job(**json.load(sys.stdin))
    json.dump(asdict(Sender(job).run()), sys.stdout)


if __name__ == "__main__":
    main()
