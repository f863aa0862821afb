"""The simulated tenant answers as the vendor's documents say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from connectors.fulfillmenttools.identity import API_KEY, EMAIL, PASSWORD, Identity
from connectors.fulfillmenttools.simulator import SECRET, create_app
from connectors.simkit import TOKEN, Simulator
from connectors.simserve import running

AUTH = {"Authorization": f"Bearer {TOKEN}"}
SPEC = {"id": "j1", "order": "ORDER-1", "version": 4, "articles": [{"sku": "MUG"}],
        "returns": [{"id": "r1", "lines": [{"id": "l1", "sku": "MUG", "status": "WAITING_FOR_INPUT"}]}]}  # fmt: skip
PATH = "/api/itemreturnjobs/j1/itemreturns/r1/returnedlineitems/l1"


@pytest.fixture
def tenant() -> Iterator[FlaskClient]:
    with create_app().test_client() as client:
        client.post("/_sim/seed", json={"build": [SPEC]})
        yield client


def patch(tenant: FlaskClient, version: int, **body: Any) -> Any:
    return tenant.patch(PATH, json={"itemReturnJobVersion": version, **body}, headers=AUTH)


def test_a_write_with_the_current_version_makes_a_new_one_and_an_event(tenant: FlaskClient) -> None:
    answer = patch(tenant, 4, status="ACCEPTED")
    assert answer.status_code == 200 and answer.json["version"] > 4
    (event,) = tenant.get("/_sim/events").json["events"]
    assert event["event"] == "ITEM_RETURN_JOB_UPDATED" and event["payload"] == answer.json


def test_a_write_with_an_old_version_is_a_conflict_told_as_a_list(tenant: FlaskClient) -> None:
    answer = patch(tenant, 3, status="ACCEPTED")
    assert answer.status_code == 409
    assert [(one["version"], one["requestVersion"]) for one in answer.json] == [(4, 3)]


def test_versions_need_not_follow_each_other(tenant: FlaskClient) -> None:
    seen = [4]
    for status in ("ACCEPTED", "REJECTED", "ACCEPTED"):
        seen.append(patch(tenant, seen[-1], status=status).json["version"])
    assert any(after - before > 1 for before, after in pairwise(seen))


def test_a_refund_has_two_events_and_the_state_that_was_given(tenant: FlaskClient) -> None:
    refund = {"status": "CLOSED", "percent": 50}
    assert patch(tenant, 4, refund=refund).json["itemReturns"][0]["returnedLineItems"][0]["refund"] == refund
    names = [event["event"] for event in tenant.get("/_sim/events").json["events"]]
    assert names == ["ITEM_RETURN_JOB_UPDATED", "REFUND_TRIGGERED"]


@pytest.mark.parametrize("refund", [{"status": "OPEN"}, {"status": "OPEN", "percent": 1, "price": {}}, {"percent": 1}])
def test_a_refund_is_a_price_or_a_percentage(tenant: FlaskClient, refund: Any) -> None:
    assert patch(tenant, 4, refund=refund).status_code == 400


def test_the_platform_raises_versions_in_the_background(tenant: FlaskClient) -> None:
    tenant.post("/_sim/change", json={"job": "j1", "by": 3})
    assert patch(tenant, 4, status="ACCEPTED").status_code == 409
    assert patch(tenant, 7, status="ACCEPTED").status_code == 200


def test_somebody_in_the_backoffice_decides(tenant: FlaskClient) -> None:
    told = tenant.post("/_sim/change", json={"job": "j1", "line": "r1/l1", "set": {"status": "REJECTED"}}).json
    assert told["itemReturns"][0]["returnedLineItems"][0]["status"] == "REJECTED"
    assert tenant.post("/_sim/change", json={"job": "none"}).status_code == 404


def test_lists_have_two_odd_shapes_and_read_on_behind_an_id(tenant: FlaskClient) -> None:
    tenant.post("/_sim/seed", json={"build": [{**SPEC, "id": "j2", "order": "ORDER-2"}]})
    jobs = tenant.get("/api/itemreturnjobs?size=1", headers=AUTH).json
    assert ([job["id"] for job in jobs["itemReturnJobsWithSearchPaths"]], jobs["total"]) == (["j1"], 2)
    more = tenant.get("/api/itemreturnjobs?size=1&startAfterId=j1", headers=AUTH).json
    assert [job["id"] for job in more["itemReturnJobsWithSearchPaths"]] == ["j2"]
    returns = tenant.get("/api/itemreturns", headers=AUTH).json
    assert (len(returns["itemReturns"]), returns["totalCount"]) == (2, 2)
    assert tenant.get("/api/itemreturnjobs?startAfterId=1", headers=AUTH).status_code == 400


def test_a_search_finds_more_than_the_exact_order(tenant: FlaskClient) -> None:
    tenant.post("/_sim/seed", json={"build": [{**SPEC, "id": "j2", "order": "ORDER-11"}]})
    assert tenant.get("/api/itemreturnjobs?searchTerm=order-1", headers=AUTH).json["total"] == 2


def test_lists_may_lag_behind_and_a_job_by_id_never_does(tenant: FlaskClient) -> None:
    tenant.post("/_sim/seed", json={"list_lag": 1})
    tenant.get("/api/itemreturns", headers=AUTH)
    patch(tenant, 4, status="ACCEPTED")
    lines = [
        tenant.get("/api/itemreturns", headers=AUTH).json["itemReturns"][0]["returnedLineItems"][0]["status"]
        for _ in range(2)
    ]
    assert lines == ["WAITING_FOR_INPUT", "ACCEPTED"]
    job = tenant.get("/api/itemreturnjobs/j1", headers=AUTH).json
    assert job["itemReturns"][0]["returnedLineItems"][0]["status"] == "ACCEPTED"


# --- logins --------------------------------------------------------------------------------------


def login(tenant: FlaskClient, **more: Any) -> Any:
    wanted = {"email": EMAIL, "password": PASSWORD, "returnSecureToken": True, **more}
    return tenant.post(f"/v1/accounts:signInWithPassword?key={API_KEY}", json=wanted)


def test_a_login_gives_a_token_whose_life_is_a_text(tenant: FlaskClient) -> None:
    told = login(tenant).json
    assert told["expiresIn"] == "3600"
    auth = {"Authorization": f"Bearer {told['idToken']}"}
    assert tenant.get("/api/itemreturnjobs/j1", headers=auth).status_code == 200


def test_a_refresh_is_a_form_with_an_answer_in_another_spelling(tenant: FlaskClient) -> None:
    first = login(tenant).json
    wanted = {"grant_type": "refresh_token", "refresh_token": first["refreshToken"]}
    told = tenant.post(f"/v1/token?key={API_KEY}", data=wanted).json
    assert (told["expires_in"], told["id_token"] == first["idToken"]) == ("3600", False)
    assert tenant.post(f"/v1/token?key={API_KEY}", data=wanted).status_code == 400, "a refresh token is used once"


def test_a_wrong_password_and_a_wrong_key_are_refused(tenant: FlaskClient) -> None:
    assert login(tenant, password="x").json["error"]["message"] == "INVALID_LOGIN_CREDENTIALS"
    assert tenant.post("/v1/accounts:signInWithPassword?key=x", json={}).status_code == 400


def test_a_token_ends_when_its_time_is_over_or_when_told() -> None:
    now = [0.0]
    with create_app(identity=Identity(clock=lambda: now[0], expires_in=60)).test_client() as tenant:
        auth = {"Authorization": f"Bearer {login(tenant).json['idToken']}"}
        assert tenant.get("/api/supportedevents", headers=auth).status_code == 200
        now[0] = 61.0
        assert tenant.get("/api/supportedevents", headers=auth).status_code == 401
        auth = {"Authorization": f"Bearer {login(tenant).json['idToken']}"}
        assert tenant.post("/_sim/tokens", json={"expire": True}).json == {"logins": 2, "refreshes": 0}
        assert tenant.get("/api/supportedevents", headers=auth).status_code == 401


# --- subscriptions and events --------------------------------------------------------------------


def test_an_event_has_five_subscriptions_at_most_and_each_can_be_deleted_once(tenant: FlaskClient) -> None:
    made = [
        tenant.post("/api/subscriptions", json={"name": f"n{n}", "event": "REFUND_TRIGGERED"}, headers=AUTH)
        for n in range(6)
    ]
    assert [one.status_code for one in made] == [201] * 5 + [400]
    path = f"/api/subscriptions/{made[0].json['id']}"
    assert [tenant.delete(path, headers=AUTH).status_code for _ in range(2)] == [200, 404]
    assert tenant.get("/api/subscriptions", headers=AUTH).json["total"] == 4


@pytest.mark.parametrize(("status", "again"), [(200, 0), (202, 6), (204, 6), (500, 6)])
def test_10_only_exactly_200_ends_the_redelivery(tenant: FlaskClient, status: int, again: int) -> None:
    received: list[Any] = []
    hook = Flask("hook")
    hook.extensions["simulator"] = Simulator("hook")

    @hook.post("/")
    def take() -> tuple[str, int]:
        received.append((request.headers["Authorization"], json.loads(request.data)["eventId"]))
        return "", status

    patch(tenant, 4, status="ACCEPTED", refund={"status": "OPEN", "percent": 10})
    with running(hook) as url:
        sent = tenant.post("/_sim/send", json={"url": url, "copies": 3, "order": [1, 0], "concurrent": True}).json
    assert (len(sent["statuses"]), sent["redelivered"]) == (6, again)
    assert len(received) == 6 and {secret for secret, _ in received} == {SECRET}
    assert len({event for _, event in received}) == 2


def test_10_an_answer_that_is_too_late_is_no_answer(tenant: FlaskClient) -> None:
    hook = Flask("hook")
    hook.extensions["simulator"] = Simulator("hook")
    hook.post("/")(lambda: "")
    events = [{"event": "X", "eventId": "1"}]
    with running(hook) as url:
        assert tenant.post("/_sim/send", json={"url": url, "events": events}).json["redelivered"] == 0
        assert tenant.post("/_sim/send", json={"url": url, "events": events, "patience": -1}).json["redelivered"] == 1


def test_what_changes_can_be_told_at_once_and_the_events_of_one_job_alone(tenant: FlaskClient) -> None:
    tenant.post("/_sim/seed", json={"build": [{**SPEC, "id": "j2", "order": "ORDER-2"}]})
    received: list[Any] = []
    hook = Flask("hook")
    hook.extensions["simulator"] = Simulator("hook")

    @hook.post("/")
    def take() -> str:
        received.append(json.loads(request.data)["payload"]["id"])
        return ""

    with running(hook) as url:
        for job in ("j1", "j2"):
            told = {"job": job, "line": "r1/l1", "set": {"status": "REJECTED"}, "url": url}
            assert tenant.post("/_sim/change", json=told).json == {"statuses": [200], "redelivered": 0}
        tenant.post("/_sim/send", json={"url": url, "job": "j2"})
    assert received == ["j1", "j2", "j2"]
