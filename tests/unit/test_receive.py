"""The receiver: what is let in, under which state and key it is kept, and what the sender is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.system import SystemIds
from app.core.masking import HIDDEN, Masker
from app.core.signatures import Verdict, build, sign
from app.errors import ConfigError, LedgerUnavailable
from app.model import Receipt, Received, Rejection
from app.pipeline.receive import Answer, Door, Incoming, Receiver, read_message
from tests.support import HandClock
from tests.unit.door_kit import INBOUND, NOW, SECRET, VERIFY, connection, make_site, value

BODY = json.dumps({"event": "return.created", "data": {"id": "7"}}).encode()
DOOR = Door(INBOUND, build(VERIFY), {}, Masker())


class Kept:
    """Takes receipts as the writer does, without a ledger behind it."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.rejections: list[tuple[Rejection, bool]] = []
        self.timeouts: list[float] = []
        self.gone = False

    def submit(self, receipt: Receipt, timeout_s: float) -> Received:
        if self.gone:
            raise LedgerUnavailable("gone")
        self.timeouts.append(timeout_s)
        for earlier in self.receipts:
            if earlier.vendor_id == receipt.vendor_id:
                return Received(earlier.event_id, True)
        self.receipts.append(receipt)
        return Received(receipt.event_id, False)

    def reject(self, rejection: Rejection, known: bool) -> None:
        self.rejections.append((rejection, known))


class Bench:
    def __init__(self, **hub: Any) -> None:
        self.kept = Kept()
        self.receiver = Receiver(make_site(**hub), self.kept, HandClock(), SystemIds())

    def post(self, body: bytes = BODY, *, name: str = "shop", method: str = "POST", **more: Any) -> Answer:
        headers = more.pop("headers", None)
        if headers is None:
            headers = sign(VERIFY, body, NOW)
        length = more.pop("length", len(body))
        return self.receiver.receive(Incoming(name, method, headers, length, lambda limit: body[:limit]))

    @property
    def causes(self) -> list[str]:
        return [rejection.cause for rejection, _ in self.kept.rejections]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_signed_message_is_kept_byte_for_byte_and_acknowledged_as_the_vendor_wants(bench: Bench) -> None:
    body = b' {"event": "return.created",\n"data": {"id": "7", "x": 1.50}} '
    answer = bench.post(body)
    (receipt,) = bench.kept.receipts
    assert (answer.status, answer.body) == (202, {"event": receipt.event_id})
    assert receipt.body == body
    assert (receipt.state, receipt.type, receipt.vendor_id) == ("received", "return.created", "return.created:7")
    assert receipt.received_at == NOW and bench.kept.timeouts == [INBOUND.ack_within_s]


def test_a_duplicate_gets_the_answer_of_the_first(bench: Bench) -> None:
    assert bench.post() == bench.post()
    assert len(bench.kept.receipts) == 1


@pytest.mark.parametrize(
    ("body", "state", "status", "because"),
    [
        (b"", "unreadable", 422, "not JSON"),
        (b"{", "unreadable", 422, "not JSON"),
        (b"[1]", "unreadable", 422, "a list, not an object"),
        (b'"text"', "unreadable", 422, "a text, not an object"),
        (b"null", "unreadable", 422, "null, not an object"),
        (b"1e5", "unreadable", 422, "a number, not an object"),
        (b"NaN", "unreadable", 422, "not JSON"),
        (b"event=return.created", "unreadable", 422, "not JSON"),
        ('{"event":"é"}'.encode("latin-1"), "unreadable", 422, "not UTF-8"),
        ('{"event":"return.created"}'.encode("utf-16"), "unreadable", 422, "not UTF-8"),
        (b"[" * 100_000, "unreadable", 422, "too deeply"),
        (b'{"data":{"id":"1"}}', "unreadable", 422, "event"),
        (b'{"event":"","data":{"id":"1"}}', "unreadable", 422, "empty"),
        (b'{"event":null,"data":{"id":"1"}}', "unreadable", 422, "empty"),
        (b'{"event":{"a":1},"data":{"id":"1"}}', "unreadable", 422, "empty"),
        (b'{"event":"return.paid","data":{"id":"1"}}', "unknown", 202, "'return.paid' is not known"),
        (b'{"event":7,"data":{"id":"1"}}', "unknown", 202, "'7' is not known"),
        (b'{"event":"ping"}', "ignored", 202, "ignores this type"),
    ],
)
def test_what_cannot_be_used_is_kept_shown_and_answered(
    bench: Bench, body: bytes, state: str, status: int, because: str
) -> None:
    answer = bench.post(body)
    (receipt,) = bench.kept.receipts
    assert (answer.status, receipt.state) == (status, state)
    assert because in receipt.because and receipt.body == body
    assert bench.post(body) == answer and len(bench.kept.receipts) == 1


