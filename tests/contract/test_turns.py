"""Threads that write to SQLite at the same time share a commit, and each hears what became of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from app.adapters.ledger import turns
from app.adapters.ledger.engine import Database
from app.errors import LedgerUnavailable
from tests.support import eventually

_TABLES = """
CREATE TABLE notes (id TEXT PRIMARY KEY, of TEXT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED);
"""


class Notes:
    """A database of notes, with the number of commits that were made on it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notes.db"
        with sqlite3.connect(self._path) as made:
            made.executescript(_TABLES)
        self.database = Database(f"sqlite:///{self._path}", 5.0)
        self.commits = 0
        commit = self.database._writer.commit

        def counting(held: Any) -> None:
            self.commits += 1
            commit(held)

        self.database._writer.commit = counting  # type: ignore[method-assign]

    def write(self, note: str, way: str = "", of: str | None = None) -> None:
        with self.database.write() as connection:
            run(connection, f"INSERT {way} INTO notes VALUES (?, ?)", note, of)

    def fail(self, note: str) -> None:
        with self.database.write() as connection:
            run(connection, "INSERT INTO notes VALUES (?, NULL)", note)
            raise ValueError(note)

    @property
    def kept(self) -> set[str]:
        with self.database.read() as connection:
            return {row[0] for row in run(connection, "SELECT id FROM notes")}

    @contextmanager
    def busy(self, note: str = "first") -> Iterator[Future[None]]:
        """Somebody has written this note and goes on writing until the block ends."""
        inside, leave = Event(), Event()

        def write() -> None:
            with self.database.write() as connection:
                run(connection, "INSERT INTO notes VALUES (?, NULL)", note)
                inside.set()
                assert leave.wait(10)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            assert inside.wait(10)
            try:
                yield writing
            finally:
                leave.set()

    def together(self, *acts: Callable[[], None]) -> list[BaseException | None]:
        """Carry these out behind a writer, in this order, each in a thread; what each raised, the writer first."""
        with ThreadPoolExecutor(max(1, len(acts))) as pool:
            with self.busy() as writing:
                pending: list[Future[None]] = []
                for act in acts:
                    pending.append(pool.submit(act))
                    eventually(lambda: self.waiting == len(pending))
            return [one.exception(10) for one in (writing, *pending)]

    @property
    def waiting(self) -> int:
        return len(self.database._write.__self__._waiting)  # type: ignore[attr-defined]


