"""Any header, time and body: believed only with the proof that the secret makes, and never stumbled over."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.core.signatures import EXAMPLES, SCHEMES, build, problems
from app.core.times import parse_time
from app.errors import ConfigError
from tests.fuzz.kit import TEXTS, ends, fuzz, json_values
from tests.unit.signature_kit import NEW, kind_of, proof_of, proven

CONFIGS = [example.config for example in EXAMPLES if kind_of(example.config) != "none"]
NAMES = ("x-signature", "x-hub-signature", "x-hub-timestamp", "x-webhook-token", "authorization", "webhook-id",
         "webhook-timestamp", "webhook-signature", "x-hook-id", "x-hook-timestamp", "x-hook-signature")  # fmt: skip
PIECES = st.sampled_from(
    [
        *(
            "t=",
            "v1=",
            "v1,",
            "v0=",
            "sha512=",
            ",",
            ", ",
            " ",
            "=",
            ".",
            "Bearer ",
            "Basic ",
            "bearer",
            ":",
            "1795309200",
        ),
        *(
            "1795309200000",
            "2026-11-22T01:00:00Z",
            "0001-01-01T00:00:00+23:59",
            "0" * 64,
            "A" * 44,
            "AA==",
            "é",
            "\u0661",
        ),
        *("\x00", "\n", "\ud800", "-", "+", "_", "9" * 30),
    ]
)
VALUES = st.lists(PIECES, max_size=10).map("".join) | TEXTS


@fuzz
@given(st.sampled_from(CONFIGS), st.dictionaries(st.sampled_from(NAMES), VALUES), st.binary(max_size=50))
def test_no_headers_that_somebody_makes_up_are_believed(config: Any, headers: dict[str, str], body: bytes) -> None:
    scheme = build(proven(config).config)
    with ends():
        verdict = scheme.verify(headers, body, datetime(2026, 11, 22, 1, 0, tzinfo=UTC))
    assert not verdict.ok and verdict.cause


@fuzz
@given(st.sampled_from(CONFIGS), st.data())
def test_a_proof_with_anything_done_to_it_is_another_proof(config: Any, data: st.DataObject) -> None:
    message = proven(config)
    name, head, proof = proof_of(message)
    start, end = sorted((data.draw(st.integers(0, len(proof))), data.draw(st.integers(0, len(proof)))))
    other = proof[:start] + data.draw(PIECES | TEXTS | st.text("0123456789abcdefABCDEF+/=", max_size=4)) + proof[end:]
    changed = replace(message, headers={**message.headers, name: head + other})
    with ends():
        believed = changed.cause == ""
    # The same hex in capitals and blanks around it are the same proof, and so is a good one beside a bad one.
    same = other.strip().lower() == proof.lower() if kind_of(config) != "static_header" else other == proof
    if believed:
        assert same or proof in other
    if other == proof:
        assert believed


@fuzz
@given(st.sampled_from([one for one in CONFIGS if kind_of(one) in ("timed", "parts")]), VALUES)
def test_any_time_under_a_good_signature_is_fresh_or_refused(config: Any, stamp: str) -> None:
    scheme: Any = build(proven(config).config)
    digest = hmac.digest(NEW.encode(), scheme.timestamp.signed(stamp.encode("utf-8", "replace"), b"{}"), scheme.hash)
    text = digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode()
    headers = {scheme.header: scheme.parts.join(stamp, text)} if scheme.parts else {
        scheme.header: scheme.prefix + text, scheme.timestamp.header: stamp}  # fmt: skip
    now = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    with ends():
        verdict = scheme.verify(headers, b"{}", now)
    if verdict.ok:
        written = stamp.strip()
        if written.isdigit():
            sent = datetime.fromtimestamp(int(written) / (1000 if len(written) == 13 else 1), UTC)
        else:
            sent = parse_time(written)
        assert abs(sent - now) <= timedelta(minutes=5)


@fuzz
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *(
                    "scheme",
                    "header",
                    "encoding",
                    "secrets",
                    "prefix",
                    "hash",
                    "separator",
                    "timestamp",
                    "tokens",
                    "users",
                ),
                *("username", "password", "tolerance", "x"),
            ]
        ),
        json_values()
        | st.sampled_from(["hmac", "hex", "base64", "auto", "5m", ["a"], {"header": "X", "tolerance": "1s"}]),
    ),
    st.sampled_from(sorted(SCHEMES)),
    VALUES,
)
def test_any_block_is_a_scheme_or_told_without_its_secrets(config: dict, scheme: str, value: str) -> None:
    config = {"scheme": scheme, **config}
    with ends():
        found = problems(config)
        try:
            built = build(config)
        except ConfigError:
            assert found
            return
        assert not found
        headers = dict.fromkeys((*NAMES, "x"), value)
        built.verify(headers, b"{}", datetime(2026, 11, 22, 1, 0, tzinfo=UTC))
