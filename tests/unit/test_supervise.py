"""The supervisor: what ends is started again, and stopping leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.cli.supervise import Child, Supervisor


def _program(*arguments: object, stop_s: float = 30.0) -> Child:
    argv = [sys.executable, "-c", *map(str, arguments)]
    return Child(lambda: subprocess.Popen(argv), stop_s)


_LOOP = "import signal, sys, time\nopen(sys.argv[1], 'a').write('started\\n')\ntime.sleep(60)"


def _until(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


def test_a_process_that_is_killed_starts_again(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    note = tmp_path / "note"
    child = _program(_LOOP, note)
    supervisor.add("worker 1", child)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    until = _until()
    supervisor.run(until=lambda: child.pid != first or time.monotonic() > until)
    assert child.pid != first and child.poll() is None
    assert said == ["worker 1 was killed by SIGKILL; it starts again in 0.2 s"]
    supervisor.stop()
    assert child.poll() == -signal.SIGTERM


def test_a_process_that_keeps_ending_is_started_ever_more_rarely(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    supervisor.add("web", _program("raise SystemExit(7)"))
    until = _until()
    supervisor.run(until=lambda: len(said) >= 3 or time.monotonic() > until)
    assert said == [f"web ended with status 7; it starts again in {wait} s" for wait in ("0.2", "0.4", "0.8")]
    supervisor.stop()


def test_a_process_that_cannot_be_started_again_is_tried_again(tmp_path: Path) -> None:
    class Flaky:
        def __init__(self) -> None:
            self.starts = 0

        def start(self) -> None:
            self.starts += 1
            if self.starts == 2:
                raise OSError("no room")

        def poll(self) -> int | None:
            return None if self.starts > 2 else 1

        def stop(self) -> None:
            self.starts = -1

    said: list[str] = []
    supervisor = Supervisor(said.append)
    flaky = Flaky()
    supervisor.add("redis", flaky)
    until = _until()
    supervisor.run(until=lambda: flaky.starts >= 3 or time.monotonic() > until)
    assert flaky.starts == 3
    assert said[1].startswith("redis cannot start: no room; next try in")
    supervisor.stop()
    assert flaky.starts == -1


def test_things_stop_in_the_reverse_order_and_workers_at_the_same_time(tmp_path: Path) -> None:
    ended: list[str] = []

    class Noting(Child):
        def __init__(self, name: str) -> None:
            argv = [sys.executable, "-c", "import time; time.sleep(60)"]
            super().__init__(lambda: subprocess.Popen(argv))
            self.name = name

        def ask_to_stop(self) -> None:
            ended.append(f"ask {self.name}")
            super().ask_to_stop()

        def stop(self) -> None:
            super().stop()
            ended.append(f"ended {self.name}")

    supervisor = Supervisor(lambda _: None)
    for name in ("redis", "worker 1", "worker 2", "web"):
        supervisor.add(name, Noting(name))
    supervisor.stop()
    order = [line for line in ended if line.startswith("ended")]
    assert order == ["ended web", "ended worker 1", "ended worker 2", "ended redis"]
    assert ended.index("ask worker 2") < ended.index("ended worker 1")


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, sys, time\n"
    deaf += "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen(sys.argv[1], 'w')\ntime.sleep(60)"
    child = _program(deaf, tmp_path / "note", stop_s=0.3)
    child.start()
    until = _until()
    while not (tmp_path / "note").exists() and time.monotonic() < until:
        time.sleep(0.01)
    child.stop()
    assert child.poll() == -signal.SIGKILL


def test_sigterm_ends_the_run() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        supervisor = Supervisor(lambda _: None)
        supervisor.stop_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.run()
        assert supervisor.told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
