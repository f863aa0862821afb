"""SQLite's one write lock: how the processes of a machine wait for it, and who goes first."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import Any

#: How often a process that wants to write looks whether it may, in seconds; and how often one that stands back does.
_LOOK_AGAIN_S, _STAND_BACK_S = 0.0005, 0.01
#: While somebody waits who goes first, one that stands back looks so often whether he still does, and lets him pass for
#: so long at most: he may have been stopped.
_LOOK_AROUND_S, _LET_PASS_S = 0.001, 0.05


class WriteLock:
    """How one process takes the write lock. Used by one thread at a time."""

    def __init__(self, path: str, failed: type[Exception], patience_s: float, *, stands_back: bool) -> None:
        """`path` is that of the database, `failed` is what the driver raises when the lock is taken. With `stands_back`
        other processes get it first, most of the time."""
        self._failed, self._patience_s, self._stands_back = failed, patience_s, stands_back
        self._mark = _Mark(os.path.dirname(path) or ".")

    def begin(self, connection: Any) -> None:
        """Begin a transaction that may write, on a connection of the driver.

        SQLite's own waiting sleeps longer and longer, up to 0.1 s, and starves behind two busy processes: one receipt
        in a hundred took 3 s, with this 0.1 s. Raises what the driver says when the lock was not to be had in time.
        """
        cursor = connection.cursor()
        began = time.monotonic()
        try:
            while True:
                if self._stands_back:
                    self._let_pass(began + _LET_PASS_S)
                try:
                    cursor.execute("BEGIN IMMEDIATE")
                    return
                except self._failed as error:
                    if "locked" not in str(error) or time.monotonic() >= began + self._patience_s:
                        raise
                if not self._stands_back:
                    self._mark.show()
                time.sleep(_STAND_BACK_S if self._stands_back else _LOOK_AGAIN_S)
        finally:
            self._mark.hide()

    def close(self) -> None:
        """Let go of what it holds; the next `begin` takes it again."""
        self._mark.close()

    def _let_pass(self, until: float) -> None:
        while self._mark.is_shown() and time.monotonic() < until:
            time.sleep(_LOOK_AROUND_S)


class _Mark:
    """Shows other processes that somebody waits: a lock on the folder, which ends with the process that holds it.

    Where the system does not lock folders, nobody sees anything.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd = -1
        self._shown = False

    def show(self) -> None:
        """Show it; not when another process looks just now, or shows its own."""
        with suppress(OSError):
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._shown = True

    def hide(self) -> None:
        """Show it no longer."""
        if self._shown:
            self._shown = False
            self._unlock()

    def is_shown(self) -> bool:
        """Whether another process shows it."""
        try:
            fcntl.flock(self._open(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._unlock()
        return False

    def close(self) -> None:
        """Let go of the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self._shown = -1, False

    def _unlock(self) -> None:
        # Whoever closed it meanwhile has unlocked it, too.
        with suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _open(self) -> int:
        if self._fd < 0:
            self._fd = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd
