"""Every act of a person through the API is kept: who, when, what, before and after.

A new act that is not in the table fails here, and so does one that leaves no row. `test_acts_kept_cli` has those of
the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.model import ReferenceKey
from app.web.app import CLOSE, create_app
from tests.unit import api_kit
from tests.unit.door_kit import Services

Post = Callable[..., TestResponse]


def _retry_event(app: Flask, services: Services, post: Post) -> str:
    event_id = api_kit.send(app, 1, "strange")
    post(f"/api/events/{event_id}/retry")
    return event_id


def _retry_delivery(app: Flask, services: Services, post: Post) -> str:
    api_kit.deliver(app, services, "dead")
    post("/api/deliveries/dlv_1/retry")
    return "dlv_1"


def _resolve(app: Flask, services: Services, post: Post) -> str:
    api_kit.deliver(app, services, "in_doubt")
    post("/api/deliveries/dlv_1/resolve", json={"verdict": "dead"})
    return "dlv_1"


def _close_task(app: Flask, services: Services, post: Post) -> str:
    api_kit.raise_task(services)
    post("/api/tasks/tsk_1/close", json={"note": "counted"})
    return "tsk_1"


def _pause(app: Flask, services: Services, post: Post) -> str:
    post("/api/connections/wms/pause")
    return "connection:wms"


def _resume(app: Flask, services: Services, post: Post) -> str:
    post("/api/connections/wms/resume")
    return "connection:wms"


def _set_reference(app: Flask, services: Services, post: Post) -> str:
    key = ReferenceKey("order", "shop", "erp", "1e5")
    services.ledger.set_reference(key, "0001", "test")
    post("/api/references", json={"kind": "order", "id": "1e5", "to_id": "0000012E4"})
    return str(key)


def _new_token(app: Flask, services: Services, post: Post) -> str:
    post("/api/tokens", json={"name": "bob", "role": "reader"})
    return "token:bob"


def _revoke_token(app: Flask, services: Services, post: Post) -> str:
    made, _ = services.ledger.new_api_token("bob", "reader", "test", None)
    post(f"/api/tokens/{made.token_id}/revoke")
    return "token:bob"


ROUTES = {
    "/api/events/<event_id>/retry": _retry_event,
    "/api/deliveries/<delivery_id>/retry": _retry_delivery,
    "/api/deliveries/<delivery_id>/resolve": _resolve,
    "/api/tasks/<task_id>/close": _close_task,
    "/api/connections/<name>/pause": _pause,
    "/api/connections/<name>/resume": _resume,
    "/api/references": _set_reference,
    "/api/tokens": _new_token,
    "/api/tokens/<token_id>/revoke": _revoke_token,
}
#: Not acts of a person: what vendors and shops send, each proven by its own signature and kept as it came.
DOORS = {"/webhooks/<connection>", "/bridge/<connection>/<path:path>"}


@pytest.fixture
def app(services: Services) -> Iterator[Flask]:
    services.site = replace(services.site, references={("order", "shop", "erp"): None})  # type: ignore[dict-item]
    made = create_app(services)
    yield made
    made.extensions[CLOSE]()


def test_every_route_that_acts_is_tried_here(app: Flask) -> None:
    acting = {rule.rule for rule in app.url_map.iter_rules() if (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}}
    assert acting - DOORS == set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_an_act_through_the_api_is_kept_under_the_name_of_its_token(app: Flask, services: Services, route: str) -> None:
    token, text = services.ledger.new_api_token("ann", "admin", "test", None)

    def post(path: str, **more: Any) -> TestResponse:
        response = app.test_client().post(path, headers={"Authorization": f"Bearer {text}"}, **more)
        assert response.status_code in (200, 201, 202), response.text
        return response

    target = ROUTES[route](app, services, post)
    read = app.test_client().get("/api/audit", query_string={"who": "ann"}, headers={"Authorization": f"Bearer {text}"})
    (row,) = read.json["audit"]
    assert (row["who"], row["target"]) == (f"ann ({token.token_id})", target)
    assert row["at"] == "2026-11-22T12:00:00.000Z" and row["after"] is not None
    assert (row["before"] is None) == (row["act"] == "token new")


def test_the_audit_is_read_newest_first_and_filtered_and_masked(app: Flask, services: Services) -> None:
    for name in ("wms", "shop"):
        services.ledger.pause(name, "asked by ann@shop.example", "cli:root")
    read = api_kit.get(app, "/api/audit")
    assert [row["target"] for row in read.json["audit"]] == ["connection:shop", "connection:wms"]
    assert "ann@" not in read.text
    assert len(api_kit.get(app, "/api/audit?limit=1").json["audit"]) == 1
    assert len(api_kit.get(app, "/api/audit?target=connection:wms").json["audit"]) == 1
    assert api_kit.get(app, "/api/audit?who=nobody").json == {"audit": []}
    assert api_kit.get(app, "/api/audit?limit=x").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "order", "id": "1"},
        {"kind": "order", "id": 1, "to_id": "2"},
        {"kind": "order", "id": " ", "to_id": "2"},
        {"kind": "order", "id": "1" * 301, "to_id": "2"},
        {"kind": "odrer", "id": "1", "to_id": "2"},
        {"kind": "order", "id": "1", "to_id": "2", "from_system": "erp"},
    ],
)
def test_a_reference_that_cannot_be_meant_is_refused_and_nothing_is_kept(
    app: Flask, services: Services, body: dict[str, Any]
) -> None:
    response = api_kit.act(app, "/api/references", json=body)
    assert response.status_code == 400 and response.json["error"]["code"] in ("bad_body", "bad_reference")
    assert services.ledger.acts() == services.ledger.references() == []


def test_a_number_that_is_set_through_the_api_releases_what_waits_for_it(app: Flask, services: Services) -> None:
    api_kit.deliver(app, services)
    done = api_kit.act(app, "/api/references", json={"kind": "order", "id": "1e5", "to_id": "0000012E4"})
    assert done.json == {"reference": "order 1e5 (shop to erp)", "to_id": "0000012E4", "released": ["dlv_1"]}
    assert api_kit.get(app, "/api/deliveries/dlv_1").json["state"] == "ready"


@pytest.mark.parametrize(("verdict", "state"), [("delivered", "done"), ("retry", "ready"), ("dead", "dead")])
def test_what_is_in_doubt_is_settled_once_through_the_api(
    app: Flask, services: Services, verdict: str, state: str
) -> None:
    api_kit.deliver(app, services, "in_doubt")
    path = "/api/deliveries/dlv_1/resolve"
    for wrong in ({}, {"verdict": "perhaps"}, {"verdict": ["dead"]}):
        assert api_kit.act(app, path, json=wrong).json["error"]["code"] == "bad_verdict"
    assert api_kit.act(app, path, json={"verdict": verdict}).json == {"delivery": "dlv_1", "verdict": verdict}
    assert api_kit.get(app, "/api/deliveries/dlv_1").json["state"] == state
    again = api_kit.act(app, path, json={"verdict": verdict})
    assert (again.status_code, again.json["error"]["code"]) == (409, "not_resolved")
    assert api_kit.act(app, "/api/deliveries/dlv_none/resolve", json={"verdict": verdict}).status_code == 404
