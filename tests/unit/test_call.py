"""Calls: the exact request, the gate before it, the breaker behind it. The ledger is real, the target is not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.core.connectors import Limits
from app.errors import DataError
from app.model import NoResponse, Request
from app.pipeline.call import Blocked, Called, Caller
from app.pipeline.request import build_request
from tests.support import HandClock
from tests.unit.call_kit import Answer, Target, caller, ok, status
from tests.unit.engine_kit import connection, operation, value

# --- the request ---------------------------------------------------------------------------------


def built(path: str = "/returns", args: Any = None, body: Any = None, key: str = "", **more: Any) -> Request:
    found = operation(path=path, **more)
    return build_request(connection(found), found, args, body, key)


@pytest.mark.parametrize(
    ("given_id", "sent"),
    [
        ("#1004800", "%231004800"),
        ("a/b", "a%2Fb"),
        ("0000012E4", "0000012E4"),
        ("1e5", "1e5"),
        ("50% & more?", "50%25%20%26%20more%3F"),
        ("ü", "%C3%BC"),
        ("a..b", "a..b"),
        (12345678901234567890, "12345678901234567890"),
    ],
)
def test_a_value_in_a_path_stays_one_segment(given_id: Any, sent: str) -> None:
    request = built("/orders/{{ args.id }}/lines", {"id": given_id})
    assert request.url == f"https://api.acme.example/v2/orders/{sent}/lines"


@pytest.mark.parametrize("empty", ["", ".", "..", None])
def test_an_empty_id_never_turns_one_return_into_all(empty: Any) -> None:
    with pytest.raises(DataError) as caught:
        built("/orders/{{ args.id }}", {"id": empty})
    assert caught.value.path == "path"
    assert caught.value.where == "connectors/acme/connector.yaml:7"


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
def test_any_id_comes_back_out_of_the_url(text: str) -> None:
    from urllib.parse import unquote

    try:
        text.encode()
    except UnicodeEncodeError:
        return
    url = built("/orders/{{ args.id }}/x", {"id": text}).url
    segment = url.removeprefix("https://api.acme.example/v2/orders/").removesuffix("/x")
    assert "/" not in segment
    assert unquote(segment) == text


def test_filters_work_on_the_value_before_it_is_escaped() -> None:
    request = built("/orders/{{ args.id | strip_prefix('#') }}", {"id": "#1004800"})
    assert request.url.endswith("/orders/1004800")


def test_a_query_repeats_lists_and_leaves_out_what_is_nothing() -> None:
    query = value({"expand": ["a", "b"], "id": "{{ args.id }}", "none": None, "yes": True, "n": 7, "o": "{{ omit }}"})
    request = built(args={"id": "#1 &"}, query=query)
    assert request.url == "https://api.acme.example/v2/returns?expand=a&expand=b&id=%231%20%26&yes=true&n=7"


def test_headers_and_the_idempotency_key() -> None:
    headers = value({"X-Tenant": "{{ settings.tenant }}", "X-None": None, "X-Big": "{{ args.big }}"})
    request = built(
        args={"big": Decimal("1.50")},
        body={"a": 1},
        key="dlv_1.0",
        headers=headers,
        idempotency_header="Idempotency-Key",
    )
    assert request.headers == {
        "Accept": "application/json",
        "User-Agent": "backhaul",
        "Content-Type": "application/json",
        "X-Tenant": "a b",
        "X-Big": "1.50",
        "Idempotency-Key": "dlv_1.0",
    }


def test_a_secret_cannot_be_written_into_a_url() -> None:
    with pytest.raises(DataError, match="token"):
        built("/x/{{ settings.token }}")


@pytest.mark.parametrize("base", ["", "api.acme.example", "file:///etc/passwd", "https://", None])
def test_without_a_usable_base_url_nothing_is_built(base: Any) -> None:
    found = operation()
    with pytest.raises(DataError, match="base_url"):
        build_request(connection(found, base_url=base), found, {})


# --- the call ------------------------------------------------------------------------------------


def test_a_call_gives_all_that_an_attempt_keeps(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    made = caller(ledger, clock, target, idempotency_header="Idempotency-Key")
    called = made.call("acme_eu", "announce", {}, body={"rma": "R-1"}, idempotency_key="dlv_1.0")
    assert isinstance(called, Called)
    used = {"order": {"from": "1", "to": "2"}}
    attempt = called.attempt(SystemIds(), "call", 3, delivery_id="dlv_1", step=1, used=used)
    assert attempt.request == {
        "method": "POST",
        "url": "https://api.acme.example/v2/returns",
        "headers": dict(target.requests[0].headers),
        "body": {"rma": "R-1"},
        "references": used,
    }
    assert attempt.response["status"] == 200
    assert (attempt.number, attempt.step, attempt.delivery_id, attempt.at) == (3, 1, "dlv_1", clock.now())
    assert "s3cret" not in str(attempt)


def test_no_answer_is_kept_as_what_it_was(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    target.answer = lambda request: NoResponse("timeout", "no complete answer within 20 s", True, 20_000)
    called = caller(ledger, clock, target).call("acme_eu", "announce", {})
    assert isinstance(called, Called)
    assert called.response is None
    kept = called.attempt(SystemIds(), "lookup", 1, delivery_id="dlv_1").response
    assert kept == {"error": "timeout", "what": "no complete answer within 20 s", "sent": True}


@pytest.mark.parametrize(("name", "op"), [("nobody", "announce"), ("acme_eu", "nothing")])
def test_what_does_not_exist_is_named(ledger: Ledger, clock: HandClock, name: str, op: str) -> None:
    with pytest.raises(DataError):
        caller(ledger, clock, Target()).call(name, op, {})


def test_refused_credentials_pause_the_connection_at_once(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    target.answer = status(401)
    made = caller(ledger, clock, target)
    called = made.call("acme_eu", "announce", {})
    assert isinstance(called, Called)
    assert called.outcome.pause
    for _ in range(3):
        blocked = made.call("acme_eu", "announce", {})
        assert isinstance(blocked, Blocked)
        assert blocked.until is None
        assert "credentials refused" in blocked.because
    assert len(target.requests) == 1
    assert ledger.lane_state("acme_eu").paused
    target.answer = status(200)
    ledger.resume("acme_eu", "jo")
    clock.move(1)
    assert isinstance(made.call("acme_eu", "announce", {}), Called)


def test_a_target_that_asks_for_time_gets_it(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    target.answer = status(429, retry_after="7")
    made, other = caller(ledger, clock, target), caller(ledger, clock, target)
    assert isinstance(made.call("acme_eu", "announce", {}), Called)
    for anyone in (made, other):
        blocked = anyone.call("acme_eu", "announce", {})
        assert isinstance(blocked, Blocked)
        assert blocked.until == clock.now() + timedelta(seconds=7)
    target.answer = status(200)
    clock.move(7.1)
    assert isinstance(made.call("acme_eu", "announce", {}), Called)
    assert isinstance(made.call("acme_eu", "announce", {}), Called), "afterwards no trial is needed"


def fail(made: Caller, times: int) -> None:
    for _ in range(times):
        assert isinstance(made.call("acme_eu", "announce", {}), Called)


def test_the_breaker_opens_tries_once_and_closes(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    target.answer = status(503)
    made, other = caller(ledger, clock, target), caller(ledger, clock, target)
    fail(made, 3)
    for anyone in (made, other):
        blocked = anyone.call("acme_eu", "announce", {})
        assert isinstance(blocked, Blocked)
        assert blocked.until == clock.now() + timedelta(seconds=30)
        assert "3 failures in a row, the last: 503: no" in blocked.because

    clock.move(30.1)
    fail(made, 1)
    assert len(target.requests) == 4
    again = made.call("acme_eu", "announce", {})
    assert isinstance(again, Blocked)
    assert again.until == clock.now() + timedelta(seconds=60), "each time it opens for longer"

    clock.move(60.1)
    fail(other, 1)
    clock.move(99)
    assert isinstance(made.call("acme_eu", "announce", {}), Blocked)
    clock.move(2)
    target.answer = status(200)
    fail(made, 3)
    assert ledger.lane_state("acme_eu").opened_times == 0
    clock.move(1)
    fail(other, 1)


def test_only_one_call_tries_a_target_that_was_down(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    target.answer = status(503)
    made, other = caller(ledger, clock, target), caller(ledger, clock, target)
    fail(made, 3)
    clock.move(31)
    seen: list[Any] = []

    def during_the_trial(request: Request) -> Answer:
        seen.append(other.call("acme_eu", "announce", {}))
        return ok({})

    target.answer = during_the_trial
    assert isinstance(made.call("acme_eu", "announce", {}), Called)
    assert isinstance(seen[0], Blocked)
    assert "a trial call is under way" in seen[0].because
    target.answer = status(200)
    clock.move(1)
    assert isinstance(other.call("acme_eu", "announce", {}), Called)


@pytest.mark.parametrize("alive", [200, 400, 404, 409, 422])
def test_a_clear_no_is_as_alive_as_a_yes(ledger: Ledger, clock: HandClock, alive: int) -> None:
    target = Target()
    made = caller(ledger, clock, target)
    for number in (503, 503, alive, 503, 503, alive):
        target.answer = status(number)
        fail(made, 1)
    assert ledger.lane_state("acme_eu").failures == 0


def test_calls_that_were_never_sent_open_the_breaker_too(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    target.answer = lambda request: NoResponse("connect", "no connection: Connection refused", False, 3)
    made = caller(ledger, clock, target)
    fail(made, 3)
    assert isinstance(made.call("acme_eu", "announce", {}), Blocked)


def test_a_call_beyond_the_rate_is_put_back(ledger: Ledger, clock: HandClock) -> None:
    made = caller(ledger, clock, Target(), limits=Limits(rate=0.01))
    assert isinstance(made.call("acme_eu", "announce", {}), Called)
    blocked = made.call("acme_eu", "announce", {})
    assert isinstance(blocked, Blocked)
    assert blocked.because == "its rate is used up"
    assert blocked.until is not None
    assert 90 < (blocked.until - clock.now()).total_seconds() < 120


# --- lists ---------------------------------------------------------------------------------------
