"""What is measured, the hub or the yardstick: where it listens, and the processes that it is made of."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from bench.events import Events
from bench.plan import SECRET
from bench.processes import Process

WEBHOOK = "/webhooks/platform"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running one."""

    port: int
    start_s: float  # from the command to the first acknowledged event
    processes: Callable[[], list[Process]]


def clean_environment() -> dict[str, str]:
    """This environment without anything that would change what is measured."""
    own = ("BACKHAUL", "BENCH", "REDIS", "DATABASE", "LOG_", "PORT", "PYTHON", "RQ_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def takes_an_event(port: int) -> bool:
    """Whether an event that needs no work is acknowledged; it is always the same one."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(Events(SECRET, "ping").request(WEBHOOK, "first", "first"))
        return b" 200 " in connection.sock.recv(1_000)[:20]
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
