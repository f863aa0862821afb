"""When the database cannot, the ledger says so, keeps nothing by halves, and works again afterwards."""

from __future__ import annotations

import resource
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest

from app.adapters.ledger import open_ledger
from app.adapters.ledger.engine import sqlite_module
from app.errors import LedgerUnavailable
from tests.contract.making import deliver, receipt, received
from tests.support import HandClock


def test_a_database_locked_longer_than_the_busy_timeout_is_unavailable(
    sqlite_ledger_url: str, clock: HandClock
) -> None:
    path = sqlite_ledger_url.removeprefix("sqlite:///")
    ledger = open_ledger(sqlite_ledger_url, clock=clock, busy_timeout_s=0.1)
    other = sqlite_module().connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for act in (
        lambda: received(ledger, clock),
        lambda: ledger.claim_events("shop", 1, 60, "a"),
        lambda: ledger.hold_lease("clock", "me", 5),
    ):
        with pytest.raises(LedgerUnavailable, match="locked"):
            act()
    # Reading goes on.
    assert ledger.events() == []
    other.execute("ROLLBACK")
    other.close()
    assert received(ledger, clock)
    ledger.close()


def test_a_thread_that_keeps_the_ledger_busy_does_not_hang_the_others(sqlite_ledger_url: str, clock: HandClock) -> None:
    ledger = open_ledger(sqlite_ledger_url, clock=clock, busy_timeout_s=0.1)
    inside, leave = Event(), Event()

    def hold() -> None:
        with ledger.write() as tx:
            tx.heads([("return", "shop", "R-1")])
            inside.set()
            leave.wait(10)

    thread = Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pytest.raises(LedgerUnavailable, match="busy"):
        received(ledger, clock)
    leave.set()
    thread.join()
    assert received(ledger, clock)
    ledger.close()


def test_a_row_locked_longer_than_the_busy_timeout_is_unavailable(postgres_ledger_url: str, clock: HandClock) -> None:
    ledger = open_ledger(postgres_ledger_url, clock=clock, busy_timeout_s=0.1)
    ledger.pause("wms", "by hand", "me")
    with psycopg.connect(postgres_ledger_url) as other:
        other.execute("SELECT * FROM lanes FOR UPDATE")
        with pytest.raises(LedgerUnavailable, match="lock timeout"):
            ledger.resume("wms", "me")
    ledger.resume("wms", "me")
    ledger.close()


def test_a_full_disk_turns_receipts_away_and_keeps_none_by_halves(sqlite_ledger_url: str, clock: HandClock) -> None:
    path = sqlite_ledger_url.removeprefix("sqlite:///")
    ledger = open_ledger(sqlite_ledger_url, clock=clock)
    received(ledger, clock)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = Path(f"{path}-wal").stat().st_size + 20_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                ledger.receive([receipt(clock, body=b"x" * 10_000) for _ in range(50)])
        with pytest.raises(LedgerUnavailable):
            deliver(ledger, clock, many=400)
        assert len(ledger.events()) <= 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    before = len(ledger.events())
    answers = ledger.receive([receipt(clock, body=b"x" * 10_000) for _ in range(50)])
    assert not any(answer.duplicate for answer in answers)
    assert len(ledger.events()) == before + 50
    [ok] = sqlite_module().connect(path).execute("PRAGMA integrity_check").fetchone()
    assert ok == "ok"
    ledger.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "ledger.db").write_bytes(b"something else entirely " * 100)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        open_ledger(f"sqlite:///{tmp_path}/ledger.db", clock=clock)


def test_a_folder_that_is_gone_is_unavailable(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(LedgerUnavailable):
        open_ledger(f"sqlite:///{tmp_path}/none/ledger.db", clock=clock)


def test_a_server_that_cuts_its_connections_is_back_with_the_next_ones(
    postgres_ledger_url: str, clock: HandClock
) -> None:
    ledger = open_ledger(postgres_ledger_url, clock=clock)
    received(ledger, clock)
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    cut = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}".encode()
    with psycopg.connect(postgres_ledger_url, autocommit=True) as other:
        other.execute(cut)
        # A pooled connection is looked at before it is used.
        received(ledger, clock)
        with pytest.raises(LedgerUnavailable), ledger.write() as tx:
            tx.heads([("return", "shop", "R-1")])
            other.execute(cut)
            tx.count({("seen", "{}"): 1.0}, "here")
    assert received(ledger, clock)
    assert ledger.counters() == {}
    ledger.close()
