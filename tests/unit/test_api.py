"""The HTTP API: who may use it, what it shows, what it does."""

from __future__ import annotations

import pytest
from flask import Flask

from app.core.masking import HIDDEN
from app.model import Reference, ReferenceKey
from app.web.app import CLOSE, create_app
from tests.unit.api_kit import AUTH, act, deliver, get, raise_task, send
from tests.unit.door_kit import NOW, SECRET, TOKEN, Services, make_site

PATHS = ["/api/events", "/api/events/x", "/api/returns/1", "/api/deliveries", "/api/deliveries/x", "/api/parked"]
PATHS += ["/api/references", "/api/rejections", "/api/tasks", "/api/tasks/x"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"])
def test_nobody_passes_without_the_token(app: Flask, path: str, header: str | None) -> None:
    response = app.test_client().get(path, headers={} if header is None else {"Authorization": header})
    assert (response.status_code, response.json["error"]["code"]) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_without_a_configured_token_only_those_of_the_ledger_open_the_api(services: Services) -> None:
    services.site = make_site(api_token="")
    app = create_app(services)
    for header in ({}, {"Authorization": "Bearer "}, AUTH):
        assert app.test_client().get("/api/events", headers=header).status_code == 401
    _, token = services.ledger.new_api_token("ann", "reader", "test", None)
    assert app.test_client().get("/api/events", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    app.extensions[CLOSE]()


def test_events_are_listed_newest_first_and_filtered(app: Flask) -> None:
    sent = [send(app, number) for number in range(5)]
    assert [row["event_id"] for row in get(app, "/api/events").json["events"]] == sent[::-1]
    assert [row["event_id"] for row in get(app, "/api/events?limit=2").json["events"]] == sent[:2:-1]
    send(app, 9, "strange")
    assert [row["state"] for row in get(app, "/api/events?state=unknown").json["events"]] == ["unknown"]
    assert get(app, "/api/events?connection=nobody").json == {"events": []}


def test_a_state_that_there_is_not_is_refused_with_those_there_are(app: Flask) -> None:
    response = get(app, "/api/deliveries?state=lost")
    assert (response.status_code, response.json["error"]["code"]) == (400, "bad_filter")
    assert "in_doubt" in response.json["error"]["message"]


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "", "9" * 30, "\u0661"])
def test_a_limit_out_of_bounds_is_refused(app: Flask, limit: str) -> None:
    response = get(app, "/api/events", query_string={"limit": limit})
    assert (response.status_code, response.json["error"]["code"]) == (400, "bad_limit")


def test_an_event_is_shown_without_persons_and_secrets(app: Flask) -> None:
    response = get(app, f"/api/events/{send(app, 7)}")
    event = response.json
    assert (event["state"], event["type"], event["connection"]) == ("received", "return.created", "shop")
    assert event["body"]["data"] == {"id": "7"} and event["body"]["customer"]["email"] == HIDDEN
    assert event["headers"]["authorization"] == HIDDEN and "x-signature" in event["headers"]
    assert response.headers["Cache-Control"] == "no-store"
    for planted in (SECRET, TOKEN, "ann@", "Annie"):
        assert planted not in response.text


def test_the_story_of_a_return_is_told_by_any_of_its_numbers(app: Flask, services: Services) -> None:
    event_id = str(deliver(app, services) and get(app, "/api/events").json["events"][0]["event_id"])
    for number in ("RMA/1", "rma/1", "%23RMA/1", event_id, "dlv_1"):
        response = get(app, f"/api/returns/{number}")
        assert response.status_code == 200 and "return.labelled" in response.text and "dlv_1" in response.text
        for planted in (SECRET, "ann@", "Annie"):
            assert planted not in response.text
    assert get(app, "/api/returns/nothing").status_code == 404


def test_what_is_parked_says_what_it_waits_for(app: Flask, services: Services) -> None:
    deliver(app, services)
    (row,) = get(app, "/api/parked").json["deliveries"]
    assert row["delivery_id"] == "dlv_1" and row["waits_for"] == "order 1e5 (shop to erp)"
    assert [row["delivery_id"] for row in get(app, "/api/deliveries?lane=wms&route=announce").json["deliveries"]] == [
        "dlv_1"
    ]
    assert get(app, "/api/deliveries?state=dead").json == {"deliveries": []}
    assert get(app, "/api/deliveries/dlv_1").json["state"] == "parked"


