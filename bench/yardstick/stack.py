"""Starts the yardstick: Redis, the receiver, and two workers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.adapters.redis_server import RedisServer
from app.bootstrap import die_with_parent
from bench import processes
from bench.children import BenchError, Stubs, process, tail, until
from bench.plan import DEADLINES, SECRET, TOKEN
from bench.stack import Stack, clean_environment, free_port, takes_an_event

#: As many workers as the hub has. More threads than this only make the receiver slower.
_WORKERS, _WEB_THREADS = 2, 8


@contextmanager
def running(folder: Path, stubs: Stubs) -> Iterator[Stack]:
    """All of it, its first event acknowledged. Raises `BenchError`."""
    log, port = folder / "yardstick.log", free_port()
    redis = RedisServer(folder / "redis", die_with_parent)
    began = time.monotonic()
    redis.start()
    env = clean_environment() | {
        "BENCH_SECRET": SECRET,
        "BENCH_TOKEN": TOKEN,
        "BENCH_ERP_URL": stubs.erp_url,
        "BENCH_WMS_URL": stubs.wms_url,
        "BENCH_REDIS_URL": redis.url,
    }
    serve = [sys.executable, "-m", "bench.yardstick.serve", str(port), str(_WEB_THREADS)]
    work = [sys.executable, "-m", "bench.yardstick.work"]
    with ExitStack() as stack:
        stack.callback(redis.stop)
        web = stack.enter_context(process(serve, env, log, DEADLINES.stop_s))
        workers = [stack.enter_context(process(work, env, log, DEADLINES.stop_s)) for _ in range(_WORKERS)]

        def look() -> float | None:
            for child in (web, *workers):
                if child.poll() is not None:
                    raise BenchError(f"a process of the yardstick ended with {child.returncode}\n{tail(log)}")
            return time.monotonic() - began if takes_an_event(port) else None

        def all_processes() -> list[processes.Process]:
            named = [(web.pid, "web"), *((worker.pid, "worker") for worker in workers), (redis.pid, "redis")]
            return [one for pid, name in named for one in processes.tree(pid, name)]

        start_s = until("the yardstick acknowledges an event", look, DEADLINES.start_s, log)
        yield Stack(port, start_s, all_processes)
