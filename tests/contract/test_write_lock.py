"""Who waits for SQLite's write lock shows it, and who stands back lets him pass, but not for ever."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.ledger import write_lock
from app.adapters.ledger.write_lock import WriteLock
from tests.support import eventually

#: Holds the lock of the folder until its stdin ends.
_SHOWS = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("shown", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "one.db"


@pytest.fixture
def patient(database: Path) -> Iterator[WriteLock]:
    lock = make(database, stands_back=True)
    yield lock
    lock.close()


def make(database: Path, *, stands_back: bool, patience_s: float = 10.0) -> WriteLock:
    return WriteLock(str(database), sqlite3.OperationalError, patience_s, stands_back=stands_back)


def connect(database: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(database, timeout=0, isolation_level=None, check_same_thread=False))


def shows(database: Path) -> bool:
    """Whether somebody shows that he waits."""
    fd = os.open(database.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_who_waits_shows_it_until_he_has_the_lock(database: Path) -> None:
    eager = make(database, stands_back=False)
    with connect(database) as holder, connect(database) as waiter, ThreadPoolExecutor(1) as pool:
        eager.begin(waiter)
        assert not shows(database)
        waiter.rollback()
        holder.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(eager.begin, waiter)
        eventually(lambda: shows(database))
        holder.rollback()
        waiting.result(10)
        assert waiter.in_transaction
        assert not shows(database)
    eager.close()


def test_who_gave_up_shows_nothing_any_more(database: Path) -> None:
    eager = make(database, stands_back=False, patience_s=0.01)
    with connect(database) as holder, connect(database) as waiter:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            eager.begin(waiter)
        assert not shows(database)
    eager.close()


def test_who_stands_back_does_not_begin_while_another_process_waits(
    database: Path, patient: WriteLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_lock, "_LET_PASS_S", 60.0)
    with (
        connect(database) as connection,
        subprocess.Popen(
            [sys.executable, "-c", _SHOWS, str(database.parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as waiting,
        ThreadPoolExecutor(1) as pool,
    ):
        assert waiting.stdout is not None and waiting.stdout.readline() == b"shown\n"
        beginning = pool.submit(patient.begin, connection)
        with pytest.raises(TimeoutError):
            beginning.result(0.1)
        # However it ends, nobody waits then.
        waiting.kill()
        beginning.result(10)
        assert connection.in_transaction


def test_who_stands_back_does_not_wait_for_ever_for_one_that_was_stopped(database: Path, patient: WriteLock) -> None:
    fd = os.open(database.parent, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with connect(database) as connection:
            patient.begin(connection)
            assert connection.in_transaction
    finally:
        os.close(fd)


def test_where_folders_cannot_be_locked_all_write_without_that(
    database: Path, patient: WriteLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _how: int) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(write_lock.fcntl, "flock", refuse)
    eager = make(database, stands_back=False, patience_s=0.01)
    with connect(database) as one, connect(database) as other:
        patient.begin(one)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            eager.begin(other)
    eager.close()
