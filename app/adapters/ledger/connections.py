"""The open connections to the database: taken for one transaction, used again by the next.

SQLAlchemy's own pool and transactions take longer than most statements here; it only opens the connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from app.errors import LedgerUnavailable

#: So many stay open while nobody uses them: each has memory of its own.
_KEPT = 5
#: A connection that was opened longer ago is closed when it is given back, in seconds.
_OLD_S = 1800.0


class Held(NamedTuple):
    """A connection that a transaction is open on."""

    connection: Connection
    driven: Any  # the driver's own
    opened_at: float  # by the clock that always runs


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
        closed: Callable[[], object] = bool,
    ) -> None:
        """`begin` begins a transaction on a connection of the driver. With `gone` it says that this connection is lost:
        another one is opened then. `most` are open at a time, and whoever wants one more waits for `timeout_s`.
        `closed` is called after those that nobody uses were closed."""
        self.dialect = engine.dialect
        self._engine, self._begin, self._gone, self._timeout_s = engine, begin, gone, timeout_s
        self._closed = closed
        self._free = threading.BoundedSemaphore(most)
        # The one that was used last is used next: its memory is warm, and the others can grow old.
        self._idle: list[Held] = []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        held = self.begin()
        try:
            yield held.connection
        except BaseException:
            self.undo(held)
            raise
        self.commit(held)

    def begin(self) -> Held:
        """Begin a transaction. Whoever holds it ends it, in any thread: with `commit` or with `undo`."""
        if not self._free.acquire(timeout=self._timeout_s):
            raise LedgerUnavailable("all connections to the ledger are in use")
        try:
            return self._begun()
        except BaseException:
            self._free.release()
            raise

    def commit(self, held: Held) -> None:
        """End it; when this raises, it was undone."""
        try:
            held.driven.commit()
        except BaseException:
            self.undo(held)
            raise
        old = self._gone is not None and time.monotonic() - held.opened_at > _OLD_S
        if old or len(self._idle) >= _KEPT:
            _close(held.connection)
        else:
            self._idle.append(held)
        self._free.release()

    def undo(self, held: Held) -> None:
        """End it; nothing of it is kept."""
        try:
            held.driven.rollback()
        except Exception:
            _close(held.connection)
        else:
            # A server that has gone is noticed here, or at the next beginning.
            if held.connection.invalidated or getattr(held.driven, "broken", False):
                _close(held.connection)
            else:
                self._idle.append(held)
        finally:
            self._free.release()

    def dispose(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            _close(self._idle.pop().connection)
        self._closed()

    def _begun(self) -> Held:
        while True:
            held = self._take()
            if held is None:
                break
            try:
                self._begin(held.driven)
                return held
            except Exception as error:
                if self._gone is None or not isinstance(error, self._gone):
                    self._idle.append(held)
                    raise
                _close(held.connection)
        # Each statement for itself, as far as SQLAlchemy knows: begin and end are ours.
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.begin()
        driven = connection.connection.dbapi_connection
        try:
            self._begin(driven)
        except BaseException:
            _close(connection)
            raise
        return Held(connection, driven, time.monotonic())

    def _take(self) -> Held | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _close(connection: Connection) -> None:
    with suppress(Exception):
        connection.invalidate()
    with suppress(Exception):
        connection.close()
