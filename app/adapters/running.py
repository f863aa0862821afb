"""The note that a running hub leaves in `var/up.json`, so that the other commands find it."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from app.errors import HubError

_NOTE, _LOCK = "up.json", "up.lock"


@dataclass(frozen=True, slots=True)
class Running:
    """Where a hub that `backhaul up` started can be reached. `redis_url` is empty when REDIS_URL says it."""

    pid: int
    url: str  # of the web process
    redis_url: str


class Lock:
    """Held by the one `backhaul up` of a `var/` folder, for as long as its process lives."""

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock. Raises `HubError` when another hub runs on this folder."""
        self._var_dir.mkdir(parents=True, exist_ok=True)
        # The ledger holds people's addresses: nobody but the hub's user may look in.
        self._var_dir.chmod(0o700)
        self._file = os.open(self._var_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise HubError(
                f"a hub runs on {self._var_dir} already; stop it first, or give BACKHAUL_VAR another folder"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        (self._var_dir / _NOTE).unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """In a forked child: the lock is its parent's, and ends with the parent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def write(self, url: str, redis_url: str) -> None:
        """Leave the note of this process, readable by this user only."""
        note = Running(os.getpid(), url, redis_url)
        path = self._var_dir / _NOTE
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(note), file)
        new.replace(path)


def find(var_dir: Path) -> Running | None:
    """The hub that runs on this folder, None when there is none."""
    try:
        note = Running(**json.loads((var_dir / _NOTE).read_text()))
        os.kill(note.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return note
