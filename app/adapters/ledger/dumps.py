"""Backups of a PostgreSQL ledger by PostgreSQL's own programs, which must be installed. Passwords are told to them in
the environment: arguments can be read by everybody on the machine."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from app.adapters.ledger.backup import Backup, into_place, need_new
from app.adapters.ledger.engine import Database, parse
from app.errors import HubError

_WAIT_S = 10.0
#: What these programs need of the environment beside the connection.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
#: Settings of a connection whose variable is not called like them.
_OTHERWISE = {"application_name": "PGAPPNAME", "user": "PGUSER", "dbname": "PGDATABASE"}


def backup_postgresql(url: str, target: Path, env: Mapping[str, str]) -> Backup:
    """Dump the ledger, which may be in use, to a new file in PostgreSQL's custom format; what it holds.

    Raises `HubError`, also when the program is not there: then with the command to be run where it is.
    """
    need_new(target)
    part = target.with_name(f".{target.name}.part")
    program = _program("pg_dump", env, f"pg_dump --format=custom --file={shlex.quote(str(target))}")
    part.unlink(missing_ok=True)
    try:
        part.touch(mode=0o600)
    except OSError as error:
        raise HubError(f"{target} cannot be written: {error.strerror or error}") from None
    db = Database(url, _WAIT_S)
    try:
        with db.read() as connection:
            # The dump reads what this transaction sees, so the numbers told are those of the dump.
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
            events, seal = _held(connection)
            _run([program, "--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={part}"], url, env)
        lister = _program("pg_restore", env, f"pg_restore --list {shlex.quote(str(part))}")
        _need_ledger(_run([lister, "--list", str(part)], url, env), target)
        into_place(part, target)
    finally:
        db.close()
        part.unlink(missing_ok=True)
    return Backup(target.stat().st_size, events, seal)


def restore_postgresql(url: str, source: Path, env: Mapping[str, str]) -> Backup:
    """Read a dump into an empty database, in one transaction; what it holds. Raises `HubError`."""
    if not source.is_file():
        raise HubError(f"there is no file {source}")
    program = _program("pg_restore", env, f"pg_restore --single-transaction --dbname=NAME {shlex.quote(str(source))}")
    _need_ledger(_run([program, "--list", str(source)], url, env), source)
    name = parse(url).database or ""
    command = [program, "--single-transaction", "--no-owner", "--no-acl", f"--dbname={name}"]
    db = Database(url, _WAIT_S)
    try:
        with db.read() as connection:
            tables = inspect(connection).get_table_names()
            kept = [one for one in ("events", "audit", "refs") if one in tables]
            if any(connection.execute(text(f"SELECT 1 FROM {one} LIMIT 1")).first() for one in kept):
                raise HubError(
                    f"the database {name!r} holds a ledger with events, and nothing is replaced on PostgreSQL: make an"
                    " empty one with createdb, let DATABASE_URL name it, and restore there"
                )
            if tables and "alembic_version" not in tables:
                raise HubError(f"the database {name!r} holds tables that are not the hub's: make one of its own")
        # Tables that are there are those of an empty ledger.
        _run([*command, *(("--clean", "--if-exists") if tables else ()), str(source)], url, env)
        with db.read() as connection:
            events, seal = _held(connection)
    finally:
        db.close()
    return Backup(source.stat().st_size, events, seal)


def connection_env(url: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment for PostgreSQL's programs that stands for a database URL."""
    parsed = parse(url)
    told: dict[str, Any] = {
        "PGHOST": parsed.host,
        "PGPORT": parsed.port,
        "PGUSER": parsed.username,
        "PGPASSWORD": parsed.password,
        "PGDATABASE": parsed.database,
    }
    for key, value in parsed.query.items():
        told[_OTHERWISE.get(key, f"PG{key.upper()}")] = value if isinstance(value, str) else ",".join(value)
    passed = {name: env[name] for name in _PASSED if name in env}
    return passed | {name: str(value) for name, value in told.items() if value not in (None, "")}


def _held(connection: Connection) -> tuple[int, tuple[int, str] | None]:
    events = connection.scalar(text("SELECT count(*) FROM events")) or 0
    if not inspect(connection).has_table("seals"):
        return int(events), None
    last = connection.execute(text("SELECT seq, chain FROM seals ORDER BY seq DESC LIMIT 1")).first()
    return int(events), None if last is None else (int(last[0]), str(last[1]))


def _need_ledger(listed: str, path: Path) -> None:
    if "TABLE public alembic_version" not in listed or "TABLE public events" not in listed:
        raise HubError(f"{path} is a dump, but not of a ledger of a hub")


def _program(name: str, env: Mapping[str, str], instead: str) -> str:
    found = shutil.which(name, path=env.get("PATH"))
    if found is None:
        raise HubError(f"{name} is not on PATH: install PostgreSQL's client programs, or run where they are: {instead}")
    return found


def _run(command: list[str], url: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, env=connection_env(url, env), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[:300] or f"it ended with {done.returncode}"
        raise HubError(f"{Path(command[0]).name}: {said}")
    return done.stdout
