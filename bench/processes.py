"""What processes cost, from Linux's /proc: CPU time of all their threads, and their memory's proportional share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
#: What a process of the hub is called, by a word of its command line.
_COMMANDS = ("web", "worker", "clock", "up", "prepare")


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `name` is web, worker, clock, redis, supervisor or postgres; children have their parent's."""

    pid: int
    name: str


def available() -> bool:
    """Whether this system tells what processes cost."""
    return Path("/proc/self/smaps_rollup").exists()


def tree(pid: int, name: str) -> list[Process]:
    """A process and everything that it started, as far as it still runs."""
    own = name_of(_command_line(pid), _text(f"/proc/{pid}/comm").strip(), name)
    found = [Process(pid, own)]
    for child in _children(pid):
        found += tree(child, own)
    return found


def name_of(command_line: list[str], title: str, otherwise: str) -> str:
    """What a process is, by its command line, or by the title that a forked one gave itself ("backhaul:web")."""
    if title.startswith("backhaul:"):
        return title.partition(":")[2]
    program = Path(command_line[0]).name if command_line else ""
    if "redis" in program or "valkey" in program:
        return "redis"
    if "postgres" in program:
        return "postgres"
    if "app.cli" in command_line:
        words = command_line[command_line.index("app.cli") + 1 :]
        # What follows an option is its value: a site's folder may be called "web".
        at = next((at for at, word in enumerate(words) if word in _COMMANDS and not words[at - 1].startswith("--")), -1)
        word = words[at] if at >= 0 else ""
        return {"": otherwise, "up": "supervisor", "prepare": "supervisor"}.get(word, word)
    return otherwise


def cpu_ms(process: Process) -> float | None:
    """CPU time since it began, user and system, in milliseconds; None when it has ended."""
    # The name in brackets may hold blanks: count from behind it.
    fields = _text(f"/proc/{process.pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_MS if fields else None


def pss_bytes(process: Process) -> int:
    """Its proportional set size: what it has for itself, and its share of what several use. 0 when it has ended."""
    lines = _text(f"/proc/{process.pid}/smaps_rollup").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def sum_by_name(processes: list[Process], measure: Callable[[Process], float | None]) -> dict[str, float]:
    """A measure added up by name."""
    sums: dict[str, float] = {}
    for process in processes:
        sums[process.name] = sums.get(process.name, 0.0) + (measure(process) or 0.0)
    return sums


class MemoryWatch:
    """Notes the most memory that a set of processes had together while it is entered."""

    def __init__(self, processes: Callable[[], list[Process]], every_s: float = 1.0) -> None:
        self._processes, self._every_s = processes, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most: dict[str, float] = {}

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._look()

    def _look(self) -> None:
        now = sum_by_name(self._processes(), pss_bytes)
        if sum(now.values()) > sum(self.most.values()):
            self.most = now


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return found
    return found


def _command_line(pid: int) -> list[str]:
    return [word for word in _text(f"/proc/{pid}/cmdline").split("\0") if word]


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
