"""The database behind the ledger: connections, transactions, and what "cannot be reached" means."""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import Connection, Engine, NullPool, Table, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
)

from app.adapters.ledger.connections import Connections
from app.adapters.ledger.statements import inserting
from app.adapters.ledger.turns import Turns
from app.adapters.ledger.write_lock import WriteLock
from app.errors import ConfigError, LedgerUnavailable

Dialect = Literal["sqlite", "postgresql"]

#: Since this SQLite, several writers cannot lose a commit when the write-ahead log is reset (sqlite.org/wal.html).
_SAFE = (3, 51, 3)
_SAFE_BACKPORTS = {(3, 44): 6, (3, 50): 7}
#: FULL: an answer 2xx must not be lost with the power. NORMAL would lose the last commits.
_SYNCHRONOUS = "FULL"
#: What came is compressed; PostgreSQL's own way takes ten times as long. Not every build has the other one.
_QUICK_COMPRESSION = (
    "SELECT set_config(name, 'lz4', false) FROM pg_settings"
    " WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
)
#: After so many pages the process that commits moves them from the write-ahead log into the file, which takes it longer
#: than the commit: others leave that to those who stand back, as long as there are some who write.
_MOVED_AFTER, _MOVED_BY_OTHERS = 500, 4_000
#: More than there are: preparing a statement takes longer than carrying it out.
_STATEMENTS_KEPT = 512
#: The driver asks each of these values whether it adapts itself, 2 µs a value, unless it knows what to do with it.
_ADAPTERS: dict[type, Callable[[Any], Any]] = {type(None): {}.get, bool: int, bytes: bytes}


def parse(url: str) -> URL:
    """The database URL with the driver that the hub uses. Raises `ConfigError` for one it cannot use."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("DATABASE_URL is no database URL, write sqlite:///path or postgresql://host/name") from None
    dialect = parsed.get_backend_name()
    if dialect in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if dialect != "sqlite":
        raise ConfigError(f"DATABASE_URL names {dialect!r}, the ledger works with sqlite and postgresql")
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError("DATABASE_URL names no file, the ledger must outlive its process: write sqlite:///path")
    return parsed


def sqlite_module() -> Any:
    """The newer SQLite of pysqlite3 where there is a wheel of it, else Python's own."""
    try:
        return importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        return importlib.import_module("sqlite3.dbapi2")


def sqlite_version() -> str:
    """The version of the SQLite in use."""
    return str(sqlite_module().sqlite_version)


def sqlite_is_safe(version: str | None = None) -> bool:
    """Whether this SQLite is free of the fault that can lose commits when several processes write."""
    numbers = tuple(int(part) for part in (version or sqlite_version()).split("."))
    backport = _SAFE_BACKPORTS.get((numbers[0], numbers[1]))
    return numbers >= _SAFE or (backport is not None and numbers[2] >= backport)


@contextmanager
def unavailable(driver: Any) -> Iterator[None]:
    """Turns what the database says when it cannot work now into `LedgerUnavailable`; our own faults pass.

    SQLAlchemy has errors of its own for what it runs; `driver` is the module whose errors the rest raises.
    """
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        raise LedgerUnavailable(_words(error)) from error
    except (driver.OperationalError, driver.InterfaceError, driver.InternalError) as error:
        raise LedgerUnavailable(_words(error)) from error
    except (DatabaseError, driver.DatabaseError) as error:
        # The bare class is SQLite's word for a file that is damaged or no database; its subclasses are our faults.
        if type(error) not in (DatabaseError, driver.DatabaseError):
            raise
        raise LedgerUnavailable(_words(error)) from error


class Database:
    """One database with its pools. Safe to share between threads, not between a process and its fork."""

    #: See `Ledger.give_way`.
    give_way: Callable[[], None]

    def __init__(self, url: str, busy_timeout_s: float, *, stands_back: bool = False) -> None:
        """With `stands_back` other processes that want to write on SQLite get the lock first, most of the time."""
        parsed = parse(url)
        self.url = parsed
        self.dialect: Dialect = "sqlite" if parsed.get_backend_name() == "sqlite" else "postgresql"
        self._writing = threading.local()
        if self.dialect == "sqlite":
            self._writer = _sqlite(parsed, busy_timeout_s, writes=True, stands_back=stands_back)
            self._reader = _sqlite(parsed, busy_timeout_s, writes=False)
            turns = Turns(self._writer, busy_timeout_s)
            self._write, self.give_way = turns.transaction, turns.give_way
        else:
            self._writer = self._reader = _postgresql(parsed, busy_timeout_s)
            self._write, self.give_way = self._writer.transaction, _writers_do_not_wait
        self._driver: Any = self._writer.dialect.loaded_dbapi

    def insert(self, table: Table) -> Any:
        """An INSERT that can say ON CONFLICT."""
        return inserting(self.dialect, table)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read from. Raises `LedgerUnavailable`."""
        with unavailable(self._driver), self._reader.transaction() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        Raises `LedgerUnavailable` when the database cannot take it now; nothing of it is written then.
        """
        if getattr(self._writing, "now", False):
            raise RuntimeError("a transaction of the ledger is open in this thread already: they do not nest")
        self._writing.now = True
        try:
            with unavailable(self._driver), self._write() as connection:
                yield connection
        finally:
            self._writing.now = False

    def close(self) -> None:
        """Let go of all connections."""
        self._reader.dispose()
        self._writer.dispose()


