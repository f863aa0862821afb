"""What was committed is on the disk: an answer 2xx outlives the power."""

from __future__ import annotations

import pytest

from app.adapters.ledger import engine

FULL = 2


def test_sqlite_waits_for_the_disk(
    sqlite_ledger_url: str, power_may_fail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_SYNCHRONOUS", power_may_fail)
    database = engine.Database(sqlite_ledger_url, busy_timeout_s=5)
    try:
        for use in (database.write, database.read):
            with use() as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == FULL
    finally:
        database.close()
