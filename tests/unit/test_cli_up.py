"""`backhaul up` for real: web, workers, clock and its own Redis, on a site of invented vendors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adapters.client import Client
from app.errors import HubError
from tests.unit.site_kit import ENV, write

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


class Up:
    """A hub that was started by `backhaul up`."""

    def __init__(self, folder: Path) -> None:
        self.site = write(folder / "site")
        self.env = {**os.environ, **ENV, "PYTHONPATH": str(ROOT)}
        for name in ("DATABASE_URL", "REDIS_URL", "BACKHAUL_SITE", "BACKHAUL_VAR", "PORT"):
            self.env.pop(name, None)
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self._argv("up", "--port", "0"), env=self.env, stdout=log, stderr=log)
        self.wait(lambda: "ready at" in self.said())

    def _argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", "--site", str(self.site), *arguments]

    def said(self) -> str:
        return self.log.read_text()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._argv(*arguments), env=self.env, capture_output=True, text=True, timeout=60)

    def wait(self, condition: Callable[[], bool], seconds: float = 40.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def ready(self) -> bool:
        url = json.loads((self.site / "var/up.json").read_text())["url"]
        try:
            return Client().ask("GET", f"{url}/readyz", timeout_s=2.0).status == 200
        except HubError:
            return False

    def children(self) -> set[int]:
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return {int(pid) for pid in done.stdout.split()}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("up"))
    yield started
    started.process.kill()
    started.process.wait(10)


def test_it_says_what_it_runs_on_and_becomes_ready(up: Up) -> None:
    assert "ledger   SQLite 3." in up.said()
    assert "redis    its own" in up.said()
    up.wait(up.ready)
    assert "event=web.started" in up.said() and "address=127.0.0.1:" in up.said()
    assert up.run("doctor", "--json").stdout.count('"level":"fail"') == 2  # the two invented vendors


def test_a_sent_event_is_kept_and_can_be_traced(up: Up) -> None:
    (up.site / "event.json").write_text('{"id": "e-7", "topic": "ping"}')
    sent = up.run("send", "shop", "event.json")
    assert sent.returncode == 0, sent.stderr
    event_id = sent.stdout.split()[1]
    assert event_id in up.run("trace", event_id).stdout
    assert up.run("send", "shop", "event.json").stdout.split()[1] == event_id


def test_a_second_hub_on_the_same_folder_is_refused(up: Up) -> None:
    second = up.run("up", "--port", "0")
    assert second.returncode == 1
    assert "a hub runs on" in second.stderr
    assert up.process.poll() is None


def test_what_is_killed_comes_back(up: Up) -> None:
    before = up.children()
    assert len(before) == 5
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    up.wait(lambda: len(up.children() - before) == 5)
    up.wait(up.ready)


def test_sigterm_stops_everything_and_ends_with_0(up: Up) -> None:
    children = up.children()
    up.process.terminate()
    assert up.process.wait(40) == 0, up.said()
    assert not any(_runs(pid) for pid in children)
    assert not (up.site / "var/up.json").exists()
    assert "Traceback" not in up.said()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
