"""A whole run with planted secrets and persons, which are then searched for wherever anything is kept or shown."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from sqlalchemy import create_engine, inspect, text

from app.adapters.ledger.engine import parse, sqlite_module
from tests.e2e.planted_kit import PERSON, SECRETS, PlantedStack, happen
from tests.e2e.stack import running, wait_for
from tests.e2e.test_main_job import spec, wait_announced

#: What may hold persons, and why. Nothing may hold a secret. docs/security.md has the same table.
MAY_HOLD = {
    "event_bodies.body": "what came, byte for byte: it is read again when the mapping was mended",
    "documents.body": "the picture that calls are made of",
    "documents.raw": "what the picture was made of, for mappings that look into it",
    "changes.data": "the line or parcel that a fact is about, for the calls that it leads to",
    "attempts.request": "what was sent: the proof of what the target was told",
    "attempts.response": "what the target said to it",
    "calls.answer": "what the next call of the same delivery builds on",
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantedStack]:
    """A hub in which everything happened once, on each kind of ledger."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").create("planted")
        # The server of the tests lets everybody in: the password is told to it all the same.
        url = url.replace("postgres@", f"postgres:{SECRETS['DATABASE_PASSWORD']}@")
        assert SECRETS["DATABASE_PASSWORD"] in url
    with running(PlantedStack(tmp_path_factory.mktemp("planted"), url)) as stack:
        happen(stack)
        yield stack


def spellings(value: str) -> set[str]:
    """How a value may be written."""
    inner = json.dumps(value)[1:-1]
    return {value, inner, quote(value), quote(value, safe=""), b64encode(value.encode()).decode()}


def found(content: str, planted: dict[str, str]) -> set[str]:
    """Which of these values a content holds, in any spelling."""
    held = content.casefold()
    return {name for name, value in planted.items() if any(one.casefold() in held for one in spellings(value))}


EVERYTHING = {**SECRETS, **PERSON}


def test_the_search_finds_what_is_planted() -> None:
    for name, value in EVERYTHING.items():
        for one in spellings(value):
            assert name in found(f"x {one} y", EVERYTHING)
    assert found("nothing", EVERYTHING) == set()


def test_no_log_holds_a_secret_or_a_person(planted: PlantedStack) -> None:
    logs = {path.name: path.read_text(errors="replace") for path in planted.folder.glob("*.log")}
    assert "worker.log" in logs and "delivery" in logs["worker.log"]
    assert {name: held for name, log in logs.items() if (held := found(log, EVERYTHING))} == {}


def test_no_answer_of_the_hub_holds_a_secret_or_a_person(planted: PlantedStack) -> None:
    lists = ("events", "deliveries", "tasks", "references", "rejections", "parked", "audit", "tokens")
    paths = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/no", "/api/no", *(f"/api/{one}" for one in lists)]
    assert any(row["type"] == "poll.return_order" for row in planted.api("events", limit=500)["events"])
    paths += [f"/api/events/{row['event_id']}" for row in planted.api("events", limit=500)["events"]]
    paths += [f"/api/deliveries/{row['delivery_id']}" for row in planted.api("deliveries", limit=500)["deliveries"]]
    paths += [f"/api/returns/ro-p{name}" for name in ("good", "busy", "dead", "shut", "poll")]
    answers = {path: planted.get(path) for path in paths}
    assert "***" in answers["/api/returns/ro-pgood"]
    assert {path: held for path, told in answers.items() if (held := found(told, EVERYTHING))} == {}


def test_no_refusal_of_the_hub_holds_what_it_was_sent(planted: PlantedStack) -> None:
    spoiled = json.dumps(PERSON).encode()
    for path in ("/webhooks/returnista_eu", "/webhooks/nobody", "/api/events", "/api/references", "/bridge/x/y"):
        for headers in ({}, {"Authorization": f"Bearer {SECRETS['HUB_API_TOKEN']}"}):
            answer = planted.http.post(planted.url + path, data=spoiled, headers=headers, timeout=10)
            assert answer.status_code >= 400
            assert found(f"{answer.headers} {answer.text}", EVERYTHING) == set(), path


