"""Signatures whose header holds the time too, and one signature for each active secret."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.signatures import problems, sign, verify

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
BODY = b'{"id":1}'
PLAIN: dict[str, Any] = {
    "scheme": "hmac",
    "header": "X-Signature",
    "encoding": "base64",
    "separator": ", ",
    "secrets": ["new", "old"],
    "timestamp": {"tolerance": "5m", "form": "any"},
}
WORDED: dict[str, Any] = {
    **PLAIN,
    "encoding": "hex",
    "separator": ",",
    "prefix": "v1=",
    "timestamp": {"prefix": "t=", "tolerance": "5m"},
}


def digest(secret: str, stamp: str = STAMP) -> bytes:
    return hmac.digest(secret.encode(), f"{stamp}.".encode() + BODY, "sha256")


def b64(secret: str, stamp: str = STAMP) -> str:
    return base64.b64encode(digest(secret, stamp)).decode()


def cause(config: dict[str, Any], header: str, now: datetime = NOW) -> str:
    """Why the message is not believed; "" when it is."""
    verdict = verify(config, {"x-signature": header}, BODY, now)
    return "" if verdict.ok else verdict.cause


@pytest.mark.parametrize(
    "header",
    [
        f"{STAMP}, {b64('new')}",
        f"{STAMP},{b64('old')}",
        f" {STAMP} , {b64('other')} ,{b64('old')}, ",
        f"{STAMP}, nonsense, {b64('new')}",
    ],
)
def test_each_part_behind_the_time_is_tried_against_each_secret(header: str) -> None:
    assert cause(PLAIN, header) == ""


@pytest.mark.parametrize(
    "header",
    [
        STAMP,
        f"{STAMP},",
        f"{b64('new')}",
        f"{STAMP}, {b64('other')}",
        f"{STAMP}, {digest('new').hex()}",
        f"x, {b64('new')}",
    ],
)
def test_what_lacks_a_part_or_is_signed_by_somebody_else_is_refused(header: str) -> None:
    assert cause(PLAIN, header) == "bad signature"


def test_without_a_time_before_the_signature_there_is_none() -> None:
    assert cause(PLAIN, f", {b64('new', '')}") == "missing timestamp"


def test_words_before_the_parts_make_their_order_free_and_other_words_are_passed_over() -> None:
    for header in (
        f"t={STAMP},v1={digest('new').hex()}",
        f"v1={digest('old').hex()},t={STAMP}",
        f"t={STAMP},v0=abc,v1={'0' * 64},v1={digest('new').hex()}",
    ):
        assert cause(WORDED, header) == ""
    assert cause(WORDED, f"t={STAMP},v0={digest('new').hex()}") == "bad signature"
    assert cause(WORDED, f"v1={digest('new').hex()}") == "bad signature"


@pytest.mark.parametrize("stamp", [STAMP, f"{STAMP}000", "2026-11-22T01:00:00Z", "2026-11-22T02:00:00.16798+01:00"])
def test_the_time_is_signed_as_it_stands_and_read_in_several_forms(stamp: str) -> None:
    header = f"{stamp}, {b64('new', stamp)}"
    assert cause(PLAIN, header) == ""
    assert cause(PLAIN, header, NOW + timedelta(minutes=6)) == "timestamp outside tolerance"
    assert cause(PLAIN, header, NOW - timedelta(minutes=6)) == "timestamp outside tolerance"


@pytest.mark.parametrize("stamp", ["yesterday", "99999999999999", "2026-13-45T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_nobody_can_read_is_no_fresh_one(stamp: str) -> None:
    header = f"{stamp}, {b64('new', stamp)}"
    assert cause(PLAIN, header) == "timestamp outside tolerance"
    assert cause({**PLAIN, "timestamp": {"tolerance": 0, "form": "any"}}, header) == ""


def test_only_seconds_are_a_time_unless_any_form_is() -> None:
    assert cause({**PLAIN, "timestamp": {}}, f"{STAMP}000, {b64('new', STAMP + '000')}") == "bad signature"


def test_no_more_than_twenty_signatures_are_compared() -> None:
    assert cause(PLAIN, ",".join([STAMP, *[b64("other")] * 20, b64("new")])) == "bad signature"


@given(st.text(max_size=80))
def test_no_header_makes_it_fail(header: str) -> None:
    for config in (PLAIN, WORDED):
        assert cause(config, header)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"timestamp": None}, "verify.separator needs a timestamp block"),
        ({"separator": ""}, "verify.separator is missing"),
        ({"timestamp": {"header": "X-Time"}}, "verify.timestamp.header is unknown here"),
        ({"timestamp": {"form": "iso"}}, "verify.timestamp.form is 'iso'"),
        ({"timestamp": {"tolerance": "-5m"}}, "verify.timestamp.tolerance is wrong"),
    ],
)
def test_what_cannot_be_meant_is_told(change: dict[str, Any], told: str) -> None:
    assert any(told in problem for problem in problems({**PLAIN, **change}))


def test_the_first_secret_signs_in_the_same_form() -> None:
    assert sign(PLAIN, BODY, NOW) == {"x-signature": f"{STAMP}, {b64('new')}"}
    assert sign(WORDED, BODY, NOW) == {"x-signature": f"t={STAMP},v1={digest('new').hex()}"}
