"""What the API refuses before the ledger is asked: each of these was taken, or made it fail, before."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app.web.openapi import description
from tests.unit.api_kit import act, deliver, get
from tests.unit.door_kit import Services

READS = [path for path, item in description()["paths"].items() if path.startswith("/api/") and "get" in item]
PAUSE = "/api/connections/wms/pause"
FILTERS = [("events", "state"), ("events", "connection"), ("events", "type"), ("deliveries", "lane")]
FILTERS += [("deliveries", "route"), ("tasks", "kind"), ("tasks", "connection"), ("audit", "who"), ("audit", "target")]


def refused(response: TestResponse, code: str, status: int = 400) -> str:
    assert (response.status_code, response.json["error"]["code"]) == (status, code), response.text
    return str(response.json["error"]["message"])


@pytest.mark.parametrize("limit", ["0000005000", "0" * 9 + "1", "0" * 5000 + "1", "0" * 5000 + "9"])
def test_a_limit_with_noughts_before_it_is_no_way_around_the_bound(app: Flask, limit: str) -> None:
    refused(get(app, "/api/events", query_string={"limit": limit}), "bad_limit")


@pytest.mark.parametrize(("what", "name"), FILTERS)
def test_an_empty_filter_is_refused_and_not_taken_for_none(app: Flask, what: str, name: str) -> None:
    assert name in refused(get(app, f"/api/{what}?{name}="), "bad_filter")


@pytest.mark.parametrize("path", [path for path in READS if "{" in path])
def test_a_nul_in_a_path_is_refused(app: Flask, path: str) -> None:
    asked = path.split("{")[0] + "a%00b"
    refused(get(app, asked), "bad_text")


@pytest.mark.parametrize(("what", "name"), [*FILTERS, ("references", "number"), ("parked", "no_such_name")])
def test_a_nul_in_a_query_is_refused(app: Flask, what: str, name: str) -> None:
    refused(get(app, f"/api/{what}?{name}=a%00b"), "bad_text")
    refused(get(app, f"/api/{what}?{name}=a&{name}=%00"), "bad_text")
    refused(get(app, f"/api/{what}?a%00b=1"), "bad_text")


@pytest.mark.parametrize("text", ["%ff", "%c3%28", "%ed%a0%80", "%f0%9f", "a%0d%0ab", "..%2f..%2fetc"])
def test_odd_bytes_in_paths_and_queries_find_nothing(app: Flask, text: str) -> None:
    for path in READS:
        assert get(app, path.split("{")[0] + text).status_code in (200, 404)
    assert get(app, f"/api/events?connection={text}").json == {"events": []}


@pytest.mark.parametrize(
    "body",
    [
        b"{broken",
        b"[]",
        b"null",
        b'"text"',
        b"1",
        b"\xff\xfe",
        b'{"because": NaN}',
        b"[" * 50_000,
        b"{" + b'"a":{' * 9999,
    ],
)
def test_an_act_whose_body_is_no_object_is_not_carried_out(app: Flask, services: Services, body: bytes) -> None:
    refused(act(app, PAUSE, data=body), "bad_body")
    assert not services.ledger.lane_state("wms").paused


@pytest.mark.parametrize("because", [1, True, ["stocktaking"], {"a": 1}, "x" * 301])
def test_a_reason_that_is_no_short_text_is_refused_and_not_dropped(
    app: Flask, services: Services, because: Any
) -> None:
    assert "because" in refused(act(app, PAUSE, json={"because": because}), "bad_body")
    assert not services.ledger.lane_state("wms").paused


def test_the_body_of_an_act_counts_whatever_its_content_type_is(app: Flask, services: Services) -> None:
    sent = act(app, PAUSE, data=b'{"because": "stocktaking"}', content_type="application/x-www-form-urlencoded")
    assert sent.status_code == 200
    assert services.ledger.lane_state("wms").because == "stocktaking"


def test_the_body_of_an_act_has_a_cap(app: Flask) -> None:
    refused(act(app, PAUSE, data=b" " * 70_000), "request_entity_too_large", 413)


@pytest.mark.parametrize("again", ["yes", 1, "false", [], {}])
def test_whether_to_send_again_is_yes_or_no(app: Flask, services: Services, again: Any) -> None:
    deliver(app, services, "dead")
    refused(act(app, "/api/deliveries/dlv_1/retry", json={"again": again, "why": "sent back"}), "bad_body")
    assert services.ledger.delivery("dlv_1")["state"] == "dead"


@pytest.mark.parametrize("call", [0, -1, True, "1", 1.5, [1], 1_001, 10**30])
def test_a_call_is_counted_from_one_with_again_and_without(app: Flask, services: Services, call: Any) -> None:
    deliver(app, services, "dead")
    for said in ({"call": call}, {"call": call, "again": True, "why": "sent back"}):
        refused(act(app, "/api/deliveries/dlv_1/retry", json=said), "bad_call")
    assert services.ledger.delivery("dlv_1")["state"] == "dead"


def test_a_whole_number_may_be_written_with_a_point(app: Flask, services: Services) -> None:
    deliver(app, services, "dead")
    assert act(app, "/api/deliveries/dlv_1/retry", json={"call": 2.0}).status_code == 202


@pytest.mark.parametrize("expires", ["", 0, False, []])
def test_an_expiry_that_says_nothing_makes_no_token_for_ever(app: Flask, expires: Any) -> None:
    assert act(app, "/api/tokens", json={"name": "ci", "role": "reader", "expires": expires}).status_code == 400
    assert get(app, "/api/tokens").json == {"tokens": []}


def test_a_number_beyond_all_bounds_is_no_fault_of_the_hub(app: Flask, services: Services) -> None:
    deliver(app, services, "done")
    for digits in ("9" * 30, "9" * 5000):
        body = f'{{"again": true, "why": "sent back", "call": {digits}}}'
        assert act(app, "/api/deliveries/dlv_1/retry", data=body).status_code in (400, 409)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(st.characters(codec=None), max_size=300), st.binary(max_size=40))
def test_no_words_and_no_bytes_make_the_hub_fail(app: Flask, services: Services, words: str, data: bytes) -> None:
    said = act(app, PAUSE, json={"because": words})
    assert said.status_code == 200
    assert act(app, PAUSE, data=data).status_code in (200, 400)
    assert get(app, "/api/events", query_string={"type": data, "connection": data}).status_code in (200, 400)
    assert get(app, "/api/returns/" + "".join(f"%{byte:02x}" for byte in data)).status_code in (400, 404, 405)
