"""A private PostgreSQL for the tests: its own folder, a socket instead of a port, nothing synced to disk."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_connections=200")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def required() -> bool:
    """Whether missing binaries are a failure."""
    return os.environ.get("BACKHAUL_REQUIRE_POSTGRES") == "1"


def find_binaries() -> Path | None:
    """The folder of initdb and postgres: newest under /usr/lib/postgresql, else where PATH leads."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name.zfill(4), reverse=True
    )
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


class Cluster:
    """A running server; as a context manager it stops and is removed."""

    def __init__(self, binaries: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bh-pg-"))
        self._numbers = count(1)
        self._shared: set[str] = set()
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self._folder, "postgres", "postgres")
            self._who = {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = self._folder / "data"
        # The C locale compares bytes: quick, and the same everywhere.
        make: list[Any] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **self._who)
        self._run_it: list[Any] = [binaries / "postgres", "-D", data, "-k", self._folder, "-c", "listen_addresses="]
        for setting in _FAST:
            self._run_it += ["-c", setting]
        self.start()
        self.wait()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server, which must not run: at first, or anew after it was killed. Its process."""
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                self._run_it, stdout=log, stderr=log, cwd=self._folder, preexec_fn=_die_with_parent, **self._who
            )
        return self._server

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database; its URL."""
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    @contextmanager
    def copy(self, template: str) -> Iterator[str]:
        """The URL of a copy of a database, dropped in the end."""
        name = f"copy_{next(self._numbers)}"
        yield self.create(name, template)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def emptied(self, template: str) -> str:
        """The URL of the one copy of `template` that tests share, emptied: ten times quicker than a copy each."""
        name = f"{template}_shared"
        if name not in self._shared:
            self._shared.add(name)
            return self.create(name, template)
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            kept = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            tables = [row[0] for row in connection.execute(kept) if row[0] != "alembic_version"]
            connection.execute("; ".join(f"DELETE FROM {table}" for table in tables).encode())
        return self.url(name)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.send_signal(signal.SIGINT)
        self._server.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def wait(self) -> None:
        """Return once it takes connections."""
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.02)


def _die_with_parent() -> None:
    # A killed pytest must not leave servers behind. A no-op where the C library is no Linux one.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGINT)
