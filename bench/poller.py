"""Which of many sockets can be read: the kernel's own answer, with nothing of asyncio between."""

from __future__ import annotations

import select
import socket


class Poller:
    """epoll where there is one, else poll; both take the same numbers for "can be read"."""

    def __init__(self) -> None:
        self._seconds = hasattr(select, "epoll")
        self._poll = select.epoll() if self._seconds else select.poll()

    def add(self, connection: socket.socket) -> None:
        """Watch a socket from now on."""
        self._poll.register(connection.fileno(), select.POLLIN)

    def remove(self, connection: socket.socket) -> None:
        """Watch it no longer; before it is closed."""
        self._poll.unregister(connection.fileno())

    def ready(self, timeout_s: float) -> list[int]:
        """The numbers of those that can be read or were hung up; none when the time is over."""
        timeout = timeout_s if self._seconds else timeout_s * 1000
        return [number for number, _ in self._poll.poll(timeout)]
