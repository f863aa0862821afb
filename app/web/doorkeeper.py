"""Shows out whoever holds a place at the door without using it, so that there is always one for those who do.

The server hands a request to a thread as soon as its headers are there, and the thread waits for the body as long as
it takes. The kernel tells of each connection how much came in and went out: those that send on and on, or nothing, are
closed. That costs the way of a message nothing. Elsewhere than on Linux the kernel does not tell, and nobody is shown
out.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from stat import S_ISSOCK

import structlog

log = structlog.get_logger()

#: Connections at a time, where the system allows as many open files.
PLACES = 16_384
#: Open files that are no connections: the ledger, logs, what bridges ask.
_OTHER_FILES = 256
#: Who still sends the same request after so many seconds is shown out, and who said nothing for so long: no answer of
#: the hub takes longer.
REQUEST_S, SILENT_S = 20.0, 120.0
#: Once one in so many threads waits for a body, whoever has sent for longer than this is shown out.
CROWDED, HURRY_S = 4, 1.0
_LOOK_S = 1.0
#: A look takes about this part of one processor's time, comes after so many seconds at the latest, and lets others pass
#: after so many connections.
_SHARE, _LOOK_LATEST_S, _ROUND = 10, 3.0, 128
#: `struct tcp_info` of Linux: the state in byte 0, the bytes acknowledged and received as two words from byte 120.
_TCP_INFO_SIZE, _COUNTS, _ESTABLISHED = 136, struct.Struct("=2Q"), 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What the kernel tells of a connection: its number for this process, one for ever, bytes in and out."""

    handle: int
    inode: int
    received: int
    answered: int


@dataclass(slots=True)
class Guest:
    """What is remembered of a connection."""

    seen: Seen
    moved_at: float  # when bytes came or went
    idle_at: int  # bytes that had come in when it was last answered
    asking_since: float | None = None  # None: it has asked nothing, or all is answered


class Watch:
    """Tells who is to leave. Without I/O; the time is any that goes forward."""

    def __init__(self, places: int, threads: int) -> None:
        self._places, self._threads = places, threads
        self._guests: dict[int, Guest] = {}

    def leaving(self, now: float, present: Iterable[Seen], reading: int) -> list[Seen]:
        """Those of `present`, which are all, that are to leave; `reading` threads wait for a body now."""
        before, self._guests = self._guests, {}
        crowded = reading * CROWDED > self._threads
        leaving: list[Seen] = []
        staying: list[Guest] = []
        for seen in present:
            # One that was answered before it was ever looked at: what it sends from now on is the next request.
            guest = before.get(seen.inode) or Guest(seen, now, seen.received if seen.answered else 0)
            if self._too_long(guest, seen, now, crowded):
                leaving.append(seen)
            else:
                staying.append(guest)
                self._guests[seen.inode] = guest
        if len(staying) * 4 > self._places * 3:
            # The longest unmoved go first, down to half; whoever moved just now is at work.
            staying.sort(key=lambda guest: guest.moved_at)
            old = [guest.seen for guest in staying if now - guest.moved_at >= HURRY_S]
            leaving += old[: len(staying) - self._places // 2]
        return leaving

    @staticmethod
    def _too_long(guest: Guest, seen: Seen, now: float, crowded: bool) -> bool:
        came, went = seen.received != guest.seen.received, seen.answered != guest.seen.answered
        guest.seen = seen
        if came or went:
            guest.moved_at = now
        if went:
            guest.idle_at, guest.asking_since = seen.received, None
        elif guest.asking_since is None and seen.received > guest.idle_at:
            guest.asking_since = now
        asked_for = 0.0 if guest.asking_since is None else now - guest.asking_since
        # A request that is being worked on sends no more: only one that is not whole yet still grows.
        endless = came and asked_for > REQUEST_S
        return endless or now - guest.moved_at > SILENT_S or (crowded and asked_for >= HURRY_S)


def make_room() -> int:
    """Let this process and its children open as many files as they may; how many connections that allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = PLACES + _OTHER_FILES
    allowed = wanted if most == resource.RLIM_INFINITY else min(most, wanted)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return max(64, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)


def keep_door(port: int, places: int, threads: int, reading: Callable[[], int]) -> None:
    """Watch the connections to `port` of this process from now on, in a thread that ends with it.

    `reading` tells how many of the `threads` wait for a body.
    """
    if sys.platform.startswith("linux"):
        watch = Watch(places, threads)
        threading.Thread(target=_keep, args=(port, watch, reading), name="doorkeeper", daemon=True).start()


def _keep(port: int, watch: Watch, reading: Callable[[], int]) -> None:
    pause = threading.Event()
    took = 0.0
    while not pause.wait(min(max(_LOOK_S, took * _SHARE), _LOOK_LATEST_S)):
        started = time.thread_time()
        try:
            leaving = watch.leaving(time.monotonic(), list(present(port)), reading())
            gone = sum(show_out(seen) for seen in leaving)
        except Exception as error:
            # Without a keeper the door still opens; the next look may succeed.
            log.warning("door.unwatched", error=type(error).__name__)
            continue
        if gone:
            log.warning("door.dropped", connections=gone, because="they held a place and sent too slowly, or nothing")
        took = time.thread_time() - started


def present(port: int) -> Iterator[Seen]:
    """The connections to a port of this process that are open now."""
    for at, name in enumerate(os.listdir("/proc/self/fd")):
        if at % _ROUND == _ROUND - 1:
            time.sleep(0)
        seen = _look(int(name), port)
        if seen is not None:
            yield seen


def show_out(seen: Seen) -> bool:
    """Close a connection, whoever reads from it; whether it was still the same one."""
    try:
        # Of one's own, so that the number cannot become another file's between the look and the deed.
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=os.dup(seen.handle))
    except OSError:
        return False
    with held:
        try:
            if os.fstat(held.fileno()).st_ino != seen.inode:
                return False
            held.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False
        return True


def _look(handle: int, port: int) -> Seen | None:
    """What the kernel tells of an open file; None when it is no connection to the port."""
    try:
        status = os.fstat(handle)
        if not S_ISSOCK(status.st_mode):
            return None
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=handle)
    except OSError:
        return None
    try:
        name = sock.getsockname()
        if not isinstance(name, tuple) or name[1] != port:
            return None
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
        if len(told) < _TCP_INFO_SIZE or told[0] != _ESTABLISHED:
            return None
        answered, received = _COUNTS.unpack_from(told, 120)
        return Seen(handle, status.st_ino, received, answered)
    except OSError:
        return None
    finally:
        # It is the server's: only looked at.
        sock.detach()
