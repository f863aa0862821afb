"""The turnstile of a connection: how many messages it lets in, and what the others are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.files import load_site
from app.adapters.system import SystemIds
from app.core.connectors import InboundRate
from app.core.signatures import sign
from app.errors import ConfigError
from app.model import Receipt, Received, Rejection
from app.pipeline.receive import Answer, Incoming, Receiver
from app.pipeline.turnstile import Turnstile
from app.web.app import CLOSE, create_app
from tests.e2e.stack import wait_for
from tests.support import HandClock
from tests.unit.door_kit import INBOUND, NOW, VERIFY, Services, connection, make_site, opened

BODY = json.dumps({"event": "return.created", "data": {"id": "7"}}).encode()
RATE = InboundRate(rate=0.5, burst=2)
SITE = make_site(connection("shop", INBOUND, VERIFY, inbound_rate=RATE), connection("open", INBOUND, VERIFY))
ENV = {"T": "a-token", "S": "a-secret"}


class Kept:
    """Takes every receipt."""

    def __init__(self) -> None:
        self.rejections: list[Rejection] = []

    def submit(self, receipt: Receipt, timeout_s: float) -> Received:
        return Received(receipt.event_id, False)

    def reject(self, rejection: Rejection, known: bool) -> None:
        assert known
        self.rejections.append(rejection)


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 5), max_size=200),
)
def test_in_any_span_no_more_than_the_burst_and_the_rate_come_in(rate: float, burst: int, gaps: list[float]) -> None:
    turnstile, now, let_in = Turnstile(InboundRate(rate, burst)), 100.0, []
    for gap in gaps:
        now += gap
        wait = turnstile.take(now)
        assert wait >= 0
        if not wait:
            let_in.append(now)
    for first in range(len(let_in)):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= burst + rate * (let_in[last] - let_in[first]) + 1e-3


@given(st.floats(0.01, 1000), st.integers(1, 50), st.integers(0, 120))
def test_whoever_waits_as_long_as_told_is_let_in(rate: float, burst: int, before: int) -> None:
    turnstile = Turnstile(InboundRate(rate, burst))
    waits = [turnstile.take(5.0) for _ in range(before)]
    assert [wait == 0.0 for wait in waits] == [number < burst for number in range(before)]
    wait = turnstile.take(5.0)
    assert wait == 0.0 or turnstile.take(5.0 + wait) == 0.0


def test_the_rate_is_asked_before_any_byte_of_the_body_is_read() -> None:
    clock, kept, read = HandClock(), Kept(), []
    receiver = Receiver(SITE, kept, clock, SystemIds())

    def post(name: str = "shop") -> Answer:
        headers = sign(VERIFY, BODY, NOW)
        return receiver.receive(Incoming(name, "POST", headers, len(BODY), lambda limit: read.append(1) or BODY))

    assert [post().status for _ in range(4)] == [202, 202, 429, 429]
    assert len(read) == 2 and [one.cause for one in kept.rejections] == ["too many", "too many"]
    assert post().headers == {"Retry-After": "2"}
    assert post("open").status == 202
    clock.move(2)
    assert [post().status, post().status] == [202, 429]


def test_a_retry_after_is_never_less_than_a_whole_second() -> None:
    quick = make_site(connection("shop", INBOUND, VERIFY, inbound_rate=InboundRate(1000, 1)))
    receiver = Receiver(quick, Kept(), HandClock(), SystemIds())
    answers = [receiver.receive(Incoming("shop", "POST", {}, 0, lambda limit: b"")) for _ in range(2)]
    assert answers[1].headers == {"Retry-After": "1"}


@pytest.fixture
def app(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Flask]:
    clock = HandClock()
    with opened(migrated_sqlite, tmp_path, clock) as ledger:
        made = create_app(Services(SITE, ledger, clock))
        yield made
        made.extensions[CLOSE]()


def test_who_is_turned_away_is_told_when_to_come_again_and_counted(app: Flask) -> None:
    client = app.test_client()
    answers = [client.post("/webhooks/shop", data=BODY, headers=sign(VERIFY, BODY, NOW)) for _ in range(3)]
    # A repetition takes a turn too.
    assert [answer.status for answer in answers] == ["202 ACCEPTED", "202 ACCEPTED", "429 TOO MANY REQUESTS"]
    assert answers[2].headers["Retry-After"] == "2"
    assert answers[2].json == {"error": {"code": "too_many", "message": "too many"}}
    counted = 'backhaul_rejected_total{cause="too many",connection="shop"} 1.0'
    wait_for("it is so", lambda: counted in client.get("/metrics").text)


def site(folder: Path, said: str, connector: str = "generic_wms") -> Path:
    settings = "{base_url: 'http://127.0.0.1:1', token: '${T}'}"
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "connections.yaml").write_text(
        f"connections:\n  wms: {{connector: {connector}, settings: {settings}, {said}}}\n"
    )
    return folder


def test_a_connection_says_how_many_may_come(tmp_path: Path) -> None:
    def told(said: str) -> InboundRate | None:
        return load_site(site(tmp_path, said), env=ENV).connections["wms"].inbound_rate

    assert told("system: s") is None
    assert told("inbound: {rate: 50/s}") == InboundRate(50, 50)
    assert told("inbound: {rate: 30/m}") == InboundRate(0.5, 1)
    assert told("inbound: {rate: 50/s, burst: 200}") == InboundRate(50, 200)


@pytest.mark.parametrize(
    ("said", "connector", "what"),
    [
        ("inbound: {rate: 5/fortnight}", "generic_wms", "is no rate"),
        ("inbound: {rate: 5/s, burst: 0}", "generic_wms", "0"),
        ("inbound: {burst: 5}", "generic_wms", "rate"),
        ("inbound: {rate: 5/s}", "generic_erp", "takes no webhooks"),
    ],
)
def test_a_bound_that_bounds_nothing_is_told(tmp_path: Path, said: str, connector: str, what: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_site(site(tmp_path, said, connector), env=ENV)
    assert any(what in str(problem) for problem in raised.value.problems), raised.value.problems
