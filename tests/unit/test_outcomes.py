"""What an answer means: the table by status, the connector's rules, the vendor's own words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.core.connectors import Capture, ResponseRule
from app.core.outcomes import classify, vendor_message
from app.model import NoResponse, Outcome, Request, Response
from tests.unit.engine_kit import operation, value

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REQUEST = Request("acme_eu", "announce", "POST", "https://x/returns", {}, {"rma": "R-1"})
PLAIN = operation()
KEYED = operation(idempotency_header="Idempotency-Key")
GET = operation("GET")


def response(status: int, body: Any = None, text: str = "", **headers: str) -> Response:
    return Response(status, {key.replace("_", "-"): found for key, found in headers.items()}, body, text, 5)


@pytest.mark.parametrize(
    ("status", "result", "fault"),
    [
        (200, "delivered", None),
        (201, "delivered", None),
        (202, "delivered", None),
        (204, "delivered", None),
        (301, "rejected", "config"),
        (307, "rejected", "config"),
        (400, "rejected", "data"),
        (401, "retry", "config"),
        (403, "retry", "config"),
        (404, "rejected", "data"),
        (405, "rejected", "data"),
        (408, "retry", "transient"),
        (409, "rejected", "data"),
        (410, "rejected", "data"),
        (418, "rejected", "data"),
        (422, "rejected", "data"),
        (425, "retry", "transient"),
        (429, "retry", "transient"),
        (501, "retry", "remote"),
        (503, "retry", "remote"),
        (599, "retry", "remote"),
    ],
)
@pytest.mark.parametrize("kind", [PLAIN, KEYED, GET])
def test_the_table_by_status(kind: Any, status: int, result: str, fault: str | None) -> None:
    outcome = classify(kind, REQUEST, response(status, {}))
    assert (outcome.result, outcome.fault, outcome.status) == (result, fault, status)
    assert outcome.pause == (status in (401, 403))


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize(("kind", "result"), [(PLAIN, "in_doubt"), (KEYED, "retry"), (GET, "retry")])
def test_an_answer_that_was_lost_on_the_way_leaves_a_call_in_doubt(kind: Any, result: str, status: int) -> None:
    outcome = classify(kind, REQUEST, response(status, None, "<html><title>502 Bad Gateway</title></html>"))
    assert (outcome.result, outcome.fault) == (result, "remote")
    assert outcome.because == f"{status}: 502 Bad Gateway"


@pytest.mark.parametrize(
    ("answer", "kind", "result", "fault"),
    [
        (NoResponse("connect", "no connection", False, 1), PLAIN, "retry", "transient"),
        (NoResponse("tls", "no TLS", False, 1), PLAIN, "retry", "transient"),
        (NoResponse("refused", "no address", False, 1), PLAIN, "rejected", "config"),
        (NoResponse("timeout", "late", True, 1), PLAIN, "in_doubt", "remote"),
        (NoResponse("broken", "broken", True, 1), PLAIN, "in_doubt", "remote"),
        (NoResponse("too_large", "large", True, 1), PLAIN, "in_doubt", "remote"),
        (NoResponse("timeout", "late", True, 1), KEYED, "retry", "transient"),
        (NoResponse("timeout", "late", True, 1), GET, "retry", "transient"),
    ],
)
def test_no_answer_at_all(answer: NoResponse, kind: Any, result: str, fault: str) -> None:
    outcome = classify(kind, REQUEST, answer)
    assert (outcome.result, outcome.fault, outcome.because) == (result, fault, answer.what)


def test_a_success_without_the_json_that_is_needed() -> None:
    page = response(200, None, "<html><title>Sign in</title>")
    capturing = operation(capture=(Capture("return", value("{{ body.id }}")),))
    keyed = operation(capture=capturing.capture, idempotency_header="K")
    assert classify(capturing, REQUEST, page).result == "in_doubt"
    assert classify(keyed, REQUEST, page).result == "retry"
    assert classify(GET, REQUEST, page) == Outcome("retry", "200, but the body is no JSON: Sign in", "remote", 200)
    assert classify(PLAIN, REQUEST, page).result == "delivered", "nobody reads the answer"
    assert classify(capturing, REQUEST, response(204)).result == "delivered"


def rule(status: set[int] | None, when: str | None, outcome: Any, because: str = "", fault: Any = None) -> ResponseRule:
    return ResponseRule(frozenset(status) if status else None, value(when) if when else None, outcome, because, fault)


def test_the_first_rule_that_fits_wins() -> None:
    ruled = operation(
        responses=(
            rule({409}, "{{ body.code == 'DUPLICATE' }}", "delivered", "already announced"),
            rule({409}, None, "retry", "locked while being counted"),
            rule(None, "{{ body.error == 'SOFT' }}", "rejected"),
        )
    )
    duplicate = classify(ruled, REQUEST, response(409, {"code": "DUPLICATE"}))
    assert duplicate == Outcome("delivered", "already announced", None, 409)
    locked = classify(ruled, REQUEST, response(409, {"code": "LOCKED"}, retry_after="7"))
    assert locked == Outcome("retry", "locked while being counted", "transient", 409, 7.0)
    soft = classify(ruled, REQUEST, response(200, {"error": "SOFT"}))
    assert soft == Outcome("rejected", "200: SOFT", "data", 200)


@pytest.mark.parametrize("body", [None, {}, [], "text", 7])
def test_a_rule_that_cannot_be_worked_out_does_not_fit(body: Any) -> None:
    ruled = operation(responses=(rule({409}, "{{ body.code == 'DUPLICATE' }}", "delivered"),))
    assert classify(ruled, REQUEST, response(409, body)).result == "rejected"


def test_rules_see_the_request_and_the_settings() -> None:
    ruled = operation(
        responses=(
            rule(None, "{{ body.rma == request.body.rma and args.x == 1 and settings.eu }}", "rejected", "seen"),
        )
    )
    outcome = classify(ruled, REQUEST, response(200, {"rma": "R-1"}), args={"x": 1}, settings={"eu": True})
    assert outcome.because == "seen"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 0 "}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry_after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry_after": "Sun, 22 Nov 2026 15:00:30 GMT", "date": "Sun, 22 Nov 2026 15:00:00 GMT"}, 30.0),
        ({}, None),
    ],
)
def test_when_the_target_wants_to_be_asked_again(headers: dict[str, str], seconds: float | None) -> None:
    assert classify(PLAIN, REQUEST, response(429, {}, **headers), now=NOW).retry_after_s == seconds


@pytest.mark.parametrize(
    ("body", "text", "words"),
    [
        ({"message": "SKU  unknown\n"}, "", "SKU unknown"),
        ({"error": {"message": "no such order"}}, "", "no such order"),
        ({"error": "invalid"}, "", "invalid"),
        ({"errors": [{"message": "a"}, {"message": "b"}]}, "", "a"),
        ({"errors": ["x is missing"]}, "", "x is missing"),
        ({"errors": {"detail": "d"}}, "", "d"),
        ({"detail": "gone"}, "", "gone"),
        ([{"message": "in a list"}], "", "in a list"),
        ({"message": None, "title": "t"}, "", "t"),
        ({"message": ""}, "", ""),
        ("just text", "", ""),
        (None, "<html><head><title>502 Bad &amp; ugly</title></head>", "502 Bad & ugly"),
        (None, "<p>Not <b>here</b></p>", "Not here"),
        (None, "plain words", "plain words"),
        (None, "", ""),
    ],
)
def test_the_vendor_s_own_words(body: Any, text: str, words: str) -> None:
    assert vendor_message(response(400, body, text)) == words


def test_words_without_end_are_cut() -> None:
    assert len(classify(PLAIN, REQUEST, response(400, {"message": "a" * 5000})).because) == 300


@pytest.mark.parametrize("asked", ["1e999", "9" * 400, "1e18", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_target_that_wants_to_be_left_alone_for_ever_is_for_a_year(asked: str) -> None:
    found = classify(PLAIN, REQUEST, response(429, retry_after=asked), now=NOW)
    assert found.retry_after_s == 365 * 86400
