"""A ledger is moved from SQLite to PostgreSQL: all of it, from wherever it was interrupted, and compared row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Float,
    Integer,
    LargeBinary,
    NullPool,
    create_engine,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.types import TypeDecorator

from app.adapters.ledger import CHECKS, migrate, moving, open_ledger, schema_state
from app.adapters.ledger.engine import parse, sqlite_module
from app.adapters.ledger.keeper import LedgerKeeper
from app.adapters.ledger.schema import audit, documents, events
from app.adapters.ledger.shared_schema import metadata
from app.errors import ConfigError, HubError
from app.model import Reference, ReferenceKey
from tests.contract.making import attempt, claim_ids, deliver, done, finish, later, received
from tests.postgres import Cluster
from tests.support import HandClock


@pytest.fixture
def target(postgres: Cluster) -> Iterator[str]:
    """An empty database."""
    with postgres.copy("template0") as url:
        yield url


def engine(url: str) -> Any:
    more = {"module": sqlite_module()} if url.startswith("sqlite") else {}
    return create_engine(parse(url), poolclass=NullPool, **more)


def work(url: str, clock: HandClock) -> None:
    """What a hub leaves behind: done, held, waiting and sealed work, numbers, an act by hand."""
    ledger = open_ledger(url, clock=clock)
    for number in range(30):
        received(ledger, clock, vendor_id=f"é-{number}", body=bytes([number, 0, 255]), state="ignored")
    ids = deliver(ledger, clock, many=4, order_key="")
    claim_ids(ledger, "tok", limit=3)
    finish(
        ledger,
        "tok",
        done(ids[0], operation="announce_return", answer={"n": 2**70}, attempts=(attempt(clock, ids[0]),)),
        later(clock, ids[1], because="busy \u20ac \U0001f642"),
    )
    with ledger.write() as tx:
        key = ReferenceKey("order", "shop", "erp", "1", "é")
        tx.put_reference(Reference(key, "E-1", "manual", clock.now(), {"by": "me"}))
    ledger.retry([ids[1]], "me")
    ledger.seal(ledger.seal_marks())
    ledger.close()


def fill_every_table(url: str) -> None:
    """At least one row of odd values in each table that is empty."""
    with engine(url).begin() as connection:
        for table in metadata.sorted_tables:
            if connection.execute(select(table).limit(1)).first() is not None:
                continue
            row = {column.name: _odd(column.type) for column in table.c if column.name != "seq"}
            row |= {"due_at": None} if table.name == "bridge_answers" else {}
            row |= {"seq": 7} if "seq" in table.c else {}
            connection.execute(insert(table), row)


def _odd(kind: Any) -> Any:
    kind = kind.impl if isinstance(kind, TypeDecorator) else kind
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, LargeBinary):
        return b"\x00\xff\\x"
    if isinstance(kind, Float):
        return 0.1 + 0.2
    if isinstance(kind, Integer):
        return 1_795_000_000_000 if type(kind).__name__ == "BigInteger" else 3
    return "tab\tback\\slash\nline \u20ac \\N"


def quiet(*_: object) -> None:
    """Nobody is told how far it is."""


def test_everything_is_moved_and_the_hub_goes_on_there(sqlite_ledger_url: str, target: str, clock: HandClock) -> None:
    work(sqlite_ledger_url, clock)
    fill_every_table(sqlite_ledger_url)
    moved = LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", quiet)
    assert {one.table for one in moved} == set(metadata.tables) and all(one.rows for one in moved)
    with pytest.raises(ConfigError, match="was moved to another database"):
        open_ledger(sqlite_ledger_url, clock=clock)
    with pytest.raises(ConfigError, match="was moved to another database"):
        migrate(sqlite_ledger_url)
    ledger = open_ledger(target, clock=clock)
    assert list(ledger.verify("seals")) == []
    # New rows get new numbers, and what was in hand can be claimed by others, as perhaps sent.
    fresh = deliver(ledger, clock, object_id="R-2", order_key="")
    sent = {one.delivery_id: one.sent for one in ledger.claim_deliveries("wms", 10, 60, "new")}
    assert fresh[0] in sent and list(sent.values()).count(True) == 1
    ledger.close()
    with pytest.raises(HubError, match="moved there already"):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", quiet)


def test_a_moved_ledger_is_sound(sqlite_ledger_url: str, target: str, clock: HandClock) -> None:
    work(sqlite_ledger_url, clock)
    LedgerKeeper(sqlite_ledger_url, clock, {}).move_to(target, "me", quiet)
    ledger = open_ledger(target, clock=clock)
    assert [fault for check in CHECKS for fault in ledger.verify(check)] == []
    ledger.close()


def test_a_move_that_is_interrupted_anywhere_goes_on_there(
    sqlite_ledger_url: str, target: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 7)
    work(sqlite_ledger_url, clock)
    keeper, told, rows = LedgerKeeper(target, clock, {}), 0, 0
    for patience in range(1_000):
        left = patience % 5 + 1

        def tell(table: str, done: int, whole: int) -> None:
            nonlocal left, told
            told += 1
            left -= 1
            # What was committed stays; the process ends in the midst of the rest.
            if not left and "compared" not in table and told < 40:
                raise KeyboardInterrupt

        try:
            moved = keeper.take_from(sqlite_ledger_url, "me", tell)
            break
        except KeyboardInterrupt:
            assert schema_state(sqlite_ledger_url) == "moved" and schema_state(target) == "moving"
            with pytest.raises(ConfigError, match="being copied"):
                open_ledger(target, clock=clock)
    else:
        raise AssertionError("it never ends")
    rows = {one.table: one.rows for one in moved}["events"]
    with engine(sqlite_ledger_url).connect() as connection:
        assert rows == connection.scalar(text("SELECT count(*) FROM events")) == 31
    assert told >= 40


def test_a_row_that_differs_is_named_and_nothing_is_opened(
    sqlite_ledger_url: str, target: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(sqlite_ledger_url, clock)

    def tell(table: str, done: int, whole: int) -> None:
        if table == "deliveries":
            with engine(target).begin() as connection:
                connection.execute(update(documents).values(raw="{}"))

    with pytest.raises(HubError, match=r"documents doc_.* is not the same on both sides"):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", tell)
    assert (schema_state(sqlite_ledger_url), schema_state(target)) == ("moved", "moving")
    LedgerKeeper(target, clock, {}).give_up_move(sqlite_ledger_url)
    assert schema_state(sqlite_ledger_url) == "current"


def test_a_move_needs_an_empty_target_and_a_stopped_hub(
    sqlite_ledger_url: str, target: str, clock: HandClock, tmp_path: Path
) -> None:
    work(sqlite_ledger_url, clock)
    with engine(target).begin() as connection:
        connection.execute(text("CREATE TABLE mine (id integer)"))
    with pytest.raises(HubError, match="tables of something else"):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", quiet)
    with engine(target).begin() as connection:
        connection.execute(text("DROP TABLE mine"))
    migrate(target)
    ledger = open_ledger(target, clock=clock)
    received(ledger, clock)
    ledger.close()
    with pytest.raises(HubError, match="is not empty"):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", quiet)
    ledger = open_ledger(sqlite_ledger_url, clock=clock)
    ledger.ping()
    with pytest.raises(HubError, match="stop the hub"):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", quiet)
    ledger.close()
    with pytest.raises(HubError, match="from SQLite to PostgreSQL"):
        LedgerKeeper(sqlite_ledger_url, clock, {}).take_from(target, "me", quiet)
    with pytest.raises(HubError, match="there is no ledger at"):
        LedgerKeeper(target, clock, {}).take_from(f"sqlite:///{tmp_path}/none.db", "me", quiet)
    assert schema_state(sqlite_ledger_url) == "current"


def test_a_half_moved_ledger_takes_no_other_ledgers_rows(
    sqlite_ledger_url: str, migrated_sqlite: Path, target: str, clock: HandClock, tmp_path: Path
) -> None:
    work(sqlite_ledger_url, clock)

    def stop(table: str, done: int, whole: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LedgerKeeper(target, clock, {}).take_from(sqlite_ledger_url, "me", stop)
    other = tmp_path / "other.db"
    other.write_bytes(migrated_sqlite.read_bytes())
    with pytest.raises(HubError, match="no unfinished move of this ledger"):
        LedgerKeeper(target, clock, {}).take_from(f"sqlite:///{other}", "me", quiet)
    assert schema_state(f"sqlite:///{other}") == "current"


def test_every_table_has_a_key_by_which_it_can_be_moved(target: str) -> None:
    migrate(target)
    known = inspect(engine(target))
    assert set(known.get_table_names()) == {*metadata.tables, "alembic_version"}
    assert [table.name for table in metadata.sorted_tables if not table.primary_key.columns] == []
    assert audit.name in metadata.tables and events.name in metadata.tables
