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
import yaml
from sqlalchemy import create_engine, inspect, text

from app.adapters.ledger.engine import parse, sqlite_module
from connectors.returnista.samples import build_return_order
from tests.e2e.stack import Simulator, Stack, wait_for
from tests.e2e.test_main_job import spec, wait_announced, wait_delivery

SECRETS = {
    "PLATFORM_KEY": "sk-planted-platform-7d1f",
    "PLATFORM_SECRET": "whsec-planted-hook-93ab",
    "OLD_SECRET": "whsec-planted-old-55cd",
    "ERP_TOKEN": "planted-erp-token-c0ffee",
    "WMS_TOKEN": "planted-wms-token-decade",
    "HUB_API_TOKEN": "planted-hub-token-facade",
}
PERSON = {
    "first name": "Plantedina",
    "last name": "O'Vörnamsen",
    "e-mail": "planted.person+box@mail.example",
    "phone": "+31 6 1917 2233",
    "street": "Plantedlaan",
    "postal code": "9917 ZX",
    "account": "NL91PLNT0417164300",
}
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


class PlantedStack(Stack):
    """A hub all of whose credentials are planted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for simulator in (self.platform, self.erp, self.wms):
            simulator.process.kill()
            simulator.process.wait(10)
        for name in ("returnista", "generic_erp", "generic_wms"):
            (folder / f"{name}.port").unlink(missing_ok=True)
        platform = ("--token", SECRETS["PLATFORM_KEY"], "--secret", SECRETS["PLATFORM_SECRET"])
        self.platform = Simulator("returnista", folder, *platform)
        self.erp = Simulator("generic_erp", folder, "--token", SECRETS["ERP_TOKEN"])
        self.wms = Simulator("generic_wms", folder, "--token", SECRETS["WMS_TOKEN"])
        self.rewrite_connections()
        self.env |= SECRETS

    def rewrite_connections(self) -> None:
        """With a secret of its own for everything."""
        super().rewrite_connections()
        known = yaml.safe_load((self.site / "config/connections.yaml").read_text())["connections"]
        known["returnista_eu"]["settings"]["api_key"] = "${PLATFORM_KEY}"
        known["returnista_eu"]["settings"]["webhook_secrets"] = ["${PLATFORM_SECRET}", "${OLD_SECRET}"]
        known["erp"]["settings"]["token"], known["wms_eu"]["settings"]["token"] = "${ERP_TOKEN}", "${WMS_TOKEN}"
        self.write("config/connections.yaml", {"connections": known})

    def api(self, path: str, **params: Any) -> Any:
        """GET from the HTTP API, with the planted token."""
        headers = {"Authorization": f"Bearer {SECRETS['HUB_API_TOKEN']}"}
        return self.http.get(f"{self.url}/api/{path}", headers=headers, params=params, timeout=20).json()

    def get(self, path: str) -> str:
        """What the hub answers, whole."""
        headers = {"Authorization": f"Bearer {SECRETS['HUB_API_TOKEN']}"}
        answer = self.http.get(self.url + path, headers=headers, timeout=20)
        return f"{answer.status_code} {answer.headers} {answer.text}"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantedStack]:
    """A hub in which everything happened once."""
    stack = PlantedStack(tmp_path_factory.mktemp("planted"))
    try:
        stack.up()
        happen(stack)
        yield stack
    except BaseException:
        print(stack.logs())
        raise
    finally:
        stack.stop()


def happen(stack: PlantedStack) -> None:
    """A label, a failing target, a refusal, a refused credential, an unknown word, and requests that are no good."""
    names = ("good", "busy", "dead", "shut")
    stack.erp.post("/_sim/seed", {"orders": [{"number": f"E-{one}", "externalNumber": f"p{one}"} for one in names]})
    stack.wms.post("/_sim/seed", {"refuse": ["ro-pdead/pdead"]})
    stack.platform.post("/_sim/seed", {"return_orders": [order(f"p{one}") for one in names]})
    stack.wms.misbehave("announce_return", "503", times=1)
    for name in names[:3]:
        assert stack.send_label(f"p{name}-p1") == [200]
    wait_announced(stack, "pgood", seconds=40)
    wait_announced(stack, "pbusy", seconds=40)
    wait_delivery(stack, "pdead", "dead", seconds=40)
    stack.wms.misbehave("announce_return", "401", times=None)
    stack.send_label("pshut-p1")
    wait_for("the pause", lambda: "paused" in stack.cli("doctor", check=False))
    stack.wms.behave()
    stack.cli("resume", "wms_eu")
    wait_announced(stack, "pshut", seconds=40)
    odd = {
        "id": "odd-1",
        "type": "shipment.exploded",
        "eventType": "shipment.exploded",
        "data": {"email": PERSON["e-mail"]},
    }
    (stack.folder / "odd.json").write_text(json.dumps({**odd, "consumer": PERSON}))
    stack.cli("send", "returnista_eu", str(stack.folder / "odd.json"), check=False)
    spoiled = json.dumps(PERSON).encode()
    for path in ("returnista_eu", "nobody", f"returnista_eu?email={quote(PERSON['e-mail'])}"):
        stack.http.post(f"{stack.url}/webhooks/{path}", data=spoiled, headers={"webhook-id": PERSON["account"]})
    stack.http.post(f"{stack.url}/webhooks/returnista_eu", data=b"\xff{" + spoiled)
    for path in (f"/no?mail={PERSON['e-mail']}", f"/api/events/{PERSON['account']}", "/api/events?limit=x"):
        stack.http.get(stack.url + path, headers={"Authorization": f"Bearer {SECRETS['OLD_SECRET']}"})


def order(name: str) -> dict[str, Any]:
    """A return order of the planted person."""
    made = build_return_order(spec(name, name))
    names = {"firstName": PERSON["first name"], "lastName": PERSON["last name"]}
    made["consumer"] |= {**names, "email": PERSON["e-mail"], "phoneNumber": PERSON["phone"]}
    for parcel in made["shipments"]:
        parcel["sender"] |= {**names, "street": PERSON["street"], "postalCode": PERSON["postal code"]}
    made["returnRequests"][0]["returnReasonComment"] = f"pay to {PERSON['account']}, mail {PERSON['e-mail']}"
    return made


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
    paths += [f"/api/events/{row['event_id']}" for row in planted.api("events", limit=500)["events"]]
    paths += [f"/api/deliveries/{row['delivery_id']}" for row in planted.api("deliveries", limit=500)["deliveries"]]
    paths += [f"/api/returns/ro-p{name}" for name in ("good", "busy", "dead", "shut")]
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
    for number in ("ro-pgood", "pdead", "E-shut"):
        commands += [("trace", number), ("trace", number, "--json"), ("trace", number, "--short")]
    commands += [("refs", "show"), ("refs", "show", "--json"), ("doctor",), ("check",), ("ledger", "verify")]
    commands += [("token", "list"), ("erase", "--order", "pgood", "--dry-run"), ("events", "--state", "rejected")]
    told = {" ".join(command): planted.cli(*command, check=False) for command in commands}
    assert "wms_eu.announce_return" in told["trace pdead"]
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
