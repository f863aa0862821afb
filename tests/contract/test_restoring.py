"""What is wrong with a backup, or stands in its way, is seen; and whoever held something before holds it no more."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from app.adapters.ledger import Ledger, dumps, open_ledger
from app.adapters.ledger.engine import parse, sqlite_module
from app.adapters.ledger.keeper import LedgerKeeper
from app.core.bridges import Question
from app.core.lane_state import LaneState
from app.core.polls import PollKey
from app.errors import ConfigError, HubError
from tests.contract.making import received
from tests.contract.test_backup import ENV, faults, fill, keeper, quiet
from tests.postgres import Cluster
from tests.support import HandClock


def spoil(path: Path, table: str) -> None:
    """A page that a copy takes along unseen: the first of a table that nobody counts."""
    with closing(sqlite3.connect(path)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def test_a_damaged_page_is_found_when_it_is_backed_up_and_when_it_is_put_back(
    sqlite_ledger_url: str, tmp_path: Path, clock: HandClock
) -> None:
    fill(sqlite_ledger_url, clock)
    good, bad = tmp_path / "good.db", tmp_path / "bad.db"
    keeper(sqlite_ledger_url, clock).backup(good, quiet)
    shutil.copy(good, bad)
    spoil(bad, "refs")
    with pytest.raises(HubError, match="no sound backup of a ledger"):
        keeper(f"sqlite:///{tmp_path}/new.db", clock).restore(bad, "me", 60, replace=False)
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(HubError, match="cannot be backed up"):
        keeper(f"sqlite:///{bad}", clock).backup(tmp_path / "copy.db", quiet)
    assert not (tmp_path / "copy.db").exists()


def test_a_database_of_somebody_else_is_no_ledger_though_it_has_events(
    tmp_path: Path, clock: HandClock, postgres: Cluster
) -> None:
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as database:
        database.execute("CREATE TABLE events (id)")
    with pytest.raises(HubError, match="it is a database, but no ledger"):
        keeper(f"sqlite:///{tmp_path}/new.db", clock).restore(foreign, "me", 60, replace=False)
    with postgres.copy("template0") as other:
        run(other, "CREATE TABLE events (id integer)")
        with pytest.raises(HubError, match="not of a ledger"):
            keeper(other, clock).backup(tmp_path / "other.dump", quiet)
    assert not (tmp_path / "other.dump").exists()


def test_a_newer_backup_is_named_by_its_file(sqlite_ledger_url: str, tmp_path: Path, clock: HandClock) -> None:
    fill(sqlite_ledger_url, clock)
    file = tmp_path / "newer.db"
    keeper(sqlite_ledger_url, clock).backup(file, quiet)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    with pytest.raises(ConfigError, match=f"at {re.escape(str(file))} was made by a newer"):
        keeper(f"sqlite:///{tmp_path}/new.db", clock).restore(file, "me", 60, replace=False)


def run(url: str, statement: str) -> None:
    """Carry out a statement in a database."""
    engine = create_engine(parse(url))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_file_that_somebody_makes_meanwhile_is_not_overwritten(
    ledger_url: str, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger_url, clock)
    file, copied = tmp_path / "backup", dumps._run

    def tell(*_: object) -> None:
        file.write_text("mine")

    def dump(*how: Any) -> str:
        tell()
        return copied(*how)

    monkeypatch.setattr(dumps, "_run", dump)
    with pytest.raises(HubError, match="nothing is overwritten"):
        keeper(ledger_url, clock).backup(file, tell)
    assert file.read_text() == "mine" and list(tmp_path.glob(".*")) == []


def test_what_is_told_of_a_dump_is_what_it_holds_though_more_comes_in(
    postgres_ledger_url: str, postgres: Cluster, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgres_ledger_url, clock)
    ledger, copied = open_ledger(postgres_ledger_url, clock=clock), dumps._run

    def dump(*how: Any) -> str:
        received(ledger, clock)
        return copied(*how)

    monkeypatch.setattr(dumps, "_run", dump)
    told = keeper(postgres_ledger_url, clock).backup(tmp_path / "dump", quiet)
    monkeypatch.setattr(dumps, "_run", copied)
    ledger.close()
    with postgres.copy("template0") as url:
        assert keeper(url, clock).restore(tmp_path / "dump", "me", 60, replace=False).backup.events == told.events == 1


def test_a_dump_is_not_put_among_tables_of_somebody_else(
    postgres_ledger_url: str, postgres: Cluster, tmp_path: Path, clock: HandClock
) -> None:
    fill(postgres_ledger_url, clock)
    keeper(postgres_ledger_url, clock).backup(tmp_path / "dump", quiet)
    with postgres.copy("template0") as other:
        run(other, "CREATE TABLE mine (id integer)")
        with pytest.raises(HubError, match="tables that are not the hub's"):
            keeper(other, clock).restore(tmp_path / "dump", "me", 60, replace=False)


def test_the_log_of_a_damaged_ledger_is_not_read_into_the_one_that_takes_its_place(
    sqlite_ledger_url: str, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_ledger_url, clock)
    file, left = tmp_path / "backup.db", tmp_path / "left" / "ledger.db"
    keeper(sqlite_ledger_url, clock).backup(file, quiet)
    left.parent.mkdir()
    path = Path(sqlite_ledger_url.removeprefix("sqlite:///"))
    with closing(sqlite_module().connect(path)) as database:
        # As a process leaves it that is killed: what it wrote last is in the log alone.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE events SET type = 'of the old one'")
        database.commit()
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{left}{end}")
    log = Path(f"{left}-wal").read_bytes()
    assert b"of the old one" in log

    def damaged(_: Path) -> None:
        raise sqlite_module().DatabaseError("database disk image is malformed")

    monkeypatch.setattr("app.adapters.ledger.backup.need_alone", damaged)
    put = keeper(f"sqlite:///{left}", clock).restore(file, "me", 60, replace=True)
    assert put.aside is not None and Path(f"{put.aside}-wal").read_bytes() == log
    ledger = open_ledger(f"sqlite:///{left}", clock=clock)
    assert [row["type"] for row in ledger.events({}, 10)] == ["return.labelled"] and faults(ledger) == []
    ledger.close()


def test_postgresqls_programs_know_nothing_else_of_the_environment(
    postgres_ledger_url: str, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, folder = tmp_path / "seen", tmp_path / "bin"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (folder / name).write_text(f"#!/bin/sh\nenv >> {seen}\nexit 3\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("SECRET_OF_THE_PROCESS", "hush")
    env = {**ENV, "PATH": f"{folder}:{os.environ['PATH']}", "SECRET_OF_THE_SITE": "hush"}
    those = LedgerKeeper(postgres_ledger_url, clock, env)
    with pytest.raises(HubError, match="pg_dump: it ended with 3"):
        those.backup(tmp_path / "dump", quiet)
    with pytest.raises(HubError, match="pg_restore: it ended with 3"):
        those.restore(Path(__file__), "me", 60, replace=False)
    assert seen.read_text().count("PGDATABASE=") == 2 and "hush" not in seen.read_text()


def test_nobody_holds_anything_after_a_restore(ledger: Ledger, clock: HandClock) -> None:
    poll, asked = PollKey("shop", "changed"), Question("brq_1", "resolve", "shop", "t-1", {"id": 1})
    ledger.keep_polls({poll: 600.0})
    assert ledger.claim_polls("shop", 5, 60, "tok") and ledger.claim_bridge(asked, "tok", 60).state == "mine"
    assert ledger.hold_lease("clock", "somebody", 60) and ledger.take_permits("wms", "somebody", 1, 1, 60) == 1
    ledger.mark_restored("me", 60)
    (state,) = ledger.polls()
    assert not state.running and ledger.due_lanes() == ["poll:shop"]
    assert ledger.lease("clock") is None and ledger.take_permits("wms", "another", 1, 1, 60) == 1
    # The call that the question stood at may have been made.
    again = ledger.claim_bridge(asked, "new", 60)
    assert (again.state, again.sent) == ("mine", True)


def test_a_trial_of_a_broken_target_does_not_outlive_a_restore(ledger: Ledger, clock: HandClock) -> None:
    ledger.take_tokens("wms", 50, 1)
    ledger.save_lane(LaneState("wms", failures=5, open_until=clock.now(), opened_times=1))
    assert ledger.take_trial("wms", 3600) and not ledger.take_trial("wms", 3600)
    ledger.mark_restored("me", 60)
    assert ledger.take_trial("wms", 3600)
