"""`backhaul send` asks a bridge as the platform would: with the right proof, and telling the status and the answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.pipeline.bridge_kit import FILES, SECRET, Portal, Shop, process, site_of
from tests.support import HandClock
from tests.unit.conftest import Run
from tests.unit.door_kit import opened
from tests.unit.site_kit import write

BEARER = 'verify: {scheme: bearer, tokens: "{{ settings.secret }}"}'
HMAC = 'verify: {scheme: hmac_sha256, header: X-Portal-Signature, encoding: hex, secrets: "{{ settings.secret }}"}'
PORTAL = "connectors/acme_portal/connector.yaml"
ANSWER = '{"purchases":[{"id":"l-1","paidAmount":{"value":"19.90","currency":"EUR"}},'


@pytest.fixture(params=[HMAC, BEARER], ids=["signature", "bearer"])
def site(request: pytest.FixtureRequest, tmp_path: Path, alone: None) -> Path:
    questions = {
        "get-purchases": {"orderNumber": "#4711", "email": "a@acme.example"},
        "resolve-return": {"transactionId": "t-1", "orderNumber": "4711", "amount": "5"},
    }
    folder = "connectors/acme_portal/fixtures"
    fixtures = {f"{folder}/{path}__one.json": json.dumps(question) for path, question in questions.items()}
    assert HMAC in FILES[PORTAL]
    return write(tmp_path / "site", {**FILES, **fixtures, PORTAL: FILES[PORTAL].replace(HMAC, request.param)})


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def url(site: Path, tmp_path: Path, migrated_sqlite: Path, clock: HandClock, shop: Shop) -> Iterator[str]:
    """Where a hub with this site listens."""
    portal = {PORTAL: (site / PORTAL).read_text()}
    with (
        opened(migrated_sqlite, tmp_path, clock) as ledger,
        process(site_of(tmp_path / "hub", **portal), ledger, clock, shop) as hub,
    ):
        yield from _served(hub)


def _served(hub: Portal) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, hub.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def send(run: Run, *arguments: str, status: int = 0) -> str:
    """What it prints."""
    said: str = run("send", *arguments, status=status, env={"SECRET": SECRET}).output
    # The hub logs in the same process.
    return "\n".join(line for line in said.splitlines() if "bridge.answered" not in line)


@pytest.mark.parametrize("bridge", ["get-purchases", "get_purchases"])
def test_the_status_and_the_answer_are_printed(run: Run, url: str, bridge: str) -> None:
    said = send(run, "portal", bridge, "get-purchases__one", "--url", url)
    assert said.startswith(f"200 {ANSWER}")


def test_a_question_can_be_changed_and_an_answer_that_is_kept_comes_again(run: Run, url: str, shop: Shop) -> None:
    asked = ("portal", "resolve-return", "resolve-return__one", "--url", url)
    first = send(run, *asked)
    assert first == '200 {"transactionId":"t-1","refund":"rf-1"}'
    assert send(run, *asked, "--set", "amount=7") == first
    assert send(run, *asked, "--set", "transactionId=t-2") == '200 {"transactionId":"t-2","refund":"rf-2"}'
    assert len(shop.refunds) == 2


def test_no_answer_now_ends_with_1(run: Run, url: str, shop: Shop) -> None:
    shop.say("/refunds", 503)
    text = send(run, "portal", "resolve-return", "resolve-return__one", "--url", url, status=1)
    assert text.startswith('503 {"error":')


def test_what_cannot_be_asked_is_told_with_what_can(run: Run, url: str) -> None:
    nothing = send(run, "portal", "get-purchases__one", status=2)
    assert "name the bridge that shall be asked: get-purchases, resolve-return" in nothing
    assert "asks no bridge 'get-label'" in send(run, "portal", "get-label", "get-purchases__one", status=2)
    assert "it asks none" in send(run, "shop", "get-purchases", "x", status=2)
    unknown = send(run, "portal", "get-purchases", "nothing", status=2)
    assert "get-purchases__one.json" in unknown and "resolve-return__one.json" not in unknown
    assert "write [BRIDGE] FIXTURE" in send(run, "portal", "a", "b", "c", status=2)
