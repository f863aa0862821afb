"""Any answer of a target means something: no status, header or body makes the hub stumble over it."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.core.connectors import ResponseRule
from app.core.outcomes import classify, retry_after, vendor_message
from app.core.retry import next_wait
from app.core.site import RetryPolicy
from app.model import NoResponse, Outcome, Request, Response
from tests.fuzz.kit import TEXTS, WORDS, ends, fuzz, json_values
from tests.unit.engine_kit import operation, value

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REQUEST = Request("acme_eu", "announce", "POST", "https://x/returns", {}, {"rma": "R-1"})
RULES = (
    ResponseRule(status=frozenset({409, 200}), when=value("{{ body.code == 'DUPLICATE' }}"), outcome="delivered"),
    ResponseRule(status=None, when=value("{{ body.items | length > 1 }}"), outcome="retry"),
    ResponseRule(status=None, when=value("{{ 'x' in body.error }}"), outcome="rejected"),
)
OPERATIONS = [
    operation(method, **more)
    for method in ("GET", "POST", "HEAD")
    for more in ({}, {"idempotency_header": "Idempotency-Key"}, {"responses": RULES})
]
KEYS = (
    st.sampled_from(["message", "error", "errors", "detail", "title", "summary", "description", "code", "items"])
    | TEXTS
)
TIMES = st.sampled_from(
    [
        *("0", "120", "-1", "1e999", "9" * 400, "1e18", "nan", "inf", "²", "\u0661", " 5 ", "5, 6", "0x10", "1_000"),
        *("Mon, 01 Jan 99999 00:00:00 GMT", "Sun, 22 Nov 2026 12:00:30 GMT", "Sun, 22 Nov 2026 12:00:30 -9999"),
        *("Fri, 31 Dec 9999 23:59:59 -2359", "Sat, 01 Jan 0001 00:00:00 +2359", "22 Nov", "Mon, 1", "", ":", ","),
        *("1 Jan 2026 1:1:1 +99999999", "Thu, 01 Jan 1970 00:00:00 GMT", "1 2 3 4 5 6 7", "Jan Jan Jan"),
        *("Sun, 06-Nov-94 08:49:37 GMT", "\x00", "\ud800"),
    ]
)
HEADERS = st.fixed_dictionaries({}, optional={"retry-after": TIMES | TEXTS, "date": TIMES | TEXTS, "location": TEXTS})
HTML = st.lists(
    st.sampled_from(
        [
            *(
                "<",
                ">",
                "<title",
                "<title>",
                "</title>",
                "<script",
                "<script>",
                "</script>",
                "<style>",
                "</style>",
                "<b>",
                "&",
            ),
            *(
                "&amp;",
                "&#0;",
                "&#x110000;",
                "&#" + "9" * 1500 + ";",
                "&#x" + "f" * 1000 + ";",
                "502",
                " ",
                "\n",
                "é",
                "\ud800",
            ),
        ]
    )
    | WORDS,
    max_size=30,
).map("".join)


def sound(outcome: Outcome) -> None:
    assert outcome.result in ("delivered", "retry", "rejected", "in_doubt", "review", "restart")
    assert len(outcome.because) <= 300
    assert (outcome.fault is None) == (outcome.result == "delivered")
    if outcome.retry_after_s is not None:
        assert math.isfinite(outcome.retry_after_s) and outcome.retry_after_s >= 0
        json.dumps(outcome.retry_after_s, allow_nan=False)


@fuzz
@given(
    st.sampled_from(OPERATIONS),
    st.integers(100, 599) | st.sampled_from([200, 204, 301, 401, 404, 409, 429, 500, 502, 503]),
    HEADERS,
    json_values(KEYS),
    HTML | TEXTS,
    st.sampled_from([NOW, None]),
)
def test_any_answer_has_an_outcome(asked: Any, status: int, headers: dict, body: Any, text: str, now: Any) -> None:
    answer = Response(status, headers, body, text[:2000], 5)
    with ends():
        sound(classify(asked, REQUEST, answer, args={"id": "1"}, settings={}, now=now))


@fuzz
@given(st.sampled_from(OPERATIONS), st.sampled_from(["connect", "timeout", "broken", "tls", "too_large", "refused"]),
       st.booleans(), TEXTS)  # fmt: skip
def test_no_answer_has_an_outcome_too(asked: Any, kind: Any, sent: bool, what: str) -> None:
    sound(classify(asked, REQUEST, NoResponse(kind, what, sent, 5)))


@fuzz
@given(HTML | TEXTS)
def test_any_page_has_words_on_one_line_or_none(text: str) -> None:
    with ends():
        words = vendor_message(Response(502, {}, None, text[:2000], 5))
    assert "\n" not in words and len(words) <= 2000 * 3


@fuzz
@given(TIMES | TEXTS, TIMES | TEXTS)
def test_any_wait_that_is_asked_for_is_a_number_that_can_be_waited(asked: str, date: str) -> None:
    wait = retry_after(Response(429, {"retry-after": asked, "date": date}, None, "", 5), NOW)
    assert wait is None or (0 <= wait <= 366 * 86400)
    waited = next_wait(RetryPolicy(), 1, wait, random.Random(1))
    assert waited is None or waited < 100 * 86400


def test_a_page_of_nothing_but_openings_is_no_trouble() -> None:
    for text in ("<", "<title>", "<script", "<style>", "<b", "&#"):
        with ends():
            vendor_message(Response(502, {}, None, (text * 2000)[:2000], 5))


def test_words_that_are_nested_deeply_are_found_or_left() -> None:
    body: Any = "too deep"
    for _ in range(400):
        body = [body]
    with ends():
        assert vendor_message(Response(400, {}, {"errors": body}, "", 5)) in ("too deep", "")
