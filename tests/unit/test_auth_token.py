"""The auth scheme `token`: what an answer of a login means, what is sent for one, and what hides it."""

from __future__ import annotations

import io
import logging
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.adapters import log
from app.adapters.http_request import write_request
from app.core.auth_token import FORM, Token, TokenAuth, TokenCall, problems, read_token, token_request
from app.core.expressions import Value, compile_value
from app.core.masking import without
from app.errors import DataError
from app.model import Request
from tests.unit.http_kit import WHERE

NOW = 1_000_000.0


def value(node: Any) -> Value:
    """A compiled value."""
    return compile_value(node, where=WHERE, names=frozenset({"settings", "body", "refresh_token"}))


def call(**more: Any) -> TokenCall:
    """A login as `{token, refresh, lasts}` answers it."""
    given: dict[str, Any] = {
        "url": "{{ settings.url }}",
        "json": None,
        "form": None,
        "headers": None,
        "token": "{{ body.token }}",
        "refresh_token": "{{ body.refresh | default(none) }}",
        "expires_in": "{{ body.lasts }}",
        **more,
    }
    return TokenCall(**{name: value(node) if node is not None else None for name, node in given.items()})


AUTH = TokenAuth(call())


@given(
    st.integers(121, 10**8),
    st.sampled_from([str, int, Decimal, lambda lasts: f"{lasts}.0", lambda lasts: f" {lasts} "]),
)
def test_seconds_are_read_from_text_and_number_alike(lasts: int, spelled: Any) -> None:
    token = read_token(AUTH, AUTH.login, {"token": "t", "lasts": spelled(lasts)}, NOW)
    assert (token.ends_at, token.renew_at) == (NOW + lasts, NOW + lasts - 60)


@given(st.floats(0.001, 120))
def test_a_short_lived_token_is_not_renewed_with_every_call(lasts: float) -> None:
    token = read_token(AUTH, AUTH.login, {"token": "t", "lasts": str(lasts)}, NOW)
    assert NOW < token.renew_at < token.ends_at


@pytest.mark.parametrize("lasts", ["", "soon", "-1", 0, True, None, [], "nan", "inf", "1e30"])
def test_a_time_that_is_none_is_refused(lasts: Any) -> None:
    with pytest.raises(DataError, match="expires_in"):
        read_token(AUTH, AUTH.login, {"token": "t", "lasts": lasts}, NOW)


@pytest.mark.parametrize("token", ["", " ", None, 7, "a\nb", "a\r\nX: 1", "tökén", {}])
def test_what_cannot_be_a_header_is_no_token(token: Any) -> None:
    with pytest.raises(DataError, match="holds no token"):
        read_token(AUTH, AUTH.login, {"token": token, "lasts": 60}, NOW)


def test_without_a_time_it_is_used_until_it_is_refused() -> None:
    token = read_token(AUTH, call(expires_in=None), {"token": "t"}, NOW)
    assert token.renew_at > NOW + 3600


def test_what_renews_it_stays_when_no_new_one_comes() -> None:
    assert read_token(AUTH, AUTH.login, {"token": "t", "lasts": 60}, NOW, "old").refresh == "old"
    assert read_token(AUTH, AUTH.login, {"token": "t", "lasts": 60, "refresh": "new"}, NOW, "old").refresh == "new"


@given(st.text(), st.text(), st.floats(0, 1e10), st.floats(0, 1e10))
def test_processes_pass_it_on_as_it_is(text: str, refresh: str, renew_at: float, ends_at: float) -> None:
    token = Token(text, renew_at, ends_at, refresh)
    assert Token.from_json(token.to_json()) == token


@pytest.mark.parametrize("told", [None, {}, [], "x", {"value": "t"}, {**Token("t", 1, 2).to_json(), "ends_at": "soon"}])
def test_what_is_no_token_is_not_taken_for_one(told: Any) -> None:
    with pytest.raises(DataError):
        Token.from_json(told)


def test_a_token_shows_in_no_text() -> None:
    assert "s3cret" not in repr(Token("s3cret", 1, 2, "s3cret-too"))


@pytest.mark.parametrize("url", ["", "login.example", "ftp://login.example", "https://", "https://me@login.example/"])
def test_what_is_no_address_is_told_before_the_hub_starts(url: str) -> None:
    (fault,) = problems(AUTH, {"url": url})
    assert fault.startswith("login.url: is no address")
    assert problems(AUTH, {"url": "https://login.example/x?key=1"}) == []


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers()))
def test_a_form_arrives_as_it_was_meant(fields: dict[str, Any]) -> None:
    request = token_request(
        "acme", call(form={"$$x": "{{ settings.x }}"}), {"url": "https://login.example/t", "x": "1"}
    )
    assert request.headers["Content-Type"] == FORM
    headers = {"Content-Type": FORM}
    body = write_request(Request("acme", "login", "POST", "https://login.example/t", headers, fields), {})[1]
    sent = body.partition(b"\r\n\r\n")[2].decode("ascii")
    assert parse_qsl(sent, keep_blank_values=True) == [(key, str(item)) for key, item in fields.items()]


def test_a_form_of_more_than_texts_is_not_sent() -> None:
    with pytest.raises(DataError):
        write_request(Request("acme", "login", "POST", "https://l.example/", {"Content-Type": FORM}, {"a": [1]}), {})


def test_hiding_a_token_touches_nothing_else() -> None:
    body = {"email": "anna@acme.example", "list": ["a tok b", 7, None], "tok": {"x": True}}
    assert without(body, ["tok"]) == {"email": "anna@acme.example", "list": ["a *** b", 7, None], "***": {"x": True}}
    assert without(body, ["other", ""]) is body


def test_the_log_hides_secrets_that_come_later_and_forgets_old_ones() -> None:
    stream, handlers, level = io.StringIO(), logging.root.handlers[:], logging.root.level
    try:
        log.configure("text", secrets=["first-one"], stream=stream)
        for number in range(3):
            log.hide("acme", f"token-{number}")
        log.get_log("worker").info("x", told="first-one token-0 token-1 token-2")
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:], logging.root.level = handlers, level
    assert 'told="[secret] token-0 [secret] [secret]"' in stream.getvalue()
