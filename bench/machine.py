"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.plan import PROJECT

#: What decides about speed.
_PACKAGES = (
    "Flask",
    "granian",
    "rq",
    "redis",
    "requests",
    "urllib3",
    "SQLAlchemy",
    "psycopg",
    "pysqlite3",
    "Jinja2",
    "jsonschema-rs",
    "orjson",
    "simplejson",
    "structlog",
)


def machine() -> dict[str, str]:
    """The hardware and the system."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": str(cores),
        "cpu": model[1] if model else platform.processor() or platform.machine(),
        "memory": f"{int(memory[1]) / 1024**2:.1f} GiB" if memory else "unknown",
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(with_postgres: bool) -> dict[str, str]:
    """The programs and packages that took part."""
    from app.adapters.ledger import sqlite_version

    found = {"Python": platform.python_version(), "SQLite": sqlite_version(), "Redis": _redis()}
    if with_postgres:
        found["PostgreSQL"] = _postgres()
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of the project that is measured, with + when files were changed since; "" outside of git."""
    head = _run("git", "-C", str(PROJECT), "rev-parse", "--short", "HEAD")
    return head + ("+" if head and _run("git", "-C", str(PROJECT), "status", "--porcelain") else "")


def loop_ms() -> float:
    """How long a fixed loop of Python takes."""
    began = time.perf_counter()
    total = 0
    for number in range(1_000_000):
        total += number & 7
    return (time.perf_counter() - began) * 1000


def busy() -> float:
    """How many cores' worth of work others have here now, over the last second."""
    before = _ticks()
    time.sleep(1.0)
    after = _ticks()
    spent = sum(after) - sum(before)
    idle = after[3] + after[4] - before[3] - before[4] if len(after) > 4 else spent
    return (1 - idle / spent) * (os.cpu_count() or 1) if spent else 0.0


def _ticks() -> list[int]:
    first = _read("/proc/stat").partition("\n")[0].split()
    return [int(word) for word in first[1:]]


def _redis() -> str:
    from app.adapters.redis_server import find_server

    said = _run(find_server(), "--version")
    found = re.search(r"v=(\S+)", said)
    return f"{'Valkey' if 'alkey' in said else 'Redis'} {found[1]}" if found else said


def _postgres() -> str:
    from tests.postgres import find_binaries

    binaries = find_binaries()
    found = re.search(r"\) (\S+)", _run(str(binaries / "postgres"), "--version")) if binaries else None
    return found[1] if found else ""


def _run(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
