"""The hub's description of its own HTTP API: whole, true of what is answered, and the same for every site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from app.adapters.ledger import tasks as ledger_tasks
from app.core.api_tokens import ROLES
from app.core.signatures import sign
from app.model import Attempt, DeliveryFinish, Outcome, Reference, ReferenceKey
from app.pipeline import story
from app.web import bridges, openapi_schemas
from app.web.app import CLOSE, create_app
from app.web.openapi import description, written
from app.web.webhooks import METHODS
from tests.unit.api_kit import AUTH, deliver, raise_task, send
from tests.unit.door_kit import NOW, SECRET, TOKEN, VERIFY, Services, connection, make_site

DOCS = Path(__file__).parent.parent.parent / "docs" / "openapi.json"
DESCRIPTION = description()
OPERATIONS = [(path, method) for path, item in DESCRIPTION["paths"].items() for method in item]
API = [(path, method) for path, method in OPERATIONS if path.startswith("/api/")]
#: What stands for the parameters of a path where nothing else is said.
NAMES = {"event_id": "evt_1", "delivery_id": "dlv_1", "task_id": "tsk_1", "token_id": "tok_1", "number": "RMA/1"}
NAMES |= {"name": "wms", "connection": "shop", "path": "find"}
#: Of each of these an answer holds all that is described, and nothing else.
ROWS = ("Event", "WholeEvent", "Delivery", "WholeDelivery", "Attempt", "Call", "Act", "Task", "Reference", "Rejection")


def refs_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (item for key, item in value.items() if key == "$ref")
        for item in value.values():
            yield from refs_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from refs_in(item)


def fits(answer: TestResponse, path: str, method: str) -> Any:
    """The body of an answer, once it is as the description says."""
    responses = DESCRIPTION["paths"][path][method]["responses"]
    told = responses.get(str(answer.status_code)) or responses.get(f"{answer.status_code // 100}XX")
    assert told, f"{method} {path} is answered {answer.status_code}: {answer.text}"
    if "$ref" in told:
        told = DESCRIPTION["components"]["responses"][told["$ref"].rpartition("/")[2]]
    for name, header in told.get("headers", {}).items():
        assert name in answer.headers or not header["required"], f"{method} {path} has no {name}"
    (kind,) = told["content"]
    assert answer.mimetype == kind
    if kind == "application/json":
        schemas = {name: dict(schema) for name, schema in DESCRIPTION["components"]["schemas"].items()}
        for name in ROWS:
            schemas[name]["additionalProperties"] = False
        schema = {**told["content"][kind]["schema"], "components": {"schemas": schemas}}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(answer.json)
        return answer.json
    return None


def ask(app: Flask, path: str, method: str, names: dict[str, str] | None = None, **more: Any) -> TestResponse:
    return app.test_client().open(path.format(**NAMES, **(names or {})), method=method.upper(), **more)


# --- the description -----------------------------------------------------------------------------


def test_every_route_is_described_and_nothing_else(app: Flask) -> None:
    app.register_blueprint(bridges.blueprint(cast(Any, None)))
    found = set()
    for rule in app.url_map.iter_rules():
        assert rule.methods
        # The doors take every method, to say that it must be POST.
        methods = {"POST"} if rule.methods >= set(METHODS) else rule.methods - {"HEAD", "OPTIONS"}
        path = "".join(f"{{{text}}}" if dynamic else text for dynamic, text in rule._trace if text != "|")
        found |= {(path, method.lower()) for method in methods}
    assert found == set(OPERATIONS)


def test_it_is_the_same_for_every_site_and_told_to_anybody(services: Services) -> None:
    services.site = make_site(connection("secret_shop", None, VERIFY, secret_values=frozenset({SECRET})))
    app = create_app(services)
    response = app.test_client().get("/openapi.json")
    app.extensions[CLOSE]()
    assert (response.status_code, response.json) == (200, DESCRIPTION)
    for word in (SECRET, TOKEN, "secret_shop", "localhost"):
        assert word not in response.text


def test_the_written_description_is_not_stale() -> None:
    assert DOCS.read_text(encoding="utf-8") == written(), "run: python -m docs.generate"


def test_its_parts_are_sound() -> None:
    parts = {kind: DESCRIPTION["components"][kind] for kind in ("schemas", "responses")}
    known = {f"#/components/{kind}/{name}" for kind, named in parts.items() for name in named}
    assert set(refs_in(DESCRIPTION)) == known
    for schema in DESCRIPTION["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = [DESCRIPTION["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(ids) == len(set(ids))
    for path, method in OPERATIONS:
        parameters = DESCRIPTION["paths"][path][method].get("parameters", [])
        assert {f"{{{one['name']}}}" for one in parameters if one["in"] == "path"} == set(
            part for part in path.split("/") if part.startswith("{")
        )


def test_its_words_are_those_of_the_hub() -> None:
    assert list(openapi_schemas.ENTRIES) == story._RANKS
    assert set(openapi_schemas.TASK_STATES) == set(ledger_tasks.STATES)


# --- what is answered ----------------------------------------------------------------------------


def call(services: Services) -> None:
    """A try of the call of the delivery that waits, which was answered."""
    ledger = services.ledger
    ledger.retry(["dlv_1"], "test")
    ledger.claim_deliveries("wms", 10, 60, "t3")
    request = {"method": "POST", "url": "https://wms.example/returns", "headers": {}, "body": {"rma": "1"}}
    outcome = Outcome("delivered", "accepted", status=201)
    tried = Attempt("att_1", "call", NOW, "wms", "announce", 1, request, {"status": 201}, outcome, 12, "", "dlv_1")
    done = DeliveryFinish("dlv_1", "done", None, operation="announce", attempts=(tried,), idempotency_key="k")
    with ledger.write() as tx:
        assert tx.finish_deliveries("t3", [done])


@pytest.mark.parametrize("state", ["parked", "dead", "done", "called"])
def test_what_is_answered_is_as_described(app: Flask, services: Services, state: str) -> None:
    deliver(app, services, "parked" if state == "called" else state)
    raise_task(services)
    if state == "called":
        call(services)
    with services.ledger.write() as tx:
        tx.put_reference(Reference(ReferenceKey("order", "shop", "erp", "1e5"), "E1", "manual", NOW, {"by": "ann"}))
    app.test_client().post("/webhooks/shop", data=b"{}")
    names = {**NAMES, "event_id": send(app, 7, "strange")}
    app.extensions[CLOSE]()
    told = {"name": "ci", "role": "reader"}
    names["token_id"] = fits(ask(app, "/api/tokens", "post", headers=AUTH, json=told), "/api/tokens", "post")["id"]
    empty = set()
    for path, method in sorted(API, key=lambda one: one[1]):
        answer = app.test_client().open(path.format(**names), method=method.upper(), headers=AUTH)
        body = fits(answer, path, method)
        if method == "get":
            assert answer.status_code == 200
            empty |= {path for rows in body.values() if rows == []}
            if path == "/api/deliveries/{delivery_id}" and state == "called":
                assert body["calls"] and body["attempts"] and body["audit"]
    assert empty <= {"/api/parked", "/api/deliveries/{delivery_id}", "/api/events/{event_id}"}
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        fits(app.test_client().get(path), path, "get")


def test_the_doors_answer_as_described(app: Flask) -> None:
    path = "/webhooks/{connection}"
    fits(ask(app, path, "post", data=b"{}"), path, "post")
    fits(app.test_client().post("/webhooks/nobody", data=b"{}"), path, "post")
    fits(ask(app, path, "post", data=b" " * 10_000_000), path, "post")
    for body, status in ((b'{"event": "return.created", "data": {"id": "1"}}', 202), (b"{broken", 422)):
        kept = ask(app, path, "post", data=body, headers=sign(VERIFY, body, NOW))
        assert kept.status_code == status
        fits(kept, path, "post")


@pytest.mark.parametrize(("path", "method"), API)
def test_errors_are_as_described(app: Flask, services: Services, path: str, method: str) -> None:
    assert fits(ask(app, path, method), path, method)["error"]["code"] == "unauthorized"
    fits(ask(app, path, method, headers=AUTH), path, method)
    services.ledger.gone = True
    answer = ask(app, path, method, headers=AUTH)
    assert fits(answer, path, method) and answer.status_code in (400, 404, 503)


@pytest.mark.parametrize(("path", "method"), API)
def test_each_role_may_do_what_is_described_and_no_more(app: Flask, services: Services, path: str, method: str) -> None:
    needed = DESCRIPTION["paths"][path][method]["x-role"]
    for role in ROLES:
        _, token = services.ledger.new_api_token(f"of-{role}", role, "test", None)
        answer = ask(app, path, method, headers={"Authorization": f"Bearer {token}"})
        fits(answer, path, method)
        assert (answer.status_code == 403) == (ROLES.index(role) < ROLES.index(needed)), (role, answer.text)
