"""A ledger in use is backed up whole, put back with the mark of it, and never replaced or overwritten unasked."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from app.adapters.ledger import CHECKS, Ledger, open_ledger
from app.adapters.ledger.dumps import connection_env
from app.adapters.ledger.keeper import LedgerKeeper
from app.errors import ConfigError, HubError
from tests.contract.making import attempt, claim_ids, deliver, done, finish, later, received
from tests.postgres import Cluster
from tests.support import HandClock

ENV = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def keeper(url: str, clock: HandClock) -> LedgerKeeper:
    return LedgerKeeper(url, clock, ENV)


def quiet(*_: object) -> None:
    """Nobody is told how far it is."""


def faults(ledger: Ledger) -> list[object]:
    return [fault for check in CHECKS for fault in ledger.verify(check)]


def fill(url: str, clock: HandClock) -> list[str]:
    """A delivery that is done, one in a worker's hands, one that waits; sealed. Their ids."""
    ledger = open_ledger(url, clock=clock)
    ids = deliver(ledger, clock, many=3, order_key="")
    claim_ids(ledger, "tok", limit=2)
    finish(ledger, "tok", done(ids[0], operation="announce_return", attempts=(attempt(clock, ids[0]),)))
    marks = ledger.seal_marks()
    assert ledger.seal(marks) == 1
    ledger.close()
    return ids