def test_no_output_of_a_command_holds_a_secret_or_a_person(planted: PlantedStack) -> None:
    lists = ("events", "deliveries", "dead", "parked", "tasks", "questions", "audit")
    commands = [(one, *more) for one in lists for more in ((), ("--json",))]
    for number in ("ro-pgood", "pdead", "E-shut", "ro-ppoll", "1004800", "t-1001", "t-1002"):
        commands += [("trace", number), ("trace", number, "--json"), ("trace", number, "--short")]
    commands += [("refs", "show"), ("refs", "show", "--json"), ("doctor",), ("check",), ("ledger", "verify")]
    commands += [("token", "list"), ("erase", "--order", "pgood", "--dry-run"), ("events", "--state", "rejected")]
    told = planted.told(commands)
    assert len(told) == len(commands) + 1 and "Traceback" not in str(told)
    assert "wms_eu.announce_return" in told["trace pdead"]
    assert "store.resolve_return" in told["trace t-1001"] and "returnista_eu" in told["trace ro-ppoll"]
    assert {command: held for command, output in told.items() if (held := found(output, EVERYTHING))} == {}


def test_redis_holds_neither(planted: PlantedStack) -> None:
    with redis.Redis.from_url(planted.env["REDIS_URL"]) as client:
        kept = []
        for key in client.scan_iter():
            kind = client.type(key)
            reads: dict[bytes, Any] = {b"hash": client.hgetall, b"set": client.smembers, b"string": client.get}
            kept.append((key, reads[kind](key) if kind in reads else client.dump(key)))
    assert found(str(kept), EVERYTHING) == set()


def test_no_argument_of_a_process_holds_either(planted: PlantedStack) -> None:
    lines = []
    waiting = [process.pid for process in planted.processes.values()]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        lines.append((process / "cmdline").read_text().replace("\0", " "))
        waiting += [int(pid) for task in process.glob("task/*/children") for pid in task.read_text().split()]
    assert any("app.cli" in line for line in lines)
    assert found("\n".join(lines), EVERYTHING) == set()


def test_the_database_holds_persons_only_where_it_must_and_secrets_nowhere(planted: PlantedStack) -> None:
    held = columns(planted.env["DATABASE_URL"])
    assert {name: sorted(what) for name, what in held.items() if what & SECRETS.keys()} == {}
    assert {name: sorted(what) for name, what in held.items() if name not in MAY_HOLD} == {}
    assert {"event_bodies.body", "documents.body", "attempts.request"} <= held.keys()


def test_whoever_is_erased_is_nowhere_any_more_and_the_hub_works_on(planted: PlantedStack) -> None:
    wait_for("the end of all work", lambda: not json.loads(planted.cli("deliveries", "--state", "ready", "--json")))
    told = planted.cli("erase", "--email", PERSON["e-mail"].upper(), "--yes", "--force", "--because", "asked to")
    assert "erased" in told
    assert columns(planted.env["DATABASE_URL"]) == {}
    raw = b"".join(path.read_bytes() for path in planted.folder.glob("ledger.db*"))
    assert [name for name, value in PERSON.items() if value.encode() in raw] == []
    story = planted.cli("trace", "ro-pgood")
    assert "content erased on" in story and "E-good" in story
    assert planted.cli("ledger", "verify").rstrip().endswith("sound")
    planted.erp.post("/_sim/seed", {"orders": [{"number": "E-next", "externalNumber": "pnext"}]})
    planted.seed_return(**spec("pnext", "pnext"))
    planted.send_label("pnext-p1")
    wait_announced(planted, "pnext", seconds=40)


def columns(url: str) -> dict[str, set[str]]:
    """What each column of the database holds of what was planted; only columns that hold anything."""
    engine = create_engine(parse(url), **({"module": sqlite_module()} if url.startswith("sqlite") else {}))
    held: dict[str, set[str]] = {}
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings():
                for column, value in row.items():
                    content = (
                        bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)
                    )
                    if what := found(content, EVERYTHING):
                        held.setdefault(f"{table}.{column}", set()).update(what)
    engine.dispose()
    return held
