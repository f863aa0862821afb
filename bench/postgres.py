"""A private PostgreSQL for the bench, as durable as it is delivered: every commit on disk before it is answered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from bench import processes
from tests import postgres

_DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "autovacuum=on", "max_connections=200")

#: Files of its log, 16 MB each: a burst writes ten.
_FILES = 24


def found() -> bool:
    """Whether its binaries are on this machine."""
    return postgres.find_binaries() is not None


@contextmanager
def cluster() -> Iterator[Any]:
    """A running server with `create(name)`, which gives the URL of a new database."""
    binaries = postgres.find_binaries()
    assert binaries is not None, "ask `found` first"
    # The tests' server syncs nothing, which would flatter a measurement.
    usual, postgres._FAST = postgres._FAST, _DURABLE
    try:
        running = postgres.Cluster(binaries)
    finally:
        postgres._FAST = usual
    with running:
        _run_in(running.url("postgres"))
        yield running


def _run_in(url: str) -> None:
    """Have the server write as much as it does within a run, and keep the files of that to be used again.

    A new one makes each of them when it is needed, 16 MB of zeros, and every commit waits for 50 to 60 ms meanwhile.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(_FILES * 2):
            connection.execute("SELECT pg_logical_emit_message(false, 'bench', repeat('x', 8000000))")
        connection.execute("CHECKPOINT")


def server_processes() -> list[processes.Process]:
    """The processes of the servers that this process has started."""
    return [one for one in processes.tree(os.getpid(), "bench") if one.name == "postgres"]
