"""SQLite takes one writer at a time: the threads of a process take turns here, and those who wait share a commit.

A commit that is on disk costs as much as all that was written in it. So whoever has written hands the open transaction
to the next who waits; the last of them commits it for all. What one of them takes back is taken back alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from app.adapters.ledger.connections import Connections, Held
from app.errors import LedgerUnavailable

#: So many share one transaction at most, and nobody joins one older than this, in seconds: other processes wait.
_SHARE_MOST, _SHARE_S = 8, 0.002


class _Shared:
    """One transaction, and those who wrote in it."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.began = time.monotonic()
        self.writers = 0
        self.over = threading.Event()
        self.error: BaseException | None = None

    @property
    def open(self) -> bool:
        """Whether one more may join."""
        return self.writers < _SHARE_MOST and time.monotonic() - self.began < _SHARE_S

    def do(self, *statements: str) -> None:
        """Carry out statements of the transaction itself."""
        for statement in statements:
            self.held.driven.execute(statement)


class _Waiter:
    """A thread that waits for its turn. `shared` is what it goes on with: None = a transaction of its own."""

    def __init__(self) -> None:
        self.called = threading.Lock()
        self.called.acquire()
        self.shared: _Shared | None = None


class Turns:
    """The write transactions of one process on SQLite."""

    def __init__(self, connections: Connections, timeout_s: float) -> None:
        """Nobody waits for its turn for longer than `timeout_s`."""
        self._connections, self._timeout_s = connections, timeout_s
        self._lock = threading.Lock()
        self._way = threading.Lock()  # held by whoever writes just now
        self._taken = False
        self._waiting: deque[_Waiter] = deque()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed when this returns, its writes taken back when the block raises.

        What other threads wrote just before may be part of it. Raises `LedgerUnavailable` when no turn came in time, or
        when it was lost together with theirs, and whatever the driver says.
        """
        shared = self._take_turn()
        try:
            if shared is None:
                shared = _Shared(self._connections.begin())
            else:
                shared.do("SAVEPOINT writer")
        except BaseException as error:
            self._give_up(shared, error)
            raise
        joined = shared.writers > 0
        try:
            with self._way:
                yield shared.held.connection
                if joined:
                    shared.do("RELEASE writer")
        except BaseException as error:
            if joined and self._taken_back(shared):
                self._end_turn(shared)
            else:
                self._give_up(shared, error)
            raise
        shared.writers += 1
        if not self._end_turn(shared):
            shared.over.wait()
            if shared.error is not None:
                # Each has an exception of its own: the same one raised in many threads collects their tracebacks.
                raise LedgerUnavailable(f"a commit was lost: {shared.error}") from shared.error

    def give_way(self) -> None:
        """Return once none of these threads writes just now."""
        with self._way:
            pass

    # --- turns -----------------------------------------------------------------------------------

    def _take_turn(self) -> _Shared | None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return None
            waiter = _Waiter()
            self._waiting.append(waiter)
        if not waiter.called.acquire(timeout=self._timeout_s):
            with self._lock:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                    raise LedgerUnavailable(f"other threads have kept the ledger busy for {self._timeout_s:g} s")
        return waiter.shared

    def _call_next(self, shared: _Shared | None) -> bool:
        """The turn goes to who has waited longest; whether somebody waited."""
        with self._lock:
            if self._waiting:
                waiter = self._waiting.popleft()
                waiter.shared = shared
                waiter.called.release()
                return True
            if shared is None:
                self._taken = False
            return False

    def _end_turn(self, shared: _Shared) -> bool:
        """Hand the transaction on to the next, or commit it; whether it is committed. Raises what the driver says."""
        if shared.open and self._call_next(shared):
            return False
        try:
            self._connections.commit(shared.held)
        except BaseException as error:
            shared.error = error
            raise
        finally:
            shared.over.set()
            self._call_next(None)
        return True

    def _give_up(self, shared: _Shared | None, error: BaseException) -> None:
        """Nothing of the transaction is kept; those who wrote in it are told."""
        try:
            if shared is not None:
                shared.error = error
                self._connections.undo(shared.held)
                shared.over.set()
        finally:
            self._call_next(None)

    @staticmethod
    def _taken_back(shared: _Shared) -> bool:
        """Take back what was written since the turn began. False when all of the transaction is lost with it."""
        try:
            shared.do("ROLLBACK TO writer", "RELEASE writer")
        except Exception:
            return False
        return bool(shared.held.driven.in_transaction)
