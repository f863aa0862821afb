"""The hub under measurement: `backhaul up` on the bench's own site, with everything else as it is delivered."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.networks import THIS_MACHINE
from bench import postgres, processes
from bench.children import BenchError, Stubs, process, tail, until
from bench.plan import DEADLINES, SECRET, SITE, TOKEN, Plan
from bench.stack import Stack, clean_environment, free_port, takes_an_event


@contextmanager
def running(plan: Plan, folder: Path, database_url: str | None, stubs: Stubs) -> Iterator[Stack]:
    """A hub that has acknowledged its first event; its SQLite ledger lies in `folder`. Raises `BenchError`."""
    log, port = folder / "hub.log", free_port()
    argv = [*command(), "up", "--port", str(port)]
    env = environment(plan, folder, database_url, stubs.erp_url, stubs.wms_url)
    began = time.monotonic()
    with process(argv, env, log, DEADLINES.stop_s) as child:

        def look() -> float | None:
            if child.poll() is not None:
                raise BenchError(f"the hub ended with {child.returncode}\n{tail(log)}")
            return time.monotonic() - began if takes_an_event(port) else None

        def all_processes() -> list[processes.Process]:
            own = processes.tree(child.pid, "supervisor")
            return own + (postgres.server_processes() if database_url else [])

        start_s = until("the hub acknowledges an event", look, DEADLINES.start_s, log)
        yield Stack(port, start_s, all_processes)


def command() -> list[str]:
    """`backhaul` for the bench's site; what it is to do comes behind."""
    return [sys.executable, "-m", "app.cli", "--site", str(SITE)]


def environment(plan: Plan, folder: Path, database_url: str | None, erp_url: str, wms_url: str) -> dict[str, str]:
    """All that the hub is told, whichever of its commands it carries out."""
    env = clean_environment() | {
        "BACKHAUL_VAR": str(folder / "var"),
        "BACKHAUL_ALLOW": THIS_MACHINE,
        "BENCH_SECRET": SECRET,
        "BENCH_TOKEN": TOKEN,
        "BENCH_ERP_URL": erp_url,
        "BENCH_WMS_URL": wms_url,
        "BENCH_WORKERS": str(plan.workers),
        "BENCH_THREADS": str(plan.threads),
        "BENCH_WEB_THREADS": str(plan.web_threads),
        "LOG_LEVEL": plan.log_level,
    }
    return env | ({"DATABASE_URL": database_url} if database_url else {})
