"""The signature schemes: what is believed, what is not, and what keeps the hub from starting."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import signatures
from app.core.signatures import EXAMPLES, SCHEMES, build, problems, sign, verify
from app.errors import ConfigError

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
BODY = b'{"event":"shipment.label_created","data":{"id":"s-1","returnOrderId":"ro-1"}}'
HEX = "7d153f921e84fd67bc60d9d3613d88064be43846b2c0649f6c9443c9bf1a0f87"
BASE64 = "fRU/kh6E/We8YNnTYT2IBkvkOEaywGSfbJRDyb8aD4c="
HMAC = {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": "test-secret"}
STAMPED = {
    "scheme": "hmac",
    "header": "X-Signature",
    "hash": "sha512",
    "encoding": "base64",
    "prefix": "v1=",
    "secrets": ["one", "two"],
    "timestamp": {"header": "X-Time", "tolerance": "5m", "template": "{timestamp}.{body}"},
}
STANDARD = {"scheme": "standard_webhooks", "secrets": ["whsec_" + base64.b64encode(b"k" * 24).decode()]}
SIGNED = [HMAC, {**HMAC, "encoding": "base64"}, {**HMAC, "encoding": "auto"}, STAMPED, STANDARD]


def ok(config: object, headers: dict[str, str], body: bytes = BODY, now: datetime = NOW) -> bool:
    return verify(config, headers, body, now).ok


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_every_example_is_believed_and_has_no_problem(example: signatures.Example) -> None:
    assert problems(example.config) == []
    assert verify(example.config, example.headers, example.body, example.now).ok


def test_every_scheme_has_an_example() -> None:
    assert {example.config["scheme"] for example in EXAMPLES} | {"hmac"} == set(SCHEMES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_what_a_scheme_signs_it_believes(example: signatures.Example) -> None:
    assert ok(example.config, sign(example.config, example.body, NOW), example.body)


@given(st.binary(max_size=300), st.sampled_from(SIGNED), st.data())
def test_any_body_is_believed_and_any_changed_byte_is_not(body: bytes, config: dict, data: st.DataObject) -> None:
    headers = sign(config, body, NOW)
    assert ok(config, headers, body)
    position = data.draw(st.integers(0, len(body)))
    byte = bytes([data.draw(st.integers(0, 255))])
    changed = body[:position] + byte + body[position + 1 :]
    assert ok(config, headers, changed) == (changed == body)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), min_size=1), st.sampled_from(SIGNED))
def test_the_same_json_written_otherwise_is_not_believed(value: dict, config: dict) -> None:
    sent = json.dumps(value, separators=(",", ":")).encode()
    headers = sign(config, sent, NOW)
    assert not ok(config, headers, json.dumps(value, indent=1).encode())


def test_the_known_vector_passes_in_hex_and_base64() -> None:
    assert ok(HMAC, {"x-signature": HEX})
    assert ok(HMAC, {"x-signature": HEX.upper()})
    assert ok({**HMAC, "encoding": "base64"}, {"x-signature": BASE64})
    assert not ok(HMAC, {"x-signature": BASE64})
    assert not ok({**HMAC, "encoding": "base64"}, {"x-signature": HEX})
    assert ok({**HMAC, "encoding": "auto"}, {"x-signature": HEX})
    assert ok({**HMAC, "encoding": "auto"}, {"x-signature": BASE64})


@pytest.mark.parametrize("encoding", ["hex", "base64", "auto"])
@pytest.mark.parametrize(
    "value",
    [
        "", " ", HEX[:-1], HEX + "0", HEX[:-1] + "g", "ä" * 64, "\u0661" * 64, "日本", "\udc80" * 44, BASE64 + "\n",
        BASE64.rstrip("="), BASE64[:-2] + "d=", " " + BASE64, "x" * 100_000, "sha256=" + HEX, "-" * 44, "\x00" * 64,
    ],
)  # fmt: skip
def test_a_malformed_signature_is_refused_and_never_crashes(encoding: str, value: str) -> None:
    assert not ok({**HMAC, "encoding": encoding}, {"x-signature": value})


@given(st.text(), st.text(), st.sampled_from([example.config for example in EXAMPLES if example.headers]))
def test_no_header_whatever_crashes(value: str, stamp: str, config: dict) -> None:
    names = ["x-signature", "x-hub-signature", "x-webhook-token", "authorization", "webhook-signature"]
    headers = {name: value for name in names} | {name: stamp for name in ("webhook-id", "webhook-timestamp")}
    assert not ok(config, headers | {"x-hub-timestamp": stamp})
    assert not ok(config, headers | {"authorization": f"Basic {value}"})


def test_a_missing_header_is_told_from_a_wrong_one() -> None:
    assert verify(HMAC, {}, BODY, NOW).cause == "missing signature"
    assert verify(HMAC, {"x-signature": "00"}, BODY, NOW).cause == "bad signature"
    assert verify(STANDARD, {}, BODY, NOW).cause == "missing signature"
    bearer = {"scheme": "bearer", "tokens": "t"}
    assert verify(bearer, {}, BODY, NOW).cause == "missing credentials"
    assert verify(bearer, {"authorization": "Bearer x"}, BODY, NOW).cause == "bad credentials"


@pytest.mark.parametrize("config", [HMAC, STAMPED], ids=["plain", "stamped"])
def test_both_secrets_pass_while_they_are_changed_and_the_old_fails_after(config: dict) -> None:
    old, both, new = ({**config, "secrets": secrets} for secrets in (["old"], ["new", "old"], ["new"]))
    by_old, by_new = sign(old, BODY, NOW), sign(new, BODY, NOW)
    assert ok(both, by_old) and ok(both, by_new)
    assert not ok(new, by_old) and not ok(old, by_new)
    assert sign(both, BODY, NOW) == by_new


@pytest.mark.parametrize("config", [STAMPED, STANDARD], ids=["hmac", "standard_webhooks"])
def test_a_message_older_or_newer_than_the_tolerance_is_refused(config: dict) -> None:
    headers = sign(config, BODY, NOW)
    for seconds, expected in [(299, True), (-299, True), (301, False), (-301, False)]:
        assert ok(config, headers, now=NOW + timedelta(seconds=seconds)) is expected
    assert verify(config, headers, BODY, NOW + timedelta(hours=1)).cause == "timestamp outside tolerance"


@pytest.mark.parametrize(("config", "name"), [(STAMPED, "x-time"), (STANDARD, "webhook-timestamp")])
@pytest.mark.parametrize("stamp", ["", "0", "-1", "1e9", "1_795_309_200", "\u0661\u0662", "9" * 5000, "nan"])
def test_a_timestamp_that_was_not_signed_is_refused(config: dict, name: str, stamp: str) -> None:
    assert not ok(config, {**sign(config, BODY, NOW), name: stamp})


def test_the_timestamp_is_under_the_signature() -> None:
    headers = sign(STAMPED, BODY, NOW)
    assert not ok(STAMPED, {**headers, "x-time": str(int(headers["x-time"]) + 1)})
    template = {**STAMPED, "timestamp": {"header": "X-Time", "template": "{body}:{timestamp}"}}
    assert ok(template, sign(template, BODY, NOW)) and not ok(template, headers)


def test_standard_webhooks_takes_any_of_several_signatures_and_tells_the_id() -> None:
    headers = sign(STANDARD, BODY, NOW)
    good = headers["webhook-signature"]
    headers["webhook-signature"] = f"v1a,AAAA v1,{BASE64} {good}"
    verdict = verify(STANDARD, headers, BODY, NOW)
    assert verdict.ok and verdict.vendor_id == headers["webhook-id"]
    for wrong in (good.replace("v1,", "v2,"), good.replace("v1,", ""), "v1," + BASE64, " ".join([BASE64] * 50)):
        assert not ok(STANDARD, {**headers, "webhook-signature": wrong})
    assert not ok(STANDARD, {**headers, "webhook-id": "other"})


def test_credentials_are_compared_as_a_whole() -> None:
    token = {"scheme": "static_header", "header": "X-Token", "secrets": ["s3crét", "other"]}
    assert ok(token, {"x-token": "s3crét".encode().decode("latin-1")}) and ok(token, {"x-token": "other"})
    for wrong in ("s3cr", "other ", "othe", "OTHER", "otherother"):
        assert not ok(token, {"x-token": wrong})
    basic = {"scheme": "basic", "users": [{"username": "a", "password": "b:c"}, {"username": "d", "password": "e"}]}
    for pair, expected in [(b"a:b:c", True), (b"d:e", True), (b"a:e", False), (b"a", False), (b"", False)]:
        assert ok(basic, {"authorization": f"basic {base64.b64encode(pair).decode()}"}) is expected


def test_headers_that_carry_the_secret_are_named() -> None:
    assert build({"scheme": "static_header", "header": "X-Token", "secrets": "s"}).secret_headers == {"x-token"}
    assert build({"scheme": "bearer", "tokens": "s"}).secret_headers == {"authorization"}
    assert build(HMAC).secret_headers == frozenset()


@pytest.mark.parametrize(
    ("config", "part"),
    [
        (None, "verify is missing"),
        ({}, "verify.scheme is missing"),
        ({"scheme": None}, "verify.scheme is missing"),
        ({"scheme": "hmac_md5"}, "unknown signature scheme 'hmac_md5'"),
        ({**HMAC, "secrets": ""}, "verify.secrets is empty"),
        ({**HMAC, "secrets": []}, "verify.secrets is missing"),
        ({**HMAC, "secrets": None}, "verify.secrets is missing"),
        ({**HMAC, "secrets": ["good", ""]}, "verify.secrets[1] is empty"),
        ({**HMAC, "secrets": [["nested"]]}, "verify.secrets[0] must be a text"),
        ({**HMAC, "secrets": "from-a-file\n"}, "line break"),
        ({"scheme": "hmac_sha256", "header": "X-Signature"}, "verify.secrets is missing"),
        ({**HMAC, "header": "X Signature"}, "no header's name"),
        ({"scheme": "hmac_sha256", "secrets": "s"}, "verify.header is missing"),
        ({**HMAC, "encoding": "base32"}, "verify.encoding is 'base32'"),
        ({**HMAC, "hash": "sha1"}, "verify.hash is unknown here"),
        ({**HMAC, "scheme": "hmac", "hash": "md5"}, "verify.hash is 'md5'"),
        ({**HMAC, "secrests": "s"}, "verify.secrests is unknown here"),
        ({**HMAC, "timestamp": {"tolerance": "5m"}}, "verify.timestamp.header is missing"),
        ({**HMAC, "timestamp": {"header": "X-T", "tolerance": "soon"}}, "verify.timestamp.tolerance is wrong"),
        ({**HMAC, "timestamp": {"header": "X-T", "tolerance": "0s"}}, "must be longer than nothing"),
        ({**HMAC, "timestamp": {"header": "X-T", "template": "{timestamp}"}}, "{body} once"),
        ({**HMAC, "timestamp": "X-T"}, "must be a block of keys"),
        ({"scheme": "standard_webhooks", "secrets": "whsec_not base64!"}, "must be base64"),
        ({"scheme": "standard_webhooks", "secrets": "whsec_"}, "must be base64"),
        ({"scheme": "bearer"}, "verify.secrets is missing"),
        ({"scheme": "basic", "username": "a:b", "password": "c"}, "must not hold a colon"),
        ({"scheme": "basic", "users": []}, "must be a list"),
        ({"scheme": "basic", "users": ["a:b"]}, "must be a block"),
        ({"scheme": "basic", "users": [{"username": "a", "password": ""}]}, "verify.users[0].password is empty"),
        ({"scheme": "none", "secrets": "s"}, "verify.secrets is unknown here"),
    ],
)
def test_what_cannot_be_verified_keeps_the_hub_from_starting(config: object, part: str) -> None:
    found = problems(config)
    assert any(part in problem for problem in found), found
    with pytest.raises(ConfigError):
        verify(config, {"x-signature": HEX}, BODY, NOW)


def test_a_problem_never_repeats_a_secret() -> None:
    for secrets in (" s3cret-value ", ["s3cret-value\n"], {"s3cret-value": 1}):
        assert "s3cret-value" not in " ".join(problems({**HMAC, "secrets": secrets}))


def test_all_secrets_are_compared_even_when_the_first_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def spy(left: bytes, right: bytes) -> bool:
        compared.append(right)
        return real(left, right)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    for config in ({**HMAC, "secrets": ["test-secret", "b", "c"]}, {"scheme": "bearer", "tokens": ["a", "b", "c"]}):
        compared.clear()
        assert ok(config, sign(config, BODY, NOW))
        assert len(compared) == 3


@pytest.mark.parametrize("key", ["static_header", "bearer", "basic"])
def test_a_secret_that_is_not_ascii_signs_what_it_believes(key: str) -> None:
    config = {
        "static_header": {"scheme": "static_header", "header": "X-Token", "secrets": "s3crét"},
        "bearer": {"scheme": "bearer", "tokens": "s3crét"},
        "basic": {"scheme": "basic", "username": "shöp", "password": "s3crét"},
    }[key]
    assert ok(config, sign(config, BODY, NOW))