def test_json_is_read_whatever_its_content_type_says(bench: Bench) -> None:
    headers = sign(VERIFY, BODY, NOW) | {"content-type": "text/plain; charset=latin-1"}
    assert bench.post(headers=headers).status == 202
    assert bench.kept.receipts[0].state == "received"


def test_a_compressed_body_says_why_it_was_not_read(bench: Bench) -> None:
    body = b"\x1f\x8b\x08"
    bench.post(body, headers=sign(VERIFY, body, NOW) | {"content-encoding": "gzip"})
    assert "content-encoding gzip" in bench.kept.receipts[0].because


@pytest.mark.parametrize(
    ("payload", "vendor_id"),
    [
        ({"id": "00123"}, "00123"),
        ({"id": 123}, "123"),
        ({"id": 10**30}, str(10**30)),
        ({"id": "1e5"}, "1e5"),
        ({"id": "x" * 300}, "id:"),
        ({"id": "a\u0000b"}, "id:"),
        ({"id": "\ud800"}, "id:"),
        ({"id": ""}, "body:"),
        ({"id": None}, "body:"),
        ({"id": True}, "body:"),
        ({"id": ["a"]}, "body:"),
        ({}, "body:"),
    ],
)
def test_the_dedupe_key_is_the_vendors_id_else_the_body(payload: dict, vendor_id: str) -> None:
    door = replace(DOOR, inbound=replace(INBOUND, event_id=value("{{ payload.id }}")))
    body = json.dumps({"event": "return.created", **payload}).encode()
    read = read_message(door, {}, body, Verdict(ok=True))
    assert read.state == "received"
    assert read.vendor_id == vendor_id or (vendor_id[-1] == ":" and read.vendor_id.startswith(vendor_id))
    assert len(read.vendor_id) <= 200


def test_the_signed_message_id_is_the_key_where_the_payload_has_none() -> None:
    door = replace(DOOR, inbound=replace(INBOUND, event_id=value("{{ payload.id }}")))
    read = read_message(door, {}, b'{"event":"return.created"}', Verdict(ok=True, vendor_id="msg_1"))
    assert read.vendor_id == "msg_1"
    by_header = replace(DOOR, inbound=replace(INBOUND, event_id=value("{{ headers['webhook-id'] }}")))
    read = read_message(by_header, {"webhook-id": "msg_2"}, b'{"event":"return.created"}', Verdict(ok=True))
    assert read.vendor_id == "msg_2"


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["event", "data", "id"]) | st.text(), inner),
).map(lambda found: json.dumps(found).encode()))  # fmt: skip
def test_no_body_whatever_crashes(body: bytes) -> None:
    read = read_message(DOOR, {}, body, Verdict(ok=True))
    assert read.vendor_id and read.because.isprintable()
    assert read.type == read.type.encode("utf-8").decode("utf-8")


