"""Brings a database to the schema that this program works with. Alembic is imported only when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, text

from app.adapters.ledger.engine import Database, unavailable
from app.adapters.ledger.schema import REVISIONS
from app.errors import ConfigError
from app.model import Problem

#: moving: a ledger is being copied into it; moved: it was copied elsewhere, and is that one's past from then on.
SchemaState = Literal["empty", "current", "behind", "ahead", "moving", "moved"]

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number will do, as long as all versions of the program hold the same lock while they migrate.
_LOCK = 4_207_201
_WAIT_S = 60.0
#: Asked by each process as it starts, and by the driver: SQLAlchemy's own way to look around takes a megabyte.
_TABLE = {
    "sqlite": "SELECT max(name) FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT to_regclass('alembic_version')::text",
}
#: What stands before the revision of a ledger that no hub may work on. An older program takes it for a newer one.
MOVING, MOVED = "moving-", "moved-"


def migrate(url: str) -> None:
    """Create or update the tables in one transaction. May run in several processes at once.

    Raises `ConfigError` when the database belongs to a newer program, `LedgerUnavailable` when it cannot be reached.
    """
    db = Database(url, _WAIT_S)
    if db.dialect == "sqlite" and db.url.database:
        file = Path(db.url.database).absolute()
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # It will hold persons: SQLite would make it as the umask says, and its other files as it makes this one.
        file.touch(mode=0o600)
    try:
        with db.write() as connection:
            if db.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            state = _state(connection)
            refuse(state, repr(db.url))
            if state != "current":
                _upgrade(connection)
    finally:
        db.close()


def schema_state(url: str) -> SchemaState:
    """How the tables stand to this program. Raises `LedgerUnavailable` when the database cannot be reached."""
    db = Database(url, 5.0)
    if db.dialect == "sqlite" and not Path(db.url.database or "").exists():
        # To connect would make an empty file.
        return "empty"
    try:
        return state_of(db)
    finally:
        db.close()


def refuse(state: SchemaState, name: str) -> None:
    """Raises `ConfigError` for a ledger whose tables this program may not bring up to date."""
    if state == "ahead":
        what, todo = "was made by a newer Backhaul", "run that one, or restore a backup"
    elif state == "moving":
        what, todo = (
            "is being copied from another one",
            "run the same `backhaul import` again until it is done",
        )
    elif state == "moved":
        what = "was moved to another database"
        todo = "let DATABASE_URL name that one; `backhaul import --help` says how to give up a move"
    else:
        return
    raise ConfigError([Problem("", 0, 0, f"the ledger at {name} {what}", todo)])


def need_current(url: str, name: str) -> None:
    """Raises `ConfigError` unless the tables are those that this program knows; `name` is the URL for people."""
    state = schema_state(url)
    refuse(state, name)
    if state != "current":
        what = "there is no ledger yet" if state == "empty" else "the ledger is of an older version of the hub"
        raise ConfigError([Problem("", 0, 0, f"{what} ({name})", "run `backhaul migrate` or `backhaul up`")])


def state_of(db: Database) -> SchemaState:
    """`schema_state` of a database that is open."""
    with db.read() as connection:
        return _state(connection)


def revision(connection: Connection) -> str | None:
    """The revision that a database says it has, "" when it says none; None when there is no ledger in it."""
    cursor: Any = connection.connection.cursor()
    cursor.execute(_TABLE[connection.dialect.name])
    if cursor.fetchone()[0] is None:
        return None
    cursor.execute("SELECT max(version_num) FROM alembic_version")
    return cursor.fetchone()[0] or ""


def _state(connection: Connection) -> SchemaState:
    found = revision(connection)
    if not found:
        return "empty"
    if found == REVISIONS[-1]:
        return "current"
    if found.startswith((MOVING, MOVED)):
        return "moving" if found.startswith(MOVING) else "moved"
    return "behind" if found in REVISIONS else "ahead"


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with unavailable(connection.dialect.loaded_dbapi):
        command.upgrade(config, "head")