def run(connection: Connection, statement: str, *values: str | None) -> Any:
    return connection.connection.cursor().execute(statement, values)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a moment parts nobody."""
    monkeypatch.setattr(turns, "_SHARE_S", 60.0)


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Notes]:
    made = Notes(tmp_path)
    yield made
    made.database.close()


def test_those_who_wait_share_a_commit_with_who_keeps_them_waiting(notes: Notes) -> None:
    assert notes.together(*(lambda number=number: notes.write(f"{number}") for number in range(5))) == [None] * 6  # type: ignore[misc]
    assert notes.commits == 1
    assert notes.kept == {"first", "0", "1", "2", "3", "4"}


def test_alone_everybody_commits_for_himself(notes: Notes) -> None:
    for number in range(3):
        notes.write(str(number))
    assert notes.commits == 3


def test_no_more_than_eight_share_one(notes: Notes) -> None:
    notes.together(*(lambda number=number: notes.write(f"{number}") for number in range(19)))  # type: ignore[misc]
    assert notes.commits == 3
    assert len(notes.kept) == 20


def test_a_transaction_that_is_old_takes_nobody_in(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_SHARE_S", 0.0)
    notes.together(lambda: notes.write("a"), lambda: notes.write("b"))
    assert notes.commits == 3


def test_what_one_of_them_takes_back_is_taken_back_alone(notes: Notes) -> None:
    _, one, failed, two = notes.together(lambda: notes.write("a"), lambda: notes.fail("b"), lambda: notes.write("c"))
    assert (one, str(failed), two) == (None, "b", None)
    assert (notes.kept, notes.commits) == ({"first", "a", "c"}, 1)


def test_when_the_first_takes_back_the_next_begins_anew(notes: Notes) -> None:
    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="mine"), notes.database.write() as connection:
        run(connection, "INSERT INTO notes VALUES ('mine', NULL)")
        pending = [pool.submit(notes.write, note) for note in "ab"]
        eventually(lambda: notes.waiting == 2)
        raise ValueError("mine")
    assert [one.exception(10) for one in pending] == [None, None]
    assert notes.kept == {"a", "b"}


def test_when_the_last_takes_back_the_others_are_committed(notes: Notes) -> None:
    first, one, failed = notes.together(lambda: notes.write("a"), lambda: notes.fail("b"))
    assert (first, one, str(failed)) == (None, None, "b")
    assert notes.kept == {"first", "a"}


def test_when_the_commit_fails_all_of_them_hear_it_and_nothing_is_kept(notes: Notes) -> None:
    told = notes.together(lambda: notes.write("a", of="nobody"), lambda: notes.write("b"))
    assert [type(error) for error in told[:2]] == [LedgerUnavailable, LedgerUnavailable]
    assert "FOREIGN KEY" in str(told[0]) and "FOREIGN KEY" in str(told[2])
    assert notes.kept == set()
    notes.write("c")
    assert notes.kept == {"c"}


def test_when_sqlite_drops_the_whole_transaction_those_before_hear_it_and_those_behind_go_on(notes: Notes) -> None:
    notes.write("known")
    told = notes.together(
        lambda: notes.write("a"), lambda: notes.write("known", "OR ROLLBACK"), lambda: notes.write("b")
    )
    assert [type(error) for error in told[:2]] == [LedgerUnavailable, LedgerUnavailable]
    assert "UNIQUE" in str(told[2])
    assert told[3] is None
    assert notes.kept == {"known", "b"}


def test_who_gives_up_waiting_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    hasty = Database(f"sqlite:///{tmp_path / 'notes.db'}", 0.05)
    hasty._write = turns.Turns(notes.database._writer, 0.05).transaction
    with ThreadPoolExecutor(2) as pool:
        inside, leave = Event(), Event()

        def hold() -> None:
            with hasty.write():
                inside.set()
                assert leave.wait(10)

        holding = pool.submit(hold)
        assert inside.wait(10)
        with pytest.raises(LedgerUnavailable, match=r"busy for 0\.05 s"), hasty.write():
            pass
        leave.set()
        assert holding.exception(10) is None
    with hasty.write() as connection:
        run(connection, "INSERT INTO notes VALUES ('after', NULL)")
    assert notes.kept == {"after"}


_ACTS = st.sampled_from(["writes", "fails", "drops all", "cannot be committed"])


@settings(max_examples=40, deadline=None)
@given(acts=st.lists(_ACTS, min_size=1, max_size=12))
def test_exactly_what_its_writer_was_told_is_kept(acts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        notes = Notes(Path(folder))
        notes.write("known")
        doing = {
            "writes": lambda note: notes.write(note),
            "fails": lambda note: notes.fail(note),
            "drops all": lambda note: notes.write("known", "OR ROLLBACK"),
            "cannot be committed": lambda note: notes.write(note, of="nobody"),
        }
        told = notes.together(*(lambda n=number, act=act: doing[act](str(n)) for number, act in enumerate(acts)))  # type: ignore[misc]
        names = ["first", *map(str, range(len(acts)))]
        assert notes.kept == {"known"} | {name for name, error in zip(names, told, strict=True) if error is None}
        notes.write("after")
        assert "after" in notes.kept
        notes.database.close()


def test_who_gives_way_waits_until_nobody_writes(notes: Notes) -> None:
    with ThreadPoolExecutor(1) as pool:
        with notes.busy() as writing:
            waiting = pool.submit(notes.database.give_way)
            with pytest.raises(TimeoutError):
                waiting.result(0.05)
            assert not writing.done()
        assert waiting.result(10) is None
    notes.database.give_way()


def test_of_two_processes_the_one_that_stands_back_writes_second(notes: Notes) -> None:
    # Nothing that two databases of a process do tells them from two processes.
    databases = {name: Database(f"sqlite:///{notes._path}", 5.0, stands_back=name == "patient") for name in _NAMES}
    asks = {name: Event() for name in _NAMES}
    order: list[str] = []

    def write(name: str) -> None:
        with databases[name].write():
            order.append(name)

    for name, database in databases.items():
        write(name)
        database._writer._begin = _telling(database._writer._begin, asks[name])
    rounds = 12
    with ThreadPoolExecutor(2) as pool:
        for _ in range(rounds):
            with notes.database.write():
                writing = []
                for name in _NAMES:
                    asks[name].clear()
                    writing.append(pool.submit(write, name))
                    assert asks[name].wait(10)
            for one in writing:
                assert one.exception(10) is None
    first = order[2::2]
    assert len(first) == rounds
    assert first.count("eager") > rounds / 2
    for database in databases.values():
        database.close()


_NAMES = ("patient", "eager")


def _telling(begin: Callable[[Any], object], tell: Event) -> Callable[[Any], object]:
    def told(connection: Any) -> object:
        tell.set()
        return begin(connection)

    return told


def test_who_stands_back_moves_pages_into_the_file_before_the_others_have_to(tmp_path: Path) -> None:
    after: dict[bool, int] = {}
    for stands_back in (True, False):
        database = Database(f"sqlite:///{tmp_path}/one.db", 5.0, stands_back=stands_back)
        with database.write() as connection:
            after[stands_back] = run(connection, "PRAGMA wal_autocheckpoint").fetchone()[0]
        database.close()
    assert 0 < after[True] * 4 <= after[False] <= 10_000
