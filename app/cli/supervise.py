"""Keeps the hub's processes running: starts them, starts them again when they end, stops them in order."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 15.0
#: A process that ran this long was well: its next end starts the waits anew.
_WELL_S = 30.0
_LOOK_S = 0.1
#: What a worker may take to finish the calls in hand; longer than the longest usual answer of a target.
_STOP_S = 30.0


class Process(Protocol):
    """A process, as `subprocess.Popen` knows it."""

    pid: int

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""


class Running(Protocol):
    """Something that runs until it ends: a child process, or the embedded Redis."""

    def start(self) -> None:
        """Start it. May raise `QueueUnavailable` or OSError."""

    def poll(self) -> int | None:
        """None while it runs."""

    def stop(self) -> None:
        """End it, and wait until it has ended."""


class Child:
    """One of the hub's processes: any program, or this one forked."""

    def __init__(self, launch: Callable[[], Process], stop_s: float = _STOP_S) -> None:
        self._launch, self._stop_s = launch, stop_s
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Its process id, 0 when it was never started."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it."""
        self._process = self._launch()

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll() if self._process else None

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL when it does not end in time."""
        self.ask_to_stop()
        if self._process is None:
            return
        try:
            self._process.wait(self._stop_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class _Kept:
    name: str
    running: Running
    started_at: float = 0.0
    again_at: float | None = None  # it has ended and is started again then
    ends: int = field(default=0)  # in a row


class Supervisor:
    """Runs what it is given until it is told to stop. Not thread-safe; use it from the main thread."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._kept = say, list[_Kept]()
        self._told = threading.Event()

    def add(self, name: str, running: Running) -> None:
        """Start something and keep it running. Things are stopped in the reverse order."""
        kept = _Kept(name, running)
        self._start(kept)
        self._kept.append(kept)

    def stop_on_signals(self) -> None:
        """Have SIGTERM, SIGINT and SIGHUP end `run`."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def tell_to_stop(self) -> None:
        """End `run` soon."""
        self._told.set()

    @property
    def told(self) -> bool:
        """Whether it was told to stop."""
        return self._told.is_set()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Look after everything until it is told to stop, or `until` says so."""
        while not self._told.is_set() and not until():
            for kept in self._kept:
                self._look_after(kept)
            self._told.wait(_LOOK_S)

    def stop(self) -> None:
        """Stop everything in the reverse order; processes of one name are asked all at once."""
        while self._kept:
            kind = _kind(self._kept[-1].name)
            together = [kept for kept in self._kept if _kind(kept.name) == kind]
            self._kept = [kept for kept in self._kept if _kind(kept.name) != kind]
            for kept in together:
                if isinstance(kept.running, Child):
                    kept.running.ask_to_stop()
            for kept in together:
                kept.running.stop()

    def _look_after(self, kept: _Kept) -> None:
        now = time.monotonic()
        if kept.again_at is not None:
            if now >= kept.again_at:
                self._start_again(kept)
            return
        if (status := kept.running.poll()) is None:
            return
        kept.ends = 1 if now - kept.started_at > _WELL_S else kept.ends + 1
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (kept.ends - 1))
        self._say(f"{kept.name} {_ended(status)}; it starts again in {wait_s:g} s")
        kept.again_at = now + wait_s

    def _start_again(self, kept: _Kept) -> None:
        try:
            self._start(kept)
        except Exception as error:
            kept.ends += 1
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (kept.ends - 1))
            self._say(f"{kept.name} cannot start: {error}; next try in {wait_s:g} s")
            kept.again_at = time.monotonic() + wait_s

    def _start(self, kept: _Kept) -> None:
        kept.running.start()
        kept.started_at, kept.again_at = time.monotonic(), None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._told.set()


def _kind(name: str) -> str:
    return name.split(" ")[0]


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}"
