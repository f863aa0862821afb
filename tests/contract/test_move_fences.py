"""What keeps a move from copying a ledger in use, one of another version, or into an order that is not its own."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, text

from app.adapters.ledger import Ledger, moving, open_ledger, schema_state
from app.adapters.ledger.keeper import LedgerKeeper
from app.adapters.ledger.shared_schema import metadata, rejections
from app.errors import HubError
from tests.contract.making import received
from tests.contract.test_moving import engine, quiet, target, work
from tests.postgres import Cluster
from tests.support import HandClock

__all__ = ["target"]


def version(url: str, value: str) -> None:
    """Let a ledger say that it is of another version."""
    with engine(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :value"), {"value": value})


def test_who_opens_it_a_moment_before_the_mark_is_seen(
    sqlite_ledger_url: str, target: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(sqlite_ledger_url, clock)
    begin, opened = moving._begin, list[Ledger]()

    def late(*how: Any) -> str:
        opened.append(open_ledger(sqlite_ledger_url, clock=clock))
        opened[0].ping()
        return begin(*how)

    monkeypatch.setattr(moving, "_begin", late)
    with pytest.raises(HubError, match="stop the hub"):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", quiet)
    opened[0].close()
    monkeypatch.setattr(moving, "_begin", begin)
    # Nothing was copied of what may have changed, and the same command goes on.
    moved = {one.table: one.rows for one in LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", quiet)}
    assert moved["events"] == 31


def test_a_ledger_of_another_version_is_not_moved(sqlite_ledger_url: str, target: str, clock: HandClock) -> None:
    work(sqlite_ledger_url, clock)
    keeper = LedgerKeeper(target, clock, {})
    version(sqlite_ledger_url, "0001")
    with pytest.raises(HubError, match="run `backhaul migrate` on it first"):
        keeper.take_from(sqlite_ledger_url, "me", quiet)
    version(sqlite_ledger_url, "moved-0001-abcdef")
    with pytest.raises(HubError, match="begun by another version"):
        keeper.take_from(sqlite_ledger_url, "me", quiet)
    assert schema_state(target) == "empty"


def test_a_row_that_only_one_side_has_is_named(sqlite_ledger_url: str, target: str, clock: HandClock) -> None:
    work(sqlite_ledger_url, clock)
    compared: list[str] = []

    def tell(table: str, done: int, whole: int) -> None:
        if table.endswith("compared") and not compared:
            assert table != f"{rejections.name} compared"
            with engine(target).begin() as connection:
                row = {"seq": 99, "at": 1, "connection": "", "cause": "x"}
                connection.execute(insert(rejections), [row])
        compared.extend([table] if table.endswith("compared") else [])

    with pytest.raises(HubError, match="rejections 99 is not the same on both sides"):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", tell)
    assert compared and schema_state(target) == "moving"


def test_a_database_that_orders_text_as_people_do_is_filled_whole_all_the_same(
    sqlite_ledger_url: str, postgres: Cluster, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 3)
    names = [*"aBcDéÉ_-ßzZ", "a b", "ab", "a-b", "\U0001f642", "\uffee"]
    ledger = open_ledger(sqlite_ledger_url, clock=clock)
    received(ledger, clock)
    for name in names:
        ledger.pause(name, "asked", "me")
    ledger.close()
    # The language of many a server: in it "B" stands between "a" and "c".
    with postgres.copy("template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'") as url:
        left = 0

        def tell(table: str, done: int, whole: int) -> None:
            nonlocal left
            if table == "lanes" and 0 < done < whole:
                left += 1
                if left < 6:
                    raise KeyboardInterrupt

        keeper = LedgerKeeper(url, clock, {})
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                keeper.take_from(sqlite_ledger_url, "me", tell)
        moved = {one.table: one.rows for one in keeper.take_from(sqlite_ledger_url, "me", tell)}
        assert moved["lanes"] == len(names) and set(moved) == set(metadata.tables)