@pytest.mark.parametrize(
    ("request_", "status", "cause"),
    [
        ({"name": "nobody"}, 404, "unknown connection"),
        ({"name": "wms"}, 404, "unknown connection"),
        ({"name": "nobody", "method": "GET", "headers": {}}, 404, "unknown connection"),
        ({"method": "GET"}, 405, "wrong method"),
        ({"headers": {}}, 401, "missing signature"),
        ({"headers": {"x-signature": "00"}}, 401, "bad signature"),
        ({"headers": {"x-signature": "é" * 64}}, 401, "bad signature"),
        ({"length": 10_000_000}, 413, "too large"),
        ({"length": len(BODY) + 5}, 400, "cut off"),
    ],
)
def test_what_is_turned_away_leaves_a_line_and_nothing_else(
    bench: Bench, request_: dict, status: int, cause: str
) -> None:
    answer = bench.post(**request_)
    assert answer.status == status and answer.body["error"]["message"] == cause
    assert bench.kept.receipts == []
    (rejection, known) = bench.kept.rejections[0]
    assert (rejection.cause, rejection.at, known) == (cause, NOW, cause != "unknown connection")


def test_a_body_over_the_cap_is_refused_even_when_it_does_not_tell_its_length() -> None:
    bench = Bench(body_limit=100)
    fits, over = b" " * (100 - len(BODY)) + BODY, b" " * (101 - len(BODY)) + BODY
    assert bench.post(fits, length=None).status == 202
    assert bench.post(over, length=None).status == 413
    assert bench.post(over).status == 413


def test_a_method_is_refused_with_those_allowed_and_a_proof_with_the_challenge(bench: Bench) -> None:
    assert bench.post(method="PUT").headers == {"Allow": "POST"}
    bearer = {"scheme": "bearer", "tokens": "t"}
    receiver = Receiver(make_site(connection("shop", INBOUND, bearer)), bench.kept, HandClock(), SystemIds())
    answer = receiver.receive(Incoming("shop", "POST", {}, 0, lambda limit: b""))
    assert (answer.status, answer.headers) == (401, {"WWW-Authenticate": 'Bearer realm="webhooks"'})


def test_without_a_ledger_nothing_is_acknowledged(bench: Bench) -> None:
    bench.kept.gone = True
    answer = bench.post()
    assert (answer.status, answer.headers) == (503, {"Retry-After": "5"})
    assert bench.causes == ["ledger unavailable"]


def test_credentials_in_headers_are_not_kept() -> None:
    verify = {"scheme": "static_header", "header": "X-Proof", "secrets": SECRET}
    kept = Kept()
    site = make_site(connection("shop", INBOUND, verify, secret_values=frozenset({SECRET})))
    headers = {"x-proof": SECRET, "cookie": "a=b", "authorization": "Basic eA==", "x-trace": f"t-{SECRET}", "host": "h"}
    receiver = Receiver(site, kept, HandClock(), SystemIds())
    receiver.receive(Incoming("shop", "POST", headers, len(BODY), lambda limit: BODY))
    assert kept.receipts[0].headers == {
        "x-proof": HIDDEN,
        "cookie": HIDDEN,
        "authorization": HIDDEN,
        "x-trace": f"t-{HIDDEN}",
        "host": "h",
    }


def test_a_path_whatever_is_noted_as_bounded_clean_text(bench: Bench) -> None:
    bench.post(name="x\x00\ud800\n" + "y" * 1000)
    noted = bench.kept.rejections[0][0].connection
    assert len(noted) == 100 and noted.isprintable()


@pytest.mark.parametrize("verify", [None, {}, {"scheme": "md5"}, {**VERIFY, "secrets": ""}])
def test_a_connection_that_cannot_be_verified_keeps_the_hub_from_starting(verify: Any) -> None:
    site = make_site(connection("one", INBOUND, verify), connection("two", INBOUND, verify))
    with pytest.raises(ConfigError) as raised:
        Receiver(site, Kept(), HandClock(), SystemIds())
    assert [problem.what.split(":")[0] for problem in raised.value.problems] == ["connection 'one'", "connection 'two'"]
