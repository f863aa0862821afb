"""Backups of a SQLite ledger that is in use, and a ledger put back from one.

A backup comes into place whole or not at all, and so does the ledger that is put back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.adapters.ledger.engine import parse, sqlite_module
from app.errors import HubError

#: Pages copied in one step: some 2 MB, after which others have their turn at the disk.
_STEP = 512
_WAIT_S = 5.0
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    bytes: int
    events: int
    seal: tuple[int, str] | None  # the last one: its number and the value of the chain


def backup_sqlite(url: str, target: Path, tell: Callable[[int, int], object] = lambda done, whole: None) -> Backup:
    """Copy the ledger, which may be in use, to a new file: as it was at the moment at which this began.

    Nobody who writes waits for it: it reads under a snapshot of its own. `tell` hears how many pages of how many are
    copied. Raises `HubError`.
    """
    source = _path(url)
    if not source.exists():
        raise HubError(f"there is no ledger at {source}: nothing to back up")
    need_new(target)
    if not target.parent.is_dir():
        raise HubError(f"{target.parent} is no folder: make it first")
    with _named_beside(target) as copy:
        with _said(f"the ledger at {source} cannot be backed up"):
            _copy(source, copy, tell)
            found = _look(copy)
        _sync(copy)
        into_place(copy, target)
    _sync(target.parent)
    return found


def restore_sqlite(
    url: str, source: Path, prepare: Callable[[str], object], *, replace: bool
) -> tuple[Backup, Path | None]:
    """Put the ledger back from a backup; what it holds, and where the ledger was put that stood there before.

    `prepare` is called with the URL of the copy before that comes into place: a ledger that was put back is never
    seen without the mark of it. No process may have the ledger open. Raises `HubError`, also where one is and
    `replace` is not said.
    """
    target = _path(url)
    if not source.is_file():
        raise HubError(f"there is no file {source}")
    if not replace and _is_filled(target):
        raise HubError(
            f"there is a ledger at {target} already, and it holds events: say --replace to put it aside and take the"
            " backup in its place"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with _named_beside(target) as copy:
        with _said(f"{source} is no sound backup of a ledger"):
            _copy(source, copy, lambda done, whole: None)
            found = _look(copy)
        prepare(f"sqlite:///{copy}")
        with _said(f"{copy} cannot be written"):
            alone(copy)
        _sync(copy)
        aside = _aside(target) if target.exists() else None
        copy.replace(target)
    _sync(target.parent)
    return found, aside


def need_new(target: Path) -> None:
    """Raises `HubError` where something stands under the name that a backup is to have."""
    if target.exists():
        raise _taken(target)


def into_place(copy: Path, target: Path) -> None:
    """Give a finished copy its name. Raises `HubError` where somebody has made a file of that name meanwhile."""
    try:
        # Unlike a rename this overwrites nothing.
        os.link(copy, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:
        copy.rename(target)


def _taken(target: Path) -> HubError:
    return HubError(f"{target} is there already: nothing is overwritten, give another name")


def alone(path: Path) -> None:
    """Bring all that was written into the one file. Fails with "locked" while anybody else has it open."""
    with closing(_open(path)) as connection:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE")


def need_alone(path: Path) -> None:
    """Raises `HubError` while another process has this SQLite ledger open."""
    try:
        alone(path)
    except sqlite_module().OperationalError as error:
        if "locked" not in str(error):
            raise
        raise HubError(f"a process has the ledger at {path} open: stop the hub, all of it, and try again") from None


def _aside(target: Path) -> Path:
    """Give the ledger that stands there a second name, which it keeps."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = target.with_name(f"{target.name}.before-{stamp}")
    # A damaged one is kept as it is: that may be why it is replaced.
    with suppress(sqlite_module().DatabaseError):
        need_alone(target)
    os.link(target, aside)
    for end in _BESIDE:
        # What is left of a log would be read into the ledger that takes its place.
        beside = target.with_name(target.name + end)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + end))
    return aside


def _copy(source: Path, target: Path, tell: Callable[[int, int], object]) -> None:
    with closing(_open(source)) as reading, closing(_open(target)) as writing:
        reading.isolation_level = None
        # Read from here on as it is now: without this each commit of others would begin the copy anew.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(writing, pages=_STEP, progress=lambda _, left, whole: tell(whole - left, whole))
        reading.execute("ROLLBACK")
        writing.execute("PRAGMA journal_mode = DELETE")


def _look(path: Path) -> Backup:
    """What a copy holds. Raises `HubError` where it is not whole or no ledger."""
    with closing(_open(path)) as connection:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise HubError(f"{path.name}: {said}")
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"alembic_version", "events"} <= tables:
            raise HubError("it is a database, but no ledger of a hub")
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        last = "SELECT seq, chain FROM seals ORDER BY seq DESC LIMIT 1"
        seal = connection.execute(last).fetchone() if "seals" in tables else None
    return Backup(path.stat().st_size, int(events), None if seal is None else (int(seal[0]), str(seal[1])))


def _is_filled(path: Path) -> bool:
    """Whether something stands there that may not be replaced unasked; so does what cannot be read."""
    if not path.exists():
        return False
    module = sqlite_module()
    try:
        with closing(_open(path)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            kept = tables & {"events", "audit", "refs"}
            return any(connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in kept)
    except module.DatabaseError:
        return True


@contextmanager
def _named_beside(target: Path) -> Iterator[Path]:
    """The name of a new file in the same folder, readable by this user only; nothing of it is left in the end."""
    path = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield path
    except OSError as error:
        raise HubError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        for end in ("", *_BESIDE):
            path.with_name(path.name + end).unlink(missing_ok=True)


@contextmanager
def _said(what: str) -> Iterator[None]:
    module = sqlite_module()
    try:
        yield
    except module.Error as error:
        raise HubError(f"{what}: {error}") from None
    except HubError as error:
        raise HubError(f"{what}: {error}") from None


def _open(path: Path) -> Any:
    return sqlite_module().connect(str(path), timeout=_WAIT_S)


def _path(url: str) -> Path:
    return Path(parse(url).database or "").absolute()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
