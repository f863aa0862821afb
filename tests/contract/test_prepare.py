"""What is made ready before processes are forked is of use to them, and no connection crosses the fork."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from app.adapters.ledger import open_ledger, prepare, statements
from app.cli.launch import Forked
from tests.contract.making import deliver, received
from tests.support import HandClock

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forks, and tells of files")


def _open_files() -> list[str]:
    held = (Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))
    return sorted(os.readlink(one) for one in held if one.is_symlink())


def test_no_connection_is_left_open(ledger_url: str) -> None:
    before = _open_files()
    prepare(ledger_url)
    assert _open_files() == before


def test_statements_are_not_compiled_again(ledger_url: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(ledger_url)

    def compiled(*_: Any) -> None:
        raise AssertionError("compiled after it was made ready")

    monkeypatch.setattr(statements, "_Compiled", compiled)
    monkeypatch.setattr(statements, "str", compiled, raising=False)  # which is how those for many rows are
    ledger = open_ledger(ledger_url, clock=clock)
    try:
        received(ledger, clock)
        assert ledger.claim_events("shop", 5, 60.0, "tok_1")
        deliver(ledger, clock)
    finally:
        ledger.close()


def test_a_fork_writes_to_the_ledger_that_its_parent_made_ready(ledger_url: str, clock: HandClock) -> None:
    prepare(ledger_url)

    def write() -> None:
        ledger = open_ledger(ledger_url, clock=clock)
        received(ledger, clock)
        ledger.close()

    assert Forked(write, lambda: None, lambda: None).wait(20) == 0
    ledger = open_ledger(ledger_url, clock=clock)
    try:
        assert len(ledger.claim_events("shop", 5, 60.0, "tok_1")) == 1
    finally:
        ledger.close()
