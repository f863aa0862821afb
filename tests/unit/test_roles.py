"""Who is let into the API, what each role may do there, and what is told to who is not let in."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.core.api_tokens import ROLES
from app.errors import LedgerUnavailable
from app.web.app import CLOSE, create_app
from app.web.auth import BELIEVED_S
from tests.support import eventually
from tests.unit.door_kit import TOKEN, Services, make_site

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FROB")
ELSEWHERE = ("/api", "/api/", "/api/nothing", "/api/tokens/x/y", "/api//events", "//api/events", "/api/events/")
ELSEWHERE += ("/api/%00", "/api/é", "/api/returns/a/b", "/api/../healthz")


def api_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api")]


def path_of(rule: Rule) -> str:
    return re.sub(r"<[^>]+>", "x", rule.rule)


def ask(app: Flask, method: str, path: str, token: str = "", **more: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # The path as the server hands it over: the client would take "//api" for a host.
    return app.test_client().open("/", method=method, headers=headers, environ_overrides={"PATH_INFO": path}, **more)


def token_of(services: Services, role: Any, name: str = "") -> str:
    return str(services.ledger.new_api_token(name or role, role, "test", None)[1])


def told(response: TestResponse) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    return response.status_code, response.data, tuple(sorted(response.headers.items()))


def bad_tokens(services: Services) -> dict[str, str]:
    """What does not open the API, by the word of the log for it."""
    ledger, soon = services.ledger, services.clock.now() + timedelta(seconds=1)
    wrong = ledger.new_api_token("wrong", "admin", "test", None)[1]
    bad = {
        "missing": "",
        "wrong": wrong[:-1] + ("0" if wrong[-1] != "0" else "1"),
        "unknown": f"bh_{'0' * 16}_{'0' * 64}",
        "garbage": "x" * 10_000,
        "revoked": ledger.new_api_token("revoked", "admin", "test", None)[1],
        "expired": ledger.new_api_token("expired", "admin", "test", soon)[1],
    }
    ledger.revoke_api_token("revoked", "test")
    services.clock.move(1)
    return bad


def test_who_is_not_let_in_gets_one_answer_whatever_is_there(app: Flask, services: Services) -> None:
    paths = {path_of(rule) for rule in api_rules(app)} | set(ELSEWHERE)
    assert len(paths) > 20
    bad = bad_tokens(services)
    for method in METHODS:
        tokens = list(bad.values()) if method in ("GET", "POST") else [bad["missing"], bad["revoked"]]
        answers = {told(ask(app, method, path, token)) for token in tokens for path in paths}
        ((status, _, headers),) = answers
        assert status == 401 and ("Cache-Control", "no-store") in headers


def test_who_is_not_let_in_has_nothing_looked_up_but_his_token(app: Flask, services: Services) -> None:
    wrong = bad_tokens(services)["wrong"]
    asked: list[str] = []

    class Listening:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(ledger, name)

    ledger, services.ledger = services.ledger, Listening()
    listening = create_app(services)
    asked.clear()
    for rule in api_rules(listening):
        for method in METHODS:
            asked.clear()
            assert ask(listening, method, path_of(rule)).status_code == 401 and asked == []
            assert ask(listening, method, path_of(rule), wrong).status_code == 401
            assert set(asked) <= {"api_token"}
    listening.extensions[CLOSE]()


def test_what_was_wrong_with_a_token_is_told_to_the_log_alone_and_without_it(app: Flask, services: Services) -> None:
    for cause, token in bad_tokens(services).items():
        services.clock.move(5)
        with capture_logs() as lines:
            assert ask(app, "GET", "/api/events", token).status_code == 401
        refused = [line for line in lines if line["event"] == "api.refused"]
        known = {"unknown": "wrong", "garbage": "wrong"}.get(cause, cause)
        assert [line["cause"] for line in refused] == ([] if cause == "missing" else [known])
        assert not token or token not in str(lines)
        if known in ("revoked", "expired"):
            assert refused[0]["who"].startswith(f"{known} (tok_")


def test_a_flood_of_wrong_tokens_is_one_line_a_second(app: Flask, services: Services) -> None:
    with capture_logs() as lines:
        for _ in range(50):
            ask(app, "GET", "/api/events", "guess")
        services.clock.move(1)
        ask(app, "GET", "/api/events", "guess")
    assert [line["untold"] for line in lines if line["event"] == "api.refused"] == [0, 49]


def test_each_role_may_do_what_it_is_for_and_no_more(app: Flask, services: Services) -> None:
    """Every route is asked with every role: reading needs a reader, an act an operator, tokens an admin."""
    tokens = {role: token_of(services, role) for role in ROLES}
    seen = set()
    for rule in api_rules(app):
        for method in sorted(rule.methods or ()):
            reads = method in ("GET", "HEAD", "OPTIONS")
            needed = "reader" if reads else "admin" if rule.rule.startswith("/api/tokens") else "operator"
            for role, token in tokens.items():
                response = ask(app, method, path_of(rule), token, json=None if reads else {})
                refused = ROLES.index(role) < ROLES.index(needed)  # type: ignore[arg-type]
                assert (response.status_code == 403) is refused, (method, rule.rule, role)
                assert response.status_code != 401 and response.headers["Cache-Control"] == "no-store"
                if refused:
                    error = response.json["error"]
                    assert error["code"] == "forbidden" and f"the role {needed}" in error["message"]
                seen.add((needed, role, refused))
    assert len(seen) == 9
    assert [row["act"] for row in services.ledger.acts()] == ["token new"] * 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "FROB"])
def test_a_reader_does_not_learn_by_acts_what_is_there(app: Flask, services: Services, method: str) -> None:
    token = token_of(services, "reader")
    paths = ("/api/events/x/retry", "/api/nothing", "/api/connections/wms/pause", "/api/tokens")
    assert {ask(app, method, path, token).status_code for path in paths} == {403}


def test_the_token_of_the_files_is_an_admin(app: Flask, services: Services) -> None:
    made = ask(app, "POST", "/api/tokens", TOKEN, json={"name": "ann", "role": "reader", "expires": "90d"})
    assert made.status_code == 201 and made.json["made_by"] == "api_token of hub.yaml"
    assert ask(app, "GET", "/api/events", made.json["token"]).status_code == 200
    (row,) = ask(app, "GET", "/api/tokens", TOKEN).json["tokens"]
    assert (row["name"], row["role"], row["state"]) == ("ann", "reader", "live")
    assert row["expires_at"] == "2027-02-20T12:00:00.000Z" and "token" not in row and "digest" not in row
    secret = made.json["token"].rpartition("_")[2]
    everything = [ask(app, "GET", path, TOKEN).text for path in ("/api/tokens", "/api/audit")]
    assert all(secret not in text for text in everything)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad_role"),
        ({"role": "king", "name": "ann"}, "bad_role"),
        ({"role": ["admin"], "name": "ann"}, "bad_role"),
        ({"role": "reader"}, "bad_body"),
        ({"role": "reader", "name": 7}, "bad_body"),
        ({"role": "reader", "name": "ann", "expires": 90}, "bad_body"),
        ({"role": "reader", "name": "ann@shop.example"}, "bad_token"),
        ({"role": "reader", "name": "taken"}, "bad_token"),
        *(
            ({"role": "reader", "name": "ann", "expires": text}, "bad_expires")
            for text in ("soon", "0s", "9" * 200 + "d", "99999999d", "-1d", "")
        ),
    ],
)
def test_a_token_that_cannot_be_made_is_refused_with_the_reason(
    app: Flask, services: Services, body: dict[str, Any], code: str
) -> None:
    token_of(services, "reader", "taken")
    response = ask(app, "POST", "/api/tokens", TOKEN, json=body)
    assert (response.status_code, response.json["error"]["code"]) == (400, code)
    assert len(services.ledger.api_tokens()) == 1


def test_a_token_is_revoked_through_the_api_at_once_and_once(app: Flask, services: Services) -> None:
    made, token = services.ledger.new_api_token("ann", "admin", "test", None)
    assert ask(app, "GET", "/api/events", token).status_code == 200
    path = f"/api/tokens/{made.token_id}/revoke"
    assert ask(app, "POST", path, TOKEN).json["state"] == "revoked"
    assert ask(app, "GET", "/api/events", token).status_code == 401
    again = ask(app, "POST", path, TOKEN)
    assert (again.status_code, again.json["error"]["code"]) == (409, "not_revoked")
    assert ask(app, "POST", "/api/tokens/tok_none/revoke", TOKEN).status_code == 404


@contextmanager
def another_process(services: Services) -> Iterator[Flask]:
    made = create_app(services)
    yield made
    made.extensions[CLOSE]()


def test_a_revoke_bites_in_every_process_within_two_seconds(app: Flask, services: Services) -> None:
    assert BELIEVED_S <= 2
    token = token_of(services, "reader", "ann")
    with another_process(services) as other:
        for one in (app, other):
            assert ask(one, "GET", "/api/events", token).status_code == 200
        services.ledger.revoke_api_token("ann", "test")
        services.clock.move(BELIEVED_S)
        for one in (app, other):
            assert ask(one, "GET", "/api/events", token).status_code == 401


def test_a_token_that_expires_does_so_at_its_time_however_lately_it_was_looked_up(
    app: Flask, services: Services
) -> None:
    _, token = services.ledger.new_api_token("ann", "reader", "test", services.clock.now() + timedelta(seconds=1))
    assert ask(app, "GET", "/api/events", token).status_code == 200
    services.clock.move(1)
    assert ask(app, "GET", "/api/events", token).status_code == 401


def test_a_token_in_steady_use_is_looked_up_once_in_a_while(app: Flask, services: Services) -> None:
    token, ledger, asked = token_of(services, "reader"), services.ledger, []
    real = ledger.api_token
    ledger.api_token = lambda token_id: (asked.append(token_id), real(token_id))[1]
    for _ in range(30):
        ask(app, "GET", "/api/events", token)
    assert len(asked) == 1
    services.clock.move(BELIEVED_S)
    ask(app, "GET", "/api/events", token)
    assert len(asked) == 2


def test_the_last_use_of_a_token_is_kept(app: Flask, services: Services) -> None:
    made, token = services.ledger.new_api_token("ann", "reader", "test", None)
    ask(app, "GET", "/api/events", token)
    eventually(lambda: services.ledger.api_token(made.token_id).used_at == services.clock.now(), 10)
    (row,) = ask(app, "GET", "/api/tokens", TOKEN).json["tokens"]
    assert row["used_at"] == "2026-11-22T12:00:00.000Z"


def test_a_ledger_that_is_busy_keeps_no_request_waiting_and_the_next_use_is_noted(
    app: Flask, services: Services
) -> None:
    made, token = services.ledger.new_api_token("ann", "reader", "test", None)
    free, tried = threading.Event(), threading.Event()
    real = services.ledger.used_api_token

    def busy(token_id: str) -> None:
        tried.set()
        assert free.wait(10)
        raise LedgerUnavailable("busy")

    services.ledger.used_api_token = busy
    # It is answered while the ledger is still busy with the note.
    for _ in range(3):
        assert ask(app, "GET", "/api/events", token).status_code == 200
    assert tried.wait(10)
    services.ledger.used_api_token = real
    free.set()

    def noted() -> object:
        assert ask(app, "GET", "/api/events", token).status_code == 200
        return services.ledger.api_token(made.token_id).used_at

    eventually(noted, 10)


def test_a_ledger_that_is_away_is_a_503_for_a_token_and_still_a_401_without(app: Flask, services: Services) -> None:
    token = token_of(services, "reader")
    services.ledger.gone = True
    for path in ("/api/events", "/api/nothing"):
        assert ask(app, "GET", path).status_code == 401
        assert ask(app, "GET", path, token).status_code == 503


def test_metrics_are_for_all_or_for_holders_of_a_token_as_the_files_say(app: Flask, services: Services) -> None:
    assert ask(app, "GET", "/metrics").status_code == 200
    services.site = make_site(metrics="token")
    with another_process(services) as shut:
        for path in ("/metrics", "/metrics/", "//metrics"):
            assert told(ask(shut, "GET", path)) == told(ask(shut, "GET", "/api/events"))
        assert "backhaul_ledger_up" in ask(shut, "GET", "/metrics", token_of(services, "reader")).text


def test_health_names_nothing_of_the_site(app: Flask) -> None:
    assert ask(app, "GET", "/healthz").json == {"alive": True}
    assert ask(app, "GET", "/readyz").json == {"ready": False, "ledger": "ok", "clock": "stopped"}
