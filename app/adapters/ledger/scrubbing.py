"""Sees to it that what was deleted stands nowhere in the database's files any more."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import NullPool, create_engine, text

from app.adapters.ledger.engine import Database, sqlite_module, unavailable

#: Tables whose old rows PostgreSQL keeps until it has cleaned up.
_TOUCHED = "event_bodies, documents, changes, attempts, calls, refs, identifiers, tasks, audit, bridge_answers, events"
_PATIENCE_S = 20.0


def scrub(db: Database) -> bool:
    """Write a SQLite file anew and empty its log, or have PostgreSQL clean up; False when others still read the log.

    While SQLite does so nobody else can write: about a second for each hundred megabytes. Raises `LedgerUnavailable`
    when it does not get its turn in time.
    """
    if db.dialect == "sqlite":
        return _rewrite(str(db.url.database))
    engine = create_engine(db.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with unavailable(engine.dialect.loaded_dbapi), engine.connect() as connection:
            connection.execute(text(f"VACUUM {_TOUCHED}"))
    finally:
        engine.dispose()
    return True


def _rewrite(path: str) -> bool:
    driver: Any = sqlite_module()
    connection = driver.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    try:
        with unavailable(driver):
            connection.execute("VACUUM")
            until = time.monotonic() + _PATIENCE_S
            # A reader of another process may be in the midst of a transaction: it takes moments.
            while busy := connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > until:
                    break
                time.sleep(0.1)
            return not busy
    finally:
        connection.close()