def test_a_dead_delivery_is_tried_again_once(app: Flask, services: Services) -> None:
    deliver(app, services, "dead")
    assert "ann@" not in get(app, "/api/deliveries/dlv_1").text
    again = act(app, "/api/deliveries/dlv_1/retry")
    assert (again.status_code, again.json) == (202, {"retried": ["dlv_1"]})
    second = act(app, "/api/deliveries/dlv_1/retry")
    assert (second.status_code, second.json["error"]["code"]) == (409, "not_retried")
    assert act(app, "/api/deliveries/dlv_none/retry").status_code == 404


def test_what_is_done_is_sent_again_only_with_a_reason(app: Flask, services: Services) -> None:
    deliver(app, services, "done")
    path = "/api/deliveries/dlv_1/retry"
    assert act(app, path).status_code == 409
    for said, code in (({}, "no_reason"), ({"why": " "}, "no_reason"), ({"why": "sent back", "call": "1"}, "bad_call")):
        refused = act(app, path, json={"again": True, **said})
        assert (refused.status_code, refused.json["error"]["code"]) == (400, code)
    again = act(app, path, json={"again": True, "why": "the bank sent it back"})
    assert (again.status_code, again.json) == (202, {"retried": ["dlv_1"]})
    assert services.ledger.acts("dlv_1")[0]["after"]["why"] == "the bank sent it back"
    second = act(app, path, json={"again": True, "why": "the bank sent it back", "call": 1})
    assert (second.status_code, second.json["error"]["code"]) == (409, "not_retried")


def test_an_event_that_was_unknown_is_tried_again(app: Flask) -> None:
    event_id = send(app, 1, "strange")
    assert act(app, f"/api/events/{event_id}/retry").json == {"retried": [event_id]}
    assert get(app, f"/api/events/{event_id}").json["state"] != "unknown"
    assert act(app, "/api/events/evt_none/retry").status_code == 404


def test_a_connection_is_paused_and_resumed(app: Flask, services: Services) -> None:
    assert act(app, "/api/connections/wms/pause", json={"because": "stocktaking"}).json["paused"] is True
    state = services.ledger.lane_state("wms")
    assert state.paused and state.because == "stocktaking"
    assert act(app, "/api/connections/wms/resume").json["paused"] is False
    assert not services.ledger.lane_state("wms").paused
    assert act(app, "/api/connections/wms/pause", data=b"{broken").status_code == 400
    assert act(app, "/api/connections/nobody/pause").status_code == 404


def test_references_are_shown_with_their_origin(app: Flask, services: Services) -> None:
    key = ReferenceKey("order", "shop", "erp", "1e5")
    with services.ledger.write() as tx:
        tx.put_reference(Reference(key, "0000012E4", "manual", NOW, {"by": "ann@shop.example"}))
    (row,) = get(app, "/api/references").json["references"]
    assert "0000012E4" in str(row) and "1e5" in str(row) and "manual" in str(row) and "ann@" not in str(row)


def test_what_was_turned_away_is_listed(app: Flask) -> None:
    app.test_client().post("/webhooks/shop", data=b"{}")
    app.extensions[CLOSE]()
    (row,) = get(app, "/api/rejections").json["rejections"]
    assert row == {"at": "2026-11-22T12:00:00.000Z", "connection": "shop", "cause": "missing signature"}


def test_acts_are_posts_and_an_outage_is_a_503(app: Flask, services: Services) -> None:
    assert get(app, "/api/deliveries/dlv_1/retry").status_code == 405
    services.ledger.gone = True
    response = get(app, "/api/events")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json["error"]["code"] == "ledger_unavailable"


def test_open_tasks_are_listed_masked_and_closed_once(app: Flask, services: Services) -> None:
    raise_task(services)
    (task,) = get(app, "/api/tasks").json["tasks"]
    assert (task["task_id"], task["kind"], task["object_id"], task["state"]) == ("tsk_1", "law", "r-1", "open")
    assert task["data"]["email"] == HIDDEN
    assert get(app, "/api/tasks/tsk_1").json == task
    done = act(app, "/api/tasks/tsk_1/close", json={"note": "counted again"})
    assert (done.status_code, done.json) == (200, {"task": "tsk_1", "state": "closed"})
    assert get(app, "/api/tasks").json["tasks"] == []
    (closed,) = get(app, "/api/tasks?state=closed").json["tasks"]
    assert (closed["closed_by"], closed["note"]) == ("api_token of hub.yaml", "counted again")
    again = act(app, "/api/tasks/tsk_1/close")
    assert (again.status_code, again.json["error"]["code"]) == (409, "not_closed")


def test_a_task_that_there_is_not_and_a_state_that_there_is_not_are_told(app: Flask) -> None:
    assert act(app, "/api/tasks/tsk_9/close").status_code == 404
    assert get(app, "/api/tasks?state=lost").json["error"]["code"] == "bad_filter"
