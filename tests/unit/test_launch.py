"""A forked process: its end is seen, and it leaves its parent alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli.launch import Forked, name_process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forks")


def _nothing() -> None:
    """Neither ties nor leaves anything."""


def _exit(status: int) -> None:
    raise SystemExit(status)


def test_its_status_is_that_of_its_work(capfd: pytest.CaptureFixture[str]) -> None:
    assert Forked(_nothing, _nothing, _nothing).wait(10) == 0
    assert Forked(lambda: _exit(7), _nothing, _nothing).wait(10) == 7
    assert Forked(lambda: 1 / 0, _nothing, _nothing).wait(10) == 1
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_signal_ends_it_whatever_its_parent_does_with_signals(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        child = Forked(lambda: _wait_after(tmp_path / "there"), _nothing, _nothing)
        _until_there(tmp_path / "there")
        assert child.poll() is None
        child.terminate()
        assert child.wait(10) == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


def test_waiting_has_an_end(tmp_path: Path) -> None:
    child = Forked(lambda: _wait_after(tmp_path / "there"), _nothing, _nothing)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.1)
    child.kill()
    assert child.wait(10) == -signal.SIGKILL
    # What has ended stays ended, and its number may be somebody else's by now.
    child.kill()


def test_it_has_a_session_of_its_own_and_leaves_what_is_its_parents(tmp_path: Path) -> None:
    kept = os.open(tmp_path, os.O_RDONLY)

    def look() -> None:
        try:
            os.fstat(kept)
        except OSError:
            raise SystemExit(3 if os.getsid(0) == os.getpid() else 4) from None

    assert Forked(look, _nothing, lambda: os.close(kept)).wait(10) == 3
    os.fstat(kept)
    os.close(kept)


def test_a_process_shows_what_it_is() -> None:
    def look() -> None:
        name_process("worker")
        raise SystemExit(0 if Path("/proc/self/comm").read_text() == "backhaul:worker\n" else 5)

    assert Forked(look, _nothing, _nothing).wait(10) == 0


def _wait_after(note: Path) -> None:
    note.touch()
    time.sleep(60)


def _until_there(note: Path) -> None:
    until = time.monotonic() + 10
    while not note.exists() and time.monotonic() < until:
        time.sleep(0.01)
