"""The guard at the exit: a host's name becomes addresses once, each is judged, and only those are connected to.

Between the judging and the connecting nothing is looked up, so that a name cannot change its mind.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from app.core.networks import Allow

#: So long the addresses of a name are used again, in seconds. They are judged each time.
_KEPT_S = 10.0
#: Hosts come from the site's files, so there are few. In any case not more than so many are remembered.
_MOST_KEPT = 1000


class Found(NamedTuple):
    """One address of a host, as the system's own calls take it."""

    family: int
    kind: int
    protocol: int
    address: tuple[Any, ...]  # the first of it is the address as text, never a name


class BarredError(Exception):
    """A host has only addresses that calls may not go to."""

    def __init__(self, host: str, address: str, what: str) -> None:
        """`what` says what kind of address it is."""
        self.address = address
        super().__init__(f"{address} is {what}" if host == address else f"{host} is at {address}, {what}")

    def told(self, where: object) -> str:
        """It, and what to write at this place of the site's files if the call is meant."""
        return f"{self}; if that is meant, write `allow: [{self.address}]` at {where}"


class Names:
    """Looks names up, for many threads: one look-up at a time for each, and its answer is kept for a short while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], tuple[float, Sequence[Found]]] = {}
        self._asked: dict[tuple[str, int], Future[Sequence[Found]]] = {}

    def addresses(self, host: str, port: int, deadline: float) -> Sequence[Found]:
        """The addresses of a host. Raises OSError (of it TimeoutError, at the deadline), UnicodeError."""
        key = host, port
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        try:
            # An address however it is written, 0x7f.1 too: nobody has to be asked.
            return _ask(host, port, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass
        with self._lock:
            asked = self._asked.get(key)
            if asked is None:
                asked = self._asked[key] = Future()
                # The system's look-up cannot be told when to end. Who waits for it can; it goes on alone.
                threading.Thread(target=self._look_up, args=(key, asked), name="look-up", daemon=True).start()
        return asked.result(max(0.0, deadline - time.monotonic()))

    def _look_up(self, key: tuple[str, int], asked: Future[Sequence[Found]]) -> None:
        found: Sequence[Found] = ()
        failed: BaseException | None = None
        try:
            found = _ask(*key)
        except BaseException as error:
            failed = error
        with self._lock:
            self._asked.pop(key, None)
            if found:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[key] = time.monotonic() + _KEPT_S, found
        if failed is None:
            asked.set_result(found)
        else:
            asked.set_exception(failed)


class Guard:
    """Which addresses a connection of the site may be connected to."""

    def __init__(self, names: Names, allow: Allow) -> None:
        self._names, self.allow = names, allow

    def addresses(self, host: str, port: int, deadline: float) -> list[Found]:
        """Those addresses of the host that calls may go to.

        Raises `BarredError` when it has others only, OSError and UnicodeError when it has none.
        """
        barred: BarredError | None = None
        fit: list[Found] = []
        for found in self._names.addresses(host, port, deadline):
            address = str(found.address[0])
            what = self.allow.objection(host, address)
            if not what:
                fit.append(found)
            elif barred is None:
                barred = BarredError(host, address, what)
        if not fit and barred is not None:
            raise barred
        return fit


def _ask(host: str, port: int, flags: int = 0) -> list[Found]:
    asked = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [Found(family, kind, protocol, address) for family, kind, protocol, _, address in asked]
