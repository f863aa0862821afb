"""The ledger restarts, is locked by somebody else, or finds its disk full."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from app.adapters.ledger.engine import sqlite_module
from chaos.fault_kit import Fault
from chaos.stage import Stage
from chaos.stage_processes import family, limit_files

_LOOK_S = 0.2


class PostgresRestart(Fault):
    """Its recovery brings back what was committed."""

    name, about = "postgres_restart", "PostgreSQL restarts without a goodbye (immediate mode)"
    group, only_with = "ledger", "postgresql"

    def _break(self, stage: Stage) -> None:
        stage.kill("postgres", signal.SIGQUIT)


class LedgerLock(Fault):
    """Nobody can write into it."""

    name, about, group = "ledger_lock", "another program locks the ledger for 10 s", "ledger"
    shortest_s, longest_s = 10.0, 10.0
    _held: Any = None

    def _break(self, stage: Stage) -> None:
        if stage.options.postgres:
            stage.until("somebody locks the ledger", lambda: self._locks(stage), 20)
            return
        path = stage.database_url.removeprefix("sqlite:///")
        self._held = sqlite_module().connect(path, isolation_level=None, timeout=5, check_same_thread=False)
        with suppress(sqlite_module().OperationalError):
            self._held.execute("BEGIN IMMEDIATE")

    def _locks(self, stage: Stage) -> bool:
        """Whether both tables are locked, by this program or by a worker that stands still: all faults wait for this.

        Else it is tried again: PostgreSQL may have been restarted a moment ago, and the hub may hold one of the tables
        and wait for the other.
        """
        held = None
        try:
            held = psycopg.connect(stage.database_url, connect_timeout=10)
            held.execute("SET lock_timeout = '5s'")
            held.execute("LOCK TABLE events, deliveries IN ACCESS EXCLUSIVE MODE")
        except psycopg.OperationalError as error:
            if held is not None:
                held.close()
            return isinstance(error, psycopg.errors.LockNotAvailable)
        self._held = held
        return True

    def _mend(self, stage: Stage) -> None:
        held, self._held = self._held, None
        if held is not None:
            with suppress(psycopg.Error, sqlite_module().Error):
                held.rollback()
            held.close()


class DiskFull(Fault):
    """No file of the ledger can grow. What was written stays readable."""

    name, about, group = "disk_full", "the disk is full: no write into the ledger's files succeeds", "ledger"
    shortest_s, longest_s = 3.0, 10.0

    def __init__(self, details: Any) -> None:
        super().__init__(details)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def _break(self, stage: Stage) -> None:
        if not stage.options.postgres:
            stage.limit_files(0)
            return
        # Each new connection is a new process of the server's.
        self._thread = threading.Thread(target=self._limit_backends, args=(stage,), daemon=True)
        self._thread.start()

    def _limit_backends(self, stage: Stage) -> None:
        while True:
            for pid in backends(stage.keeper.pid("postgres")):
                limit_files(pid, 0)
            if self._over.wait(_LOOK_S):
                return

    def _mend(self, stage: Stage) -> None:
        stage.limit_files(None)
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            for pid in backends(stage.keeper.pid("postgres")):
                limit_files(pid, None)


def backends(pid: int) -> list[int]:
    """The processes of a PostgreSQL that serve clients."""
    return [one for one in family(pid) if b" postgres chaos " in _command_line(one)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
