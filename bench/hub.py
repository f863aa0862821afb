"""The hub under measurement: `backhaul up` on the bench's own site, with everything else as it is delivered."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench import postgres, processes
from bench.children import BenchError, Stubs, process, tail, until
from bench.events import Events
from bench.plan import DEADLINES, SECRET, SITE, TOKEN, Plan

WEBHOOK = "/webhooks/platform"


@dataclass(frozen=True, slots=True)
class Hub:
    """A running hub."""

    pid: int
    port: int
    log: Path
    start_s: float  # from the command to the first acknowledged event
    on_postgres: bool

    def processes(self) -> list[processes.Process]:
        """All its processes; those of its PostgreSQL, too."""
        own = processes.tree(self.pid, "supervisor")
        return own + (postgres.server_processes() if self.on_postgres else [])


def clean_environment() -> dict[str, str]:
    """This environment without anything that would change what the hub does."""
    own = ("BACKHAUL", "BENCH", "REDIS", "DATABASE", "LOG_", "PORT", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


@contextmanager
def running(plan: Plan, folder: Path, database_url: str | None, stubs: Stubs) -> Iterator[Hub]:
    """A hub with an empty ledger that has acknowledged its first event. Raises `BenchError`."""
    log, port = folder / "hub.log", _free_port()
    argv = [sys.executable, "-m", "app.cli", "--site", str(SITE), "up", "--port", str(port)]
    env = clean_environment() | _settings(plan, folder, stubs)
    if database_url:
        env["DATABASE_URL"] = database_url
    began = time.monotonic()
    with process(argv, env, log, DEADLINES.stop_s) as child:

        def look() -> float | None:
            if child.poll() is not None:
                raise BenchError(f"the hub ended with {child.returncode}\n{tail(log)}")
            return time.monotonic() - began if _takes_an_event(port) else None

        start_s = until("the hub acknowledges an event", look, DEADLINES.start_s, log)
        yield Hub(child.pid, port, log, start_s, bool(database_url))


def _settings(plan: Plan, folder: Path, stubs: Stubs) -> dict[str, str]:
    return {
        "BACKHAUL_VAR": str(folder / "var"),
        "BENCH_SECRET": SECRET,
        "BENCH_TOKEN": TOKEN,
        "BENCH_ERP_URL": stubs.erp_url,
        "BENCH_WMS_URL": stubs.wms_url,
        "BENCH_WORKERS": str(plan.workers),
        "BENCH_THREADS": str(plan.threads),
        "BENCH_WEB_THREADS": str(plan.web_threads),
        "LOG_LEVEL": plan.log_level,
    }


def _takes_an_event(port: int) -> bool:
    """Sends an event that needs no work, and that is always the same one."""
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
