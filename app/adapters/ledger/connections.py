"""The open connections to the database: taken for one transaction, used again by the next.

SQLAlchemy's own pool and transactions take longer than most statements here; it only opens the connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine

from app.errors import LedgerUnavailable

#: So many stay open while nobody uses them: each has memory of its own.
_KEPT = 5
#: A connection that was opened longer ago is closed when it is given back, in seconds.
_OLD_S = 1800.0


class Connections:
    """Connections of one kind, each used by one thread at a time."""

    def __init__(
        self,
        engine: Engine,
        begin: Callable[[Any], object],
        *,
        most: int,
        timeout_s: float,
        gone: type[Exception] | None = None,
    ) -> None:
        """`begin` begins a transaction on a connection of the driver. With `gone` it says that this connection is lost:
        another one is opened then. `most` are open at a time, and whoever wants one more waits for `timeout_s`."""
        self.dialect = engine.dialect
        self._engine, self._begin, self._gone, self._timeout_s = engine, begin, gone, timeout_s
        self._free = threading.BoundedSemaphore(most)
        # The one that was used last is used next: its memory is warm, and the others can grow old.
        self._idle: list[tuple[Connection, Any, float]] = []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        if not self._free.acquire(timeout=self._timeout_s):
            raise LedgerUnavailable("all connections to the ledger are in use")
        try:
            held = self._begun()
            connection, driven, opened_at = held
            try:
                yield connection
                driven.commit()
            except BaseException:
                self._undo(held)
                raise
            old = self._gone is not None and time.monotonic() - opened_at > _OLD_S
            if old or len(self._idle) >= _KEPT:
                _close(connection)
            else:
                self._idle.append(held)
        finally:
            self._free.release()

    def dispose(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            _close(self._idle.pop()[0])
        self._engine.dispose()

    def _begun(self) -> tuple[Connection, Any, float]:
        while True:
            held = self._take()
            if held is None:
                break
            try:
                self._begin(held[1])
                return held
            except Exception as error:
                if self._gone is None or not isinstance(error, self._gone):
                    self._idle.append(held)
                    raise
                _close(held[0])
        # Each statement for itself, as far as SQLAlchemy knows: begin and end are ours.
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.begin()
        driven = connection.connection.dbapi_connection
        try:
            self._begin(driven)
        except BaseException:
            _close(connection)
            raise
        return connection, driven, time.monotonic()

    def _take(self) -> tuple[Connection, Any, float] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _undo(self, held: tuple[Connection, Any, float]) -> None:
        connection, driven, _ = held
        try:
            driven.rollback()
        except Exception:
            _close(connection)
            return
        # A server that has gone is noticed here, or at the next beginning.
        if connection.invalidated or getattr(driven, "broken", False):
            _close(connection)
        else:
            self._idle.append(held)


def _close(connection: Connection) -> None:
    with suppress(Exception):
        connection.invalidate()
    with suppress(Exception):
        connection.close()
