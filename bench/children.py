"""Starts the processes of a bench run, each tied to this one, and ends them again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

from app.bootstrap import die_with_parent
from bench import processes
from bench.load import Job, Result
from bench.plan import DEADLINES, PROJECT

Found = TypeVar("Found")


class BenchError(Exception):
    """The measurement could not be made; the text says why."""


@contextmanager
def process(
    argv: list[str], env: Mapping[str, str], log: Path, stop_s: float = 5.0
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a session of its own, so that Ctrl-C reaches this process alone, which then ends the child."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            argv,
            cwd=PROJECT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield child
    finally:
        end(child, stop_s)


def end(child: subprocess.Popen[Any], stop_s: float) -> None:
    """SIGTERM, then SIGKILL."""
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(stop_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def until(what: str, look: Callable[[], Found | None], seconds: float, log: Path) -> Found:
    """Wait for the first answer that is not None. Raises `BenchError` with the log's end when none comes."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise BenchError(f"not within {seconds:.0f} s: {what}\n{tail(log)}")
        time.sleep(0.02)
    return found


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def send(job: Job, env: Mapping[str, str]) -> Result:
    """Have the load generator carry out a job in a process of its own. Raises `BenchError`."""
    argv = [sys.executable, "-m", "bench.load"]
    pipe = subprocess.PIPE
    child: subprocess.Popen[str] = subprocess.Popen(
        argv,
        cwd=PROJECT,
        env=dict(env),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        out, errors = child.communicate(json.dumps(asdict(job)), job.most_s + 60)
    except subprocess.TimeoutExpired:
        raise BenchError("the load generator did not end") from None
    finally:
        end(child, 2.0)
    if child.returncode != 0:
        raise BenchError(f"the load generator ended with {child.returncode}: {errors[-2000:]}")
    return Result(**json.loads(out))


class Stubs:
    """The stubs' control end points."""

    def __init__(self, ports: Mapping[str, int], pid: int) -> None:
        self._process = processes.Process(pid, "stubs")
        self.erp_url, self.wms_url = (f"http://127.0.0.1:{ports[name]}" for name in ("erp", "wms"))
        self._ports = ports

    def received(self, first: int = 0) -> list[tuple[float, str, str]]:
        """What came to the warehouse: when (monotonic clock), RMA number, idempotency key."""
        return [tuple(one) for one in self._get("wms", f"/_bench/received?from={first}")]

    def delivered(self) -> int:
        """How many announcements came."""
        return int(self._get("wms", "/_bench/count")["count"])

    def asked(self) -> int:
        """How many look-ups came."""
        return int(self._get("erp", "/_bench/count")["count"])

    def cpu_ms(self) -> float | None:
        """CPU time that they have used so far; None where the system does not tell."""
        return processes.cpu_ms(self._process) if processes.available() else None

    def _get(self, name: str, target: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self._ports[name], timeout=10)
        try:
            connection.request("GET", target)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def stubs(folder: Path, env: Mapping[str, str], delay_ms: float) -> Iterator[Stubs]:
    """ERP and warehouse, listening."""
    port_file, log = folder / "stubs.json", folder / "stubs.log"
    argv = [sys.executable, "-m", "bench.stubs", "--port-file", str(port_file), "--delay-ms", str(delay_ms)]
    with process(argv, env, log) as child:

        def look() -> str | None:
            if child.poll() is not None:
                raise BenchError(f"the stubs ended\n{tail(log)}")
            return port_file.read_text() if port_file.exists() else None

        yield Stubs(json.loads(until("the stubs listen", look, DEADLINES.start_s, log)), child.pid)
