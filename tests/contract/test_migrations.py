"""The migrations make the tables that the program knows, once, and leave those of a newer program alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, create_engine, text

from app.adapters.ledger import CHECKS, migrate, open_ledger, schema_state
from app.adapters.ledger.engine import parse, sqlite_is_safe, sqlite_module, sqlite_version
from app.adapters.ledger.migrate import _MIGRATIONS
from app.adapters.ledger.schema import REVISIONS
from app.adapters.ledger.shared_schema import metadata
from app.errors import ConfigError, LedgerUnavailable
from tests.contract.making import attempt, claim_ids, deliver, done, finish, later, received
from tests.postgres import Cluster
from tests.support import HandClock

_POSTGRES_SHAPE = """
SELECT table_name || '.' || column_name, data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


def _shape(url: str) -> dict[str, object]:
    engine = create_engine(parse(url), **({"module": sqlite_module()} if url.startswith("sqlite") else {}))
    with engine.connect() as connection:
        if url.startswith("sqlite"):
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
            # Columns and constraints may stand in any order.
            found = {name: sorted(line.strip(" ,\t") for line in _added(sql).splitlines()) for name, sql in rows}
        else:
            found = {name: definition for name, definition in connection.execute(text(_POSTGRES_SHAPE))}
    engine.dispose()
    return {name: definition for name, definition in found.items() if not name.startswith("alembic_version")}


def _added(sql: str) -> str:
    """A table's definition with columns that were added later in lines of their own, as the others are."""
    return re.sub(r"^(\t\w+ [A-Z]+), (?=\w+ [A-Z]+\b)", r"\1,\n\t", sql, flags=re.MULTILINE)


def test_the_migrations_make_exactly_the_tables_of_the_program_on_sqlite(tmp_path: Path) -> None:
    _compare(f"sqlite:///{tmp_path}/migrated.db", f"sqlite:///{tmp_path}/made.db")


def test_the_migrations_make_exactly_the_tables_of_the_program_on_postgresql(postgres: Cluster) -> None:
    with postgres.copy("template0") as migrated, postgres.copy("template0") as made:
        _compare(migrated, made)


def _compare(migrated: str, made: str) -> None:
    migrate(migrated)
    engine = create_engine(parse(made))
    metadata.create_all(engine)
    engine.dispose()
    assert _shape(migrated) == _shape(made)


def test_the_program_knows_every_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


def test_migrating_again_keeps_what_is_there(ledger_url: str, clock: HandClock) -> None:
    ledger = open_ledger(ledger_url, clock=clock)
    received(ledger, clock)
    migrate(ledger_url)
    assert len(ledger.events()) == 1
    ledger.close()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_filled_ledger_of_an_earlier_version_keeps_what_it_holds(
    ledger_url: str, revision: str, tmp_path: Path, postgres: Cluster, clock: HandClock
) -> None:
    ledger = open_ledger(ledger_url, clock=clock)
    first, second = deliver(ledger, clock, many=2, order_key="")
    assert claim_ids(ledger, "tok") == [first, second]
    tries = (attempt(clock, first, "retry"), attempt(clock, first))
    finish(
        ledger, "tok", done(first, operation="announce_return", attempts=tries), later(clock, second, because="busy")
    )
    before = ledger.delivery(first), ledger.delivery(second)
    came = [(row["id"], ledger.event_body(row["id"]), ledger.event(row["id"])) for row in ledger.events()]
    ledger.close()
    with ExitStack() as stack:
        sqlite = ledger_url.startswith("sqlite")
        url = f"sqlite:///{tmp_path}/old.db" if sqlite else stack.enter_context(postgres.copy("template0"))
        _make_old(url, revision)
        _take_over(ledger_url, url)
        assert schema_state(url) == "behind"
        with pytest.raises(ConfigError, match="backhaul migrate"):
            open_ledger(url, clock=clock)
        migrate(url)
        ledger = open_ledger(url, clock=clock)
        assert (ledger.delivery(first), ledger.delivery(second)) == before
        assert [(row["id"], ledger.event_body(row["id"]), ledger.event(row["id"])) for row in ledger.events()] == came
        clock.move(3600)
        assert second in claim_ids(ledger) and ledger.tasks() == []
        assert [fault for check in CHECKS for fault in ledger.verify(check)] == []
        ledger.close()


def _engine(url: str) -> Engine:
    return create_engine(parse(url), **({"module": sqlite_module()} if url.startswith("sqlite") else {}))


