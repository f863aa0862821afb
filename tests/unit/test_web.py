"""The web application over a real ledger: webhooks, health, errors."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from app.core.signatures import sign
from app.web.app import CLOSE, create_app
from tests.support import HandClock
from tests.unit.door_kit import NOW, SECRET, TOKEN, VERIFY, Services, make_site, opened

BODY = json.dumps({"event": "return.created", "data": {"id": "7", "email": "ann@shop.example"}}).encode()

_PATHS = ("/webhooks/shop", "/webhooks/shop/")


@pytest.fixture
def services(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Services]:
    clock = HandClock()
    with opened(migrated_sqlite, tmp_path, clock) as ledger:
        yield Services(make_site(body_limit=10_000), ledger, clock)


@pytest.fixture
def app(services: Services) -> Iterator[Flask]:
    made = create_app(services)
    yield made
    made.extensions[CLOSE]()


def post(app: Flask, body: bytes = BODY, **more: Any) -> TestResponse:
    headers = more.pop("headers", None) or sign(VERIFY, body, NOW)
    return app.test_client().post("/webhooks/shop", data=body, headers=headers, **more)


def test_a_webhook_is_answered_with_its_event_once_it_is_in_the_ledger(app: Flask, services: Services) -> None:
    response = post(app)
    assert response.status_code == 202 and response.content_type == "application/json"
    assert services.ledger.event_body(response.json["event"]) == BODY
    assert services.wakes is not None and services.wakes.rung.wait(2)
    assert services.wakes.lanes == ["in:shop"]


def test_ten_equal_webhooks_at_once_get_one_answer(app: Flask) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: post(app), range(10)))
    assert {(answer.status_code, answer.data) for answer in answers} == {(202, answers[0].data)}


def test_a_message_is_answered_alike_whether_flask_finds_its_way_or_not(app: Flask) -> None:
    # A path that ends with a slash is left to Flask.
    short, long = (app.test_client().post(path, data=BODY, headers=sign(VERIFY, BODY, NOW)) for path in _PATHS)
    assert (short.status, short.data, sorted(short.headers)) == (long.status, long.data, sorted(long.headers))
    short, long = (app.test_client().post(path, data=BODY, headers={"X-Signature": "00"}) for path in _PATHS)
    assert (short.status, short.data, sorted(short.headers)) == (long.status, long.data, sorted(long.headers))
    assert short.status == "401 UNAUTHORIZED"


def test_a_message_that_breaks_the_hub_is_a_500_that_shows_nothing(app: Flask, services: Services) -> None:
    services.ledger.poison = "return.created:7"
    with capture_logs() as lines:
        broken = post(app)
    assert broken.status_code == 500 and broken.json["error"]["code"] == "internal"
    (line,) = [line for line in lines if line["event"] == "web.failed"]
    assert line["error_id"] in broken.json["error"]["message"] and line["error"] == "ValueError"
    services.ledger.poison = ""
    assert post(app).status_code == 202


def test_a_body_that_is_cut_off_is_not_taken_for_the_whole(app: Flask) -> None:
    environ = {"wsgi.input": io.BytesIO(BODY[:-1]), "CONTENT_LENGTH": str(len(BODY))}
    assert post(app, environ_overrides=environ).json["error"]["message"] == "cut off"


def test_a_chunked_body_is_read_to_its_end_and_capped(app: Flask) -> None:
    def chunked(body: bytes) -> int:
        environ = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        return app.test_client().post(
            "/webhooks/shop", headers=sign(VERIFY, body, NOW), environ_overrides=environ
        ).status_code  # fmt: skip

    assert chunked(BODY + b" " * (10_000 - len(BODY))) == 202
    assert chunked(BODY + b" " * (10_001 - len(BODY))) == 413


def test_a_proxy_of_the_machine_is_not_taken_for_a_header(app: Flask, services: Services) -> None:
    event = post(app, environ_overrides={"HTTP_PROXY": "http://user:word@proxy.example"}).json["event"]
    assert "proxy" not in services.ledger.event(event)["headers"]


def test_a_body_over_the_cap_is_refused_by_its_length(app: Flask) -> None:
    assert post(app, b" " * 10_001).status_code == 413


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused_and_an_unknown_connection_is_404_for_all(app: Flask, method: str) -> None:
    client = app.test_client()
    refused = client.open("/webhooks/shop", method=method)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    for name in ("wms", "nobody", "%00"):
        assert client.open(f"/webhooks/{name}", method=method).status_code == 404


def test_an_outage_of_the_ledger_is_a_503_and_ends_by_itself(app: Flask, services: Services) -> None:
    services.ledger.gone = True
    response = post(app)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    services.ledger.gone = False
    assert post(app).status_code == 202


def test_each_message_leaves_one_line_without_secrets_or_people(app: Flask) -> None:
    with capture_logs() as lines:
        event_id = post(app).json["event"]
        post(app)
        post(app, headers={"X-Signature": "00", "Authorization": f"Bearer {TOKEN}"})
    received = [line for line in lines if line["event"] == "event.received"]
    assert [line["duplicate"] for line in received] == [False, True]
    first = {key: received[0][key] for key in ("event_id", "connection", "type", "state", "bytes")}
    expected = {"event_id": event_id, "connection": "shop", "type": "return.created", "state": "received"}
    assert first == expected | {"bytes": len(BODY)}
    assert [line["cause"] for line in lines if line["event"] == "event.rejected"] == ["bad signature"]
    for planted in (SECRET, TOKEN, "ann@", sign(VERIFY, BODY, NOW)["x-signature"]):
        assert planted not in str(lines)


def test_alive_says_nothing_of_the_ledger(app: Flask, services: Services) -> None:
    services.ledger.gone = True
    assert app.test_client().get("/healthz").status_code == 200


def test_ready_needs_the_ledger_and_a_running_clock(app: Flask, services: Services) -> None:
    client = app.test_client()
    assert client.get("/readyz").json == {"ready": False, "ledger": "ok", "clock": "stopped"}
    services.ledger.hold_lease("clock", "me", 3)
    assert client.get("/readyz").status_code == 200
    services.clock.move(7)
    assert client.get("/readyz").status_code == 200
    services.clock.move(1)
    assert client.get("/readyz").status_code == 503
    services.ledger.gone = True
    assert client.get("/readyz").json == {"ready": False, "ledger": "unavailable", "clock": "unknown"}


def test_a_target_that_is_down_does_not_make_the_hub_unready(app: Flask, services: Services) -> None:
    services.ledger.hold_lease("clock", "me", 3)
    services.ledger.pause("wms", "401", "test")
    assert app.test_client().get("/readyz").status_code == 200


def test_every_error_is_json_and_a_fault_of_our_own_shows_nothing(app: Flask) -> None:
    def fails() -> str:
        raise RuntimeError(f"{SECRET} ann@shop.example")

    app.add_url_rule("/fails", view_func=fails)
    client = app.test_client()
    missing, method = client.get("/nothing"), client.post("/healthz")
    assert (missing.status_code, missing.json) == (404, {"error": {"code": "not_found", "message": "Not Found"}})
    assert method.status_code == 405 and "GET" in method.headers["Allow"] and method.json["error"]
    with capture_logs() as lines:
        broken = client.get("/fails")
    assert broken.status_code == 500 and broken.json["error"]["code"] == "internal"
    (line,) = lines
    assert line["error_id"] in broken.json["error"]["message"] and "test_web.py" in line["where"]
    for planted in (SECRET, "ann@"):
        assert planted not in str(lines) + broken.text
