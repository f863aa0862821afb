"""A whole ledger copied from SQLite to PostgreSQL: table by table in the order of their keys, in batches.

Both ledgers are marked while it goes on, so that no hub works on either. How far it came is what the target holds:
killed at any point, it goes on from there. In the end both are read again and compared, row by row.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, collate, func, select, text, tuple_
from sqlalchemy.types import TypeDecorator

from app.adapters.ledger.backup import need_alone
from app.adapters.ledger.columns import to_ms
from app.adapters.ledger.engine import Database, sqlite_module
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.migrate import MOVED, MOVING, migrate, revision, schema_state
from app.adapters.ledger.restoring import LEDGER, let_go
from app.adapters.ledger.schema import REVISIONS, metadata
from app.core.ports import Clock
from app.errors import HubError

#: Rows that are copied, and kept as copied, at once: a body may have megabytes.
BATCH = 200
_WAIT_S = 30.0
_REVISION = REVISIONS[-1]

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """One table that was copied, and read again on both sides."""

    table: str
    rows: int
    digest: str


def move(
    source_url: str, target_url: str, clock: Clock, who: str, tell: Callable[[str, int, int], object]
) -> list[Moved]:
    """Copy a SQLite ledger into an empty PostgreSQL database, or go on with that; the tables, compared.

    `tell` hears of the table, how many of its rows are copied, and of how many. No process may work on either. From
    its beginning the source belongs to the move: no hub starts on it, unless `give_up` is called. Raises `HubError`.
    """
    source, target = Database(source_url, _WAIT_S), Database(target_url, _WAIT_S)
    try:
        if (source.dialect, target.dialect) != ("sqlite", "postgresql"):
            raise HubError("a ledger is moved from SQLite to PostgreSQL, no other way: look at --from and DATABASE_URL")
        path = Path(source.url.database or "")
        if not path.exists():
            raise HubError(f"there is no ledger at {path}")
        try:
            need_alone(path)
        except sqlite_module().DatabaseError as error:
            raise HubError(f"{path} is no ledger: {error}") from None
        mark = _begin(source, target, source_url, target_url)
        # Nobody can begin to work on it from here on; somebody may have, a moment before.
        source.close()
        need_alone(path)
        for table in metadata.sorted_tables:
            _copy(source, target, table, tell)
        found = [_compare(source, target, table, tell) for table in metadata.sorted_tables]
        with target.write() as connection:
            _finish(connection, target, clock, who, mark)
        return found
    finally:
        source.close()
        target.close()


def give_up(source_url: str) -> None:
    """The source of a move is a ledger of its own again. What was copied of it has to be thrown away.

    Raises `HubError` where no move was begun.
    """
    source = Database(source_url, _WAIT_S)
    try:
        with source.write() as connection:
            version = _version(connection)
            if not version.startswith(MOVED):
                raise HubError("no move of this ledger was begun")
            _set_version(connection, version.removeprefix(MOVED).rpartition("-")[0])
    finally:
        source.close()


def _begin(source: Database, target: Database, source_url: str, target_url: str) -> str:
    """Mark both, the source first: what no hub works on stays as it is. The mark that they share."""
    with source.read() as connection:
        known = _version(connection)
    with target.read() as connection:
        there = _version(connection, missing="")
    if known.startswith(MOVED):
        mark = known.removeprefix(MOVED)
        if there == MOVING + mark:
            return mark
        if there == _REVISION:
            with target.read() as connection:
                if _was_moved(connection, mark):
                    raise HubError("this ledger was moved there already, and all of it was compared: nothing to do")
        if not mark.startswith(f"{_REVISION}-"):
            raise HubError("its move was begun by another version of the hub: finish it with that one, or give it up")
    elif known == _REVISION:
        mark = f"{_REVISION}-{secrets.token_hex(6)}"
    else:
        raise HubError(
            f"the ledger to be moved is not of this version of the hub ({schema_state(source_url)}):"
            " run `backhaul migrate` on it first"
        )
    if there == "":
        _need_no_tables(target)
        migrate(target_url)
    elif there != _REVISION or not _is_empty(target):
        raise HubError("the database to move to is not empty, and no unfinished move of this ledger: make an empty one")
    with source.write() as connection:
        _set_version(connection, MOVED + mark)
    with target.write() as connection:
        _set_version(connection, MOVING + mark)
    return mark


def _copy(source: Database, target: Database, table: Table, tell: Callable[[str, int, int], object]) -> None:
    keys = list(table.primary_key.columns)
    columns = list(table.c)
    with source.read() as reading:
        whole = reading.scalar(select(func.count()).select_from(table)) or 0
    with target.read() as reading:
        done = reading.scalar(select(func.count()).select_from(table)) or 0
        order = [_in_bytes(target, key).desc() for key in keys]
        newest = reading.execute(select(*keys).order_by(*order).limit(1)).first() if done else None
    last: Row | None = None if newest is None else tuple(newest)
    tell(table.name, done, whole)
    names = ", ".join(f'"{column.name}"' for column in columns)
    while True:
        query = select(*columns).order_by(*keys).limit(BATCH)
        if last is not None:
            query = query.where(tuple_(*keys) > tuple_(*last))
        with source.read() as reading:
            rows = [tuple(row) for row in reading.execute(query)]
        if not rows:
            return
        with target.write() as writing:
            driven: Any = writing.connection.dbapi_connection
            with driven.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copying:
                for row in rows:
                    copying.write_row(row)
        done += len(rows)
        places = [columns.index(key) for key in keys]
        last = tuple(rows[-1][place] for place in places)
        tell(table.name, done, whole)


def _compare(source: Database, target: Database, table: Table, tell: Callable[[str, int, int], object]) -> Moved:
    """Read both again. Raises `HubError` at the first row that is not the same."""
    count, digest = 0, hashlib.sha256()
    with source.read() as one, target.read() as other:
        for left, right in zip_longest(_rows(source, one, table), _rows(target, other, table)):
            if left != right:
                row = left or right or ()
                name = ", ".join(str(row[list(table.c).index(key)]) for key in table.primary_key.columns)
                raise HubError(
                    f"{table.name} {name} is not the same on both sides: somebody wrote to one of them meanwhile."
                    " Nothing is lost: give this move up and begin it anew with an empty database"
                )
            digest.update(repr(left).encode("utf-8", "surrogatepass"))
            count += 1
    tell(f"{table.name} compared", count, count)
    return Moved(table.name, count, digest.hexdigest()[:16])


def _rows(db: Database, connection: Connection, table: Table) -> Iterator[Row]:
    """All rows of a table in the order of its key, some at a time, in the types of Python."""
    query = select(*table.c).order_by(*(_in_bytes(db, key) for key in table.primary_key.columns))
    for row in connection.execute(query.execution_options(stream_results=True, yield_per=BATCH)):
        yield tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


def _in_bytes(db: Database, key: Column[Any]) -> Any:
    """The key as it is ordered on both sides alike: text by its bytes, whatever the language of the database."""
    kind = key.type.impl if isinstance(key.type, TypeDecorator) else key.type
    return collate(key, "BINARY" if db.dialect == "sqlite" else "C") if isinstance(kind, Text) else key


def _finish(connection: Connection, db: Database, clock: Clock, who: str, mark: str) -> None:
    """In one transaction: counters go on, nobody holds anything, and the ledger may be worked on."""
    for table in metadata.sorted_tables:
        found: Any = (
            connection.execute(text("SELECT pg_get_serial_sequence(:table, 'seq')"), {"table": table.name}).scalar()
            if "seq" in table.c
            else None
        )
        if found:
            connection.execute(
                text(f"SELECT setval(:name, coalesce(max(seq), 0) + 1, false) FROM {table.name}"), {"name": found}
            )
    now = to_ms(clock.now())
    let_go(connection, now)
    Finishing(db, connection, now).audit(who, "move", LEDGER, {}, {"mark": mark})
    _set_version(connection, _REVISION)


def _was_moved(connection: Connection, mark: str) -> bool:
    told = text("SELECT 1 FROM audit WHERE target = :ledger AND act = 'move' AND after LIKE :mark")
    return connection.execute(told, {"ledger": LEDGER, "mark": f"%{mark}%"}).first() is not None


def _is_empty(db: Database) -> bool:
    with db.read() as connection:
        tables: Sequence[Table] = metadata.sorted_tables
        return not any(connection.execute(select(table).limit(1)).first() for table in tables)


def _need_no_tables(db: Database) -> None:
    with db.read() as connection:
        if connection.execute(text("SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1")).first():
            raise HubError("the database to move to holds tables of something else: make an empty one")


def _version(connection: Connection, missing: str | None = None) -> str:
    found = revision(connection)
    if found is None:
        found = missing
    if found is None:
        raise HubError("the database to be moved holds no ledger")
    return found


def _set_version(connection: Connection, version: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
