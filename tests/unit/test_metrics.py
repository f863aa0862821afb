"""`/metrics`: what Prometheus reads, from kept counters and from what waits."""

from __future__ import annotations

import json

from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from app.core.signatures import sign
from app.core.tasks import NewTask
from app.model import Document
from app.web.app import CLOSE
from tests.unit.door_kit import NOW, VERIFY, Services

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(app: Flask) -> Samples:
    response = app.test_client().get("/metrics")
    assert response.status_code == 200 and response.content_type.startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_events_and_what_was_turned_away_are_counted(app: Flask) -> None:
    for number in range(3):
        body = json.dumps({"event": "return.created", "data": {"id": str(number)}}).encode()
        assert app.test_client().post("/webhooks/shop", data=body, headers=sign(VERIFY, body, NOW)).status_code == 202
    app.test_client().post("/webhooks/shop", data=b"{}")
    app.test_client().post("/webhooks/guessed-by-somebody", data=b"{}")
    app.extensions[CLOSE]()
    found = read(app)
    assert found["backhaul_events_total", (("connection", "shop"), ("state", "received"))] == 3
    assert found["backhaul_rejected_total", (("cause", "missing signature"), ("connection", "shop"))] == 1
    assert found["backhaul_rejected_total", (("cause", "unknown connection"), ("connection", ""))] == 1
    assert "guessed" not in app.test_client().get("/metrics").text


def test_what_waits_is_told_with_the_age_of_the_oldest(app: Flask, services: Services) -> None:
    body = json.dumps({"event": "return.created", "data": {"id": "1"}}).encode()
    app.test_client().post("/webhooks/shop", data=body, headers=sign(VERIFY, body, NOW))
    services.clock.move(90)
    found = read(app)
    waiting = {key: amount for key, amount in found.items() if key[0] == "backhaul_waiting"}
    ((_, labels),) = waiting
    assert dict(labels)["what"] == "event" and dict(labels)["state"] == "received" and "shop" in dict(labels)["lane"]
    assert found["backhaul_oldest_waiting_seconds", labels] == 90


def test_every_connection_tells_whether_it_may_be_called(app: Flask, services: Services) -> None:
    services.ledger.pause("wms", "401", "test")
    found = read(app)
    assert found["backhaul_connection_paused", (("connection", "wms"),)] == 1
    assert found["backhaul_connection_paused", (("connection", "shop"),)] == 0
    assert found["backhaul_breaker_open", (("connection", "wms"),)] == 0


def test_the_age_of_the_clock_is_told_once_there_was_one(app: Flask, services: Services) -> None:
    assert ("backhaul_clock_age_seconds", ()) not in read(app)
    services.ledger.hold_lease("clock", "me", 3)
    assert read(app)["backhaul_clock_age_seconds", ()] == 0
    services.clock.move(13)
    assert read(app)["backhaul_clock_age_seconds", ()] == 10


def test_open_tasks_are_counted(app: Flask, services: Services) -> None:
    assert read(app)["backhaul_tasks_open", ()] == 0
    document = Document("doc_1", "return", "shop", "r-1", 0, "", NOW, {}, {}, "evt_1", "s")
    with services.ledger.write() as tx:
        tx.add_tasks(document, [NewTask(f"tsk_{number}", "law", f"law:{number}", "no") for number in range(3)])
    services.ledger.close_task("tsk_0", "me", "")
    assert read(app)["backhaul_tasks_open", ()] == 2


def test_a_counter_that_nobody_described_is_shown_all_the_same(app: Flask, services: Services) -> None:
    with services.ledger.write() as tx:
        tx.count({("backhaul_new_total", '{"b":"x\\"y\\n","a":"1"}'): 2.0, ("backhaul_bare_total", "{}"): 1.0}, "test")
    found = read(app)
    assert found["backhaul_new_total", (("a", "1"), ("b", 'x"y\n'))] == 2
    assert found["backhaul_bare_total", ()] == 1


def test_without_a_ledger_it_says_so(app: Flask, services: Services) -> None:
    assert read(app)["backhaul_ledger_up", ()] == 1
    services.ledger.gone = True
    assert read(app) == {("backhaul_ledger_up", ()): 0}