def _writers_do_not_wait() -> None:
    """PostgreSQL takes as many writers as there are."""


def _sqlite(url: URL, busy_timeout_s: float, *, writes: bool, stands_back: bool = False) -> Connections:
    engine = _sqlite_engine(url, busy_timeout_s, writes, stands_back)
    driver: Any = engine.dialect.loaded_dbapi
    if not writes:
        return Connections(engine, lambda connection: connection.execute("BEGIN"), most=20, timeout_s=busy_timeout_s)
    lock = WriteLock(str(url.database), driver.OperationalError, busy_timeout_s, stands_back=stands_back)
    return Connections(engine, lock.begin, most=1, timeout_s=busy_timeout_s, closed=lock.close)


@functools.lru_cache(maxsize=8)
def _sqlite_engine(url: URL, busy_timeout_s: float, writes: bool, stands_back: bool) -> Engine:
    """Opens connections and holds none: what it learns from the first is known in the forks of this process, too."""
    driver = sqlite_module()
    for kind, adapter in _ADAPTERS.items():
        driver.register_adapter(kind, adapter)
    engine = create_engine(
        url,
        module=driver,
        # The driver would begin by itself, and too late: None leaves that to us.
        connect_args={
            "timeout": busy_timeout_s,
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": _STATEMENTS_KEPT,
        },
        poolclass=NullPool,
    )
    move = f"wal_autocheckpoint = {_MOVED_AFTER if stands_back else _MOVED_BY_OTHERS}"
    more = ("cache_size = -16000", "busy_timeout = 0", move) if writes else ("query_only = ON",)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        _use_wal(cursor, driver.OperationalError, busy_timeout_s)
        for pragma in (f"synchronous = {_SYNCHRONOUS}", "foreign_keys = ON", *more):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _use_wal(cursor: Any, busy: type[Exception], timeout_s: float) -> None:
    """Turn on the write-ahead log. On a new file SQLite calls that busy at once when another does the same."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except busy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _postgresql(url: URL, busy_timeout_s: float) -> Connections:
    engine = _postgresql_engine(url, busy_timeout_s)
    driver: Any = engine.dialect.loaded_dbapi
    return Connections(
        engine,
        lambda connection: connection.execute("BEGIN"),
        most=20,
        timeout_s=busy_timeout_s,
        gone=driver.OperationalError,
    )


@functools.lru_cache(maxsize=8)
def _postgresql_engine(url: URL, busy_timeout_s: float) -> Engine:
    """As `_sqlite_engine`."""
    engine = create_engine(
        url,
        # The driver would begin by itself, and too late to see that the server has gone.
        connect_args={"connect_timeout": max(2, round(busy_timeout_s)), "autocommit": True},
        poolclass=NullPool,
    )
    settings = {
        "lock_timeout": f"{max(1, round(busy_timeout_s * 1000))}",
        # Statistics of a queue are out of date as soon as they are made, and a plan that reads or sorts all that
        # waits is a thousand times slower than one that walks the index. Every statement here has its index.
        **{f"enable_{way}": "off" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")},
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
    }

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # One size for all whole numbers: a prepared statement is known by the types of its values, too.
        connection.adapters.register_dumper(int, importlib.import_module("psycopg.types.numeric").Int8Dumper)
        connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
        connection.execute(_QUICK_COMPRESSION)

    return engine


def once(make: Callable[[Database], Any]) -> Callable[[Database], Any]:
    """Builds a statement once per dialect: SQLAlchemy then finds its compiled form by identity of its parts."""
    built: dict[Dialect, Any] = {}

    def statement(db: Database) -> Any:
        if db.dialect not in built:
            built[db.dialect] = make(db)
        return built[db.dialect]

    return statement


def ping(db: Database) -> None:
    """Raises `LedgerUnavailable` when the database does not answer."""
    with db.read() as connection:
        connection.execute(text("SELECT 1"))


def _words(error: Any) -> str:
    told = " ".join(str(getattr(error, "orig", None) or error).split())
    return told[:300]