def _make_old(url: str, revision: str) -> None:
    """The empty tables of an earlier program."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    engine = _engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def _take_over(source: str, target: str) -> None:
    """Fill the tables of an earlier program with what it would hold."""
    old, new = _engine(source), _engine(target)
    held = MetaData()
    held.reflect(new)
    with old.connect() as reading, new.begin() as writing:
        for table in held.sorted_tables:
            if table.name == "alembic_version":
                continue
            names = ", ".join(f'"{column.name}"' for column in table.c)
            # Since 0004 what came lies apart from its event.
            whole = table.name == "events" and "body" in table.c
            kept = "events JOIN event_bodies USING (seq)" if whole else table.name
            rows = reading.execute(text(f"SELECT {names} FROM {kept}")).mappings().all()
            if rows:
                writing.execute(table.insert(), [dict(row) for row in rows])
    old.dispose()
    new.dispose()


def test_tables_of_a_newer_program_are_refused(ledger_url: str, clock: HandClock) -> None:
    def stamp(revision: str) -> None:
        engine = create_engine(parse(ledger_url))
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
        engine.dispose()

    assert schema_state(ledger_url) == "current"
    stamp("9999")
    try:
        assert schema_state(ledger_url) == "ahead"
        with pytest.raises(ConfigError, match="newer Backhaul"):
            migrate(ledger_url)
        with pytest.raises(ConfigError, match="newer Backhaul"):
            open_ledger(ledger_url, clock=clock)
    finally:
        stamp(REVISIONS[-1])


def test_a_folder_that_is_not_there_yet_is_made_and_looking_makes_nothing(tmp_path: Path, clock: HandClock) -> None:
    path = tmp_path / "var" / "deep" / "ledger.db"
    url = f"sqlite:///{path}"
    assert schema_state(url) == "empty"
    assert not path.parent.exists()
    migrate(url)
    assert schema_state(url) == "current"
    open_ledger(url, clock=clock).close()


def test_a_new_file_is_for_the_hubs_user_alone_whatever_the_umask_says(tmp_path: Path, clock: HandClock) -> None:
    for file in (tmp_path / "ledger.db", tmp_path / "new" / "ledger.db"):
        old = os.umask(0o022)
        try:
            migrate(f"sqlite:///{file}")
            with closing(open_ledger(f"sqlite:///{file}", clock=clock)) as ledger:
                received(ledger, clock)
                beside = [one.stat().st_mode & 0o777 for one in file.parent.glob("ledger.db*")]
        finally:
            os.umask(old)
        assert len(beside) > 1 and set(beside) == {0o600}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_an_empty_database_is_not_opened(tmp_path: Path, postgres: Cluster, clock: HandClock) -> None:
    with postgres.copy("template0") as url:
        assert schema_state(url) == "empty"
        with pytest.raises(ConfigError, match="backhaul migrate"):
            open_ledger(url, clock=clock)
    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigError, match="backhaul migrate"):
        open_ledger(f"sqlite:///{tmp_path}/empty.db", clock=clock)


def test_several_processes_may_migrate_at_once(tmp_path: Path, postgres: Cluster) -> None:
    with postgres.copy("template0") as postgres_url:
        for url in (f"sqlite:///{tmp_path}/var/ledger.db", postgres_url):
            failed: list[Exception] = []

            def run(url: str = url, failed: list[Exception] = failed) -> None:
                try:
                    migrate(url)
                except Exception as error:
                    failed.append(error)

            threads = [Thread(target=run) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failed == []
            assert schema_state(url) == "current"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("nonsense", "write sqlite:///path"),
        ("mysql://host/name", "works with sqlite and postgresql"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_cannot_be_a_ledger_is_refused_with_a_hint(url: str, hint: str, clock: HandClock) -> None:
    with pytest.raises(ConfigError, match=hint):
        open_ledger(url, clock=clock)


def test_a_database_that_is_not_there_is_unavailable_and_its_password_is_not_told(clock: HandClock) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        open_ledger("postgresql://me:s3cret@127.0.0.1:1/none", clock=clock)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "safe"),
    [("3.40.1", False), ("3.51.2", False), ("3.51.3", True), ("3.44.6", True), ("3.44.5", False), ("3.53.0", True)],
)
def test_it_is_known_which_sqlite_can_lose_commits(version: str, safe: bool) -> None:
    assert sqlite_is_safe(version) is safe
    assert sqlite_is_safe() is sqlite_is_safe(sqlite_version())


def test_alembic_is_not_loaded_to_open_a_ledger(migrated_sqlite: Path, tmp_path: Path) -> None:
    copy = shutil.copy(migrated_sqlite, tmp_path / "ledger.db")
    code = (
        "import sys; from app.adapters.ledger import open_ledger; from app.adapters.system import SystemClock; "
        f"open_ledger('sqlite:///{copy}', clock=SystemClock()); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