def test_a_backup_holds_what_the_ledger_holds_and_is_put_back(
    ledger_url: str, tmp_path: Path, postgres: Cluster, clock: HandClock
) -> None:
    done_one, held, waits = fill(ledger_url, clock)
    file = tmp_path / "backup"
    told = keeper(ledger_url, clock).backup(file, quiet)
    assert (told.events, told.bytes, told.seal and told.seal[0]) == (1, file.stat().st_size, 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    clock.move(3600)
    with postgres.copy("template0") as empty:
        url = f"sqlite:///{tmp_path}/back.db" if ledger_url.startswith("sqlite") else empty
        put = keeper(url, clock).restore(file, "me", 60, replace=False)
        ledger = open_ledger(url, clock=clock)
        rows = {row["id"]: row for row in ledger.deliveries({}, 10)}
        assert {key: row["state"] for key, row in rows.items()} == {done_one: "done", held: "ready", waits: "ready"}
        assert faults(ledger) == []
        assert ledger.restores() == [put.restore] and put.restore.at == clock.now()
        assert put.restore.knew_until is not None and put.restore.knew_until < clock.now()
        work = {one.delivery_id: one for one in ledger.claim_deliveries("wms", 10, 60, "new")}
        # Who held it may have sent it.
        assert (work[held].sent, work[waits].sent) == (True, False)
        ledger.close()


def test_a_backup_under_load_is_sound_and_keeps_no_writer_waiting(sqlite_ledger_url: str, tmp_path: Path) -> None:
    clock = HandClock()
    ledger = open_ledger(sqlite_ledger_url, clock=clock)
    for number in range(60):
        received(ledger, clock, body=b"x" * 100_000, vendor_id=f"before {number}")
    copying, stop, written = Event(), Event(), [0, 0]
    steps: list[int] = []

    def write() -> None:
        while not stop.is_set():
            deliver(ledger, clock, object_id=f"R-{written[0]}")
            written[copying.is_set()] += 1

    def tell(done: int, whole: int) -> None:
        # The copy goes on only once somebody has written since its last step.
        copying.set()
        steps.append(done)
        assert len(steps) < 100, "each commit begins the copy anew"
        before, limit = written[1], Event()
        for _ in range(200):
            if written[1] > before:
                return
            limit.wait(0.01)
        raise AssertionError("a writer waits for the backup")

    writer = Thread(target=write)
    writer.start()
    try:
        told = keeper(sqlite_ledger_url, clock).backup(tmp_path / "copy.db", tell)
    finally:
        stop.set()
        writer.join()
    ledger.close()
    assert written[1] >= 2 and 60 <= told.events <= 60 + written[0] + 1
    copy = open_ledger(f"sqlite:///{tmp_path}/copy.db", clock=clock)
    assert faults(copy) == [] and len(copy.events({}, 10_000)) == told.events
    copy.close()


def test_nothing_is_overwritten_and_nothing_half_is_left(
    ledger_url: str, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger_url, clock)
    file = tmp_path / "out" / "backup"
    file.parent.mkdir()
    file.write_text("mine")
    with pytest.raises(HubError, match="nothing is overwritten"):
        keeper(ledger_url, clock).backup(file, quiet)
    assert file.read_text() == "mine"
    file.unlink()

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.adapters.ledger.backup._copy", broken)
    monkeypatch.setattr("app.adapters.ledger.dumps._run", broken)
    with pytest.raises((HubError, OSError), match="No space left"):
        keeper(ledger_url, clock).backup(file, quiet)
    assert list(file.parent.iterdir()) == []


def test_a_filled_ledger_is_replaced_only_when_that_is_said_and_is_kept(
    sqlite_ledger_url: str, tmp_path: Path, clock: HandClock
) -> None:
    fill(sqlite_ledger_url, clock)
    file = tmp_path / "backup.db"
    keeper(sqlite_ledger_url, clock).backup(file, quiet)
    ledger = open_ledger(sqlite_ledger_url, clock=clock)
    received(ledger, clock)
    with pytest.raises(HubError, match="say --replace"):
        keeper(sqlite_ledger_url, clock).restore(file, "me", 60, replace=False)
    with pytest.raises(HubError, match="stop the hub"):
        keeper(sqlite_ledger_url, clock).restore(file, "me", 60, replace=True)
    assert len(ledger.events({}, 10)) == 2 and ledger.restores() == []
    ledger.close()
    put = keeper(sqlite_ledger_url, clock).restore(file, "me", 60, replace=True)
    assert put.aside is not None
    for url, events in ((sqlite_ledger_url, 1), (f"sqlite:///{put.aside}", 2)):
        ledger = open_ledger(url, clock=clock)
        assert len(ledger.events({}, 10)) == events
        ledger.close()


def test_a_damaged_ledger_is_replaced_and_its_log_is_not_read_into_the_new_one(
    sqlite_ledger_url: str, tmp_path: Path, clock: HandClock
) -> None:
    fill(sqlite_ledger_url, clock)
    file, path = tmp_path / "backup.db", Path(sqlite_ledger_url.removeprefix("sqlite:///"))
    keeper(sqlite_ledger_url, clock).backup(file, quiet)
    path.write_bytes(b"no database" * 1000)
    path.with_name(path.name + "-wal").write_bytes(b"left over")
    with pytest.raises(HubError, match="--replace"):
        keeper(sqlite_ledger_url, clock).restore(file, "me", 60, replace=False)
    put = keeper(sqlite_ledger_url, clock).restore(file, "me", 60, replace=True)
    assert put.aside is not None and put.aside.read_bytes().startswith(b"no database")
    ledger = open_ledger(sqlite_ledger_url, clock=clock)
    assert faults(ledger) == []
    ledger.close()


def test_a_restore_that_fails_before_its_end_leaves_everything_as_it_was(
    sqlite_ledger_url: str, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_ledger_url, clock)
    file, path = tmp_path / "backup.db", Path(sqlite_ledger_url.removeprefix("sqlite:///"))
    keeper(sqlite_ledger_url, clock).backup(file, quiet)
    before, names = path.read_bytes(), sorted(tmp_path.iterdir())

    def fails(*_: object) -> None:
        raise HubError("the power failed")

    monkeypatch.setattr(Ledger, "mark_restored", fails)
    with pytest.raises(HubError, match="the power failed"):
        keeper(sqlite_ledger_url, clock).restore(file, "me", 60, replace=True)
    assert path.read_bytes() == before and sorted(tmp_path.iterdir()) == names


@pytest.mark.parametrize("what", ["cut", "foreign", "text", "newer"])
def test_what_is_no_sound_backup_is_refused(
    sqlite_ledger_url: str, tmp_path: Path, clock: HandClock, what: str
) -> None:
    file, target = tmp_path / "backup.db", tmp_path / "new" / "ledger.db"
    fill(sqlite_ledger_url, clock)
    keeper(sqlite_ledger_url, clock).backup(file, quiet)
    if what == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif what == "text":
        file.write_text("hello " * 1000)
    else:
        with closing(sqlite3.connect(file)) as database:
            change = "DROP TABLE events" if what == "foreign" else "UPDATE alembic_version SET version_num = '9999'"
            database.execute(change)
            database.commit()
    refused = "newer Backhaul" if what == "newer" else "no sound backup of a ledger"
    with pytest.raises((HubError, ConfigError), match=refused):
        keeper(f"sqlite:///{target}", clock).restore(file, "me", 60, replace=False)
    assert list(target.parent.iterdir()) == []


def test_a_dump_goes_only_into_an_empty_database_and_only_a_ledgers(
    postgres_ledger_url: str, postgres: Cluster, tmp_path: Path, clock: HandClock
) -> None:
    fill(postgres_ledger_url, clock)
    file = tmp_path / "ledger.dump"
    keeper(postgres_ledger_url, clock).backup(file, quiet)
    with pytest.raises(HubError, match="createdb"):
        keeper(postgres_ledger_url, clock).restore(file, "me", 60, replace=True)
    with postgres.copy("template0") as other, pytest.raises(HubError, match="pg_restore: "):
        keeper(other, clock).restore(Path(__file__), "me", 60, replace=False)
    with postgres.copy("migrated") as migrated:
        assert keeper(migrated, clock).restore(file, "me", 60, replace=False).backup.events == 1


def test_postgresqls_programs_get_the_password_in_the_environment_alone(
    postgres_ledger_url: str, tmp_path: Path, clock: HandClock
) -> None:
    seen = tmp_path / "seen"
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {seen}; echo "password=$PGPASSWORD" >> {seen}; exit 3\n')
    program.chmod(0o755)
    url = postgres_ledger_url.replace("postgres@", "postgres:pass-w0rd@")
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "VENDOR_SECRET": "hush"}
    with pytest.raises(HubError, match="pg_dump: it ended with 3") as caught:
        LedgerKeeper(url, clock, env).backup(tmp_path / "dump", quiet)
    arguments, password = seen.read_text().splitlines()
    assert "pass-w0rd" not in arguments + str(caught.value) and password == "password=pass-w0rd"
    assert "VENDOR_SECRET" not in connection_env(url, env)
    tls = connection_env("postgresql://me@db/hub?sslmode=verify-full&application_name=hub", {})
    assert tls == {
        "PGHOST": "db",
        "PGUSER": "me",
        "PGDATABASE": "hub",
        "PGSSLMODE": "verify-full",
        "PGAPPNAME": "hub",
    }


