"""Processes that are kept running: whatever ends is started again within half a second, as systemd would."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.bootstrap import die_with_parent
from app.errors import HubError

_LOOK_S = 0.2
_STOP_S = 10.0
Process = subprocess.Popen[bytes]


@dataclass(slots=True)
class Kept:
    """One process and how it is started. While `held` it stays down."""

    name: str
    launch: Callable[[], Process]
    process: Process | None = None
    held: bool = False
    starts: int = 0
    said: list[str] = field(default_factory=list)  # why it could not be started


class Keeper:
    """Starts processes and looks after them in a thread of its own. `stop` ends them, whatever happened."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._kept: dict[str, Kept] = {}
        self._ended = threading.Event()
        # Children are tied to the thread that starts them: this one lives until they are gone.
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to look after what was added."""
        self._thread.start()

    def add(self, name: str, launch: Callable[[], Process]) -> None:
        """Start this within a moment, and again whenever it ends."""
        with self._lock:
            self._kept[name] = Kept(name, launch)

    def names(self) -> list[str]:
        """What is looked after."""
        return list(self._kept)

    def pid(self, name: str) -> int:
        """The process's id now; 0 while it is down. Raises KeyError for an unknown name."""
        process = self._kept[name].process
        return process.pid if process and process.poll() is None else 0

    def starts(self, name: str) -> int:
        """How often it was started."""
        return self._kept[name].starts

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal; False when the process is down."""
        with self._lock:
            process = self._kept[name].process
            if process is None or process.poll() is not None:
                return False
            process.send_signal(number)
            return True

    def hold(self, name: str) -> None:
        """From now on it is not started again."""
        self._kept[name].held = True

    def release(self, name: str) -> None:
        """From now on it is."""
        self._kept[name].held = False

    def stop(self) -> None:
        """End everything, the last added first."""
        with self._lock:
            for kept in self._kept.values():
                kept.held = True
            processes = [kept.process for kept in reversed(self._kept.values()) if kept.process]
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            for kept in list(self._kept.values()):
                self._look_after(kept)
            self._ended.wait(_LOOK_S)

    def _look_after(self, kept: Kept) -> None:
        with self._lock:
            if kept.held or (kept.process is not None and kept.process.poll() is None):
                return
            try:
                kept.process = kept.launch()
                kept.starts += 1
            except (OSError, HubError) as error:
                kept.said.append(str(error))


def spawn(argv: list[str], env: dict[str, str], folder: Path, log: Path, file_limit: int | None = None) -> Process:
    """A child in a session of its own that dies with the calling thread; none of its files grows beyond a limit."""

    def prepare() -> None:
        die_with_parent(at_once=True)
        if file_limit is not None:
            limit_files(os.getpid(), file_limit)

    with log.open("ab") as out:
        return subprocess.Popen(
            argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=prepare,
        )


def limit_files(pid: int, size: int | None) -> None:
    """Let no file grow beyond `size` bytes by this process's hand, or any; None takes the limit away."""
    with suppress(ProcessLookupError, PermissionError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    if not pid:
        return
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))