def test_without_postgresqls_programs_it_is_told_what_to_run(
    postgres_ledger_url: str, tmp_path: Path, clock: HandClock
) -> None:
    with pytest.raises(HubError, match=r"pg_dump is not on PATH.*pg_dump --format=custom"):
        LedgerKeeper(postgres_ledger_url, clock, {"PATH": str(tmp_path)}).backup(tmp_path / "dump", quiet)


def test_a_ledger_that_was_copied_back_by_hand_is_marked(
    sqlite_ledger_url: str, tmp_path: Path, clock: HandClock
) -> None:
    fill(sqlite_ledger_url, clock)
    copy = tmp_path / "copy.db"
    shutil.copy(sqlite_ledger_url.removeprefix("sqlite:///"), copy)
    url = f"sqlite:///{copy}"
    ledger = open_ledger(url, clock=clock)
    with pytest.raises(HubError, match="stop the hub"):
        keeper(url, clock).mark_restored("me", 60)
    ledger.close()
    restore = keeper(url, clock).mark_restored("me", 60)
    ledger = open_ledger(url, clock=clock)
    assert ledger.restores() == [restore] and ledger.lease("clock") is None
    clock.move(10)
    assert ledger.caught_up("me") and not ledger.caught_up("me")
    assert ledger.restores()[0].wary_until == clock.now()
    ledger.close()


def test_an_open_delivery_says_where_it_stands(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2, order_key="")
    claim_ids(ledger, "tok", limit=1)
    finish(ledger, "tok", later(clock, first, because="busy", step=1))
    received(ledger, clock)
    assert list(ledger.open_steps()) == [("announce", 0, "ready", 1), ("announce", 1, "waiting", 1)]
    assert ledger.open_events() == 1 and second
