"""Bridges, asked through the web door: the answer in time or none, and nothing for strangers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.core.site import Hub
from app.model import NoResponse, Reference, ReferenceKey
from tests.pipeline.bridge_kit import ASKED, FILES, RESOLVE, Portal, Shop, process, site_of
from tests.support import HandClock

pytestmark = pytest.mark.usefixtures("alone")


def test_a_question_is_answered_from_the_shop(portal: Portal, shop: Shop) -> None:
    said = portal.ask("get-purchases", ASKED)
    assert said.status_code == 200
    assert said.headers["Content-Type"] == "application/json"
    assert said.json == {
        "purchases": [
            {"id": "l-1", "paidAmount": {"value": "19.90", "currency": "EUR"}},
            {"id": "l-2", "paidAmount": {"value": "5.00", "currency": "EUR"}},
        ]
    }
    (request,) = shop.requests
    assert request.url == "https://shop.example/orders/4711?email=anna%40acme.example"


def test_what_is_not_there_gets_the_empty_answer(portal: Portal) -> None:
    said = portal.ask("get-purchases", {"orderNumber": "0815"})
    assert (said.status_code, said.json) == (200, {"purchases": []})


@pytest.mark.parametrize("secret", ["wrong", "bridge-s3cret2"])
def test_who_cannot_prove_who_he_is_gets_nothing(portal: Portal, shop: Shop, secret: str) -> None:
    said = portal.ask("get-purchases", ASKED, secret)
    assert said.status_code == 401
    assert shop.requests == []


def test_a_scheme_that_is_missing_or_empty_keeps_the_hub_from_starting(tmp_path: Path) -> None:
    from app.errors import ConfigError

    connector = FILES["connectors/acme_portal/connector.yaml"].replace('"{{ settings.secret }}"', '""')
    with pytest.raises(ConfigError, match="secrets"):
        site_of(tmp_path, **{"connectors/acme_portal/connector.yaml": connector})


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("get-nothing", b"{}", 404, "unknown_bridge"),
        ("get-purchases", b"[1]", 400, "invalid"),
        ("get-purchases", b"{nonsense", 400, "invalid"),
        ("get-purchases", b"{}", 400, "invalid"),
        ("resolve-return", b'{"orderNumber": "4711"}', 400, "invalid"),
        ("resolve-return", b'{"transactionId": "", "orderNumber": "4711"}', 400, "invalid"),
        ("get-purchases", b'{"x": "' + b"y" * 3_000_000 + b'"}', 413, "too_large"),
    ],
)
def test_a_question_that_cannot_be_worked_with_is_refused(
    portal: Portal, shop: Shop, path: str, body: bytes, status: int, code: str
) -> None:
    said = portal.ask(path, body)
    assert (said.status_code, said.json["error"]["code"]) == (status, code)
    assert shop.requests == []


def test_what_is_missing_in_the_question_is_named(portal: Portal) -> None:
    said = portal.ask("get-purchases", {"order": "4711"})
    assert "request.orderNumber" in said.json["error"]["message"]


@pytest.mark.parametrize("trouble", [500, 503, 429, 422, "lost", NoResponse("connect", "no connection", False, 3)])
def test_a_shop_that_cannot_be_asked_is_a_503(portal: Portal, shop: Shop, trouble: Any) -> None:
    shop.say("/orders", trouble)
    said = portal.ask("get-purchases", ASKED)
    assert said.status_code == 503
    assert int(said.headers["Retry-After"]) > 0
    assert "no" not in said.json["error"]["message"].split(), "the shop's own words are not passed on"
    assert portal.ask("get-purchases", ASKED).status_code == 200


def test_refused_credentials_pause_the_shop_for_everybody(portal: Portal, shop: Shop, ledger: Ledger) -> None:
    shop.say("/orders", 401)
    assert portal.ask("get-purchases", ASKED).status_code == 503
    assert ledger.lane_state("shop").paused
    assert portal.ask("get-purchases", ASKED).status_code == 503
    assert len(shop.requests) == 1


def test_each_call_gets_only_the_time_that_is_left(portal: Portal, shop: Shop, clock: HandClock) -> None:
    shop.meanwhile = lambda path: clock.move(1.5)
    assert portal.ask("resolve-return", RESOLVE).status_code == 200
    assert [round(one, 1) for one in shop.timeouts] == [5.0, 3.5]


def test_after_the_deadline_no_call_is_begun(portal: Portal, shop: Shop, clock: HandClock) -> None:
    shop.meanwhile = lambda path: clock.move(5.0)
    said = portal.ask("resolve-return", RESOLVE)
    assert (said.status_code, said.json["error"]["code"]) == (503, "late")
    assert shop.refunds == {}
    shop.meanwhile = lambda path: None
    assert portal.ask("resolve-return", RESOLVE).status_code == 200
    assert len(shop.refunds) == 1


def test_an_error_is_told_as_the_connector_wants_it(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    connector = FILES["connectors/acme_portal/connector.yaml"].replace(
        "bridge:\n", 'bridge:\n  errors: {body: {ok: false, why: "{{ message }}", number: "{{ status }}"}}\n'
    )
    site = site_of(tmp_path, **{"connectors/acme_portal/connector.yaml": connector})
    with process(site, ledger, clock, shop) as portal:
        shop.say("/orders", 503)
        said = portal.ask("get-purchases", ASKED)
        assert said.json == {"ok": False, "why": "a system behind the hub cannot be asked now", "number": 503}


def with_reference(tmp_path: Path) -> Any:
    lookup = """
mapping: purchases.to_shop_lookup
references: {order: {kind: order, from: portal, to: store, id: "{{ request.orderNumber }}"}}
args: {number: "{{ refs.order }}"}
"""
    reference = """
reference: order
from: portal
to: store
steps:
  - stored: true
  - lookup: {operation: erp.find, with: {number: "{{ id }}"}, take: "{{ body.numbers }}", none: miss, many: conflict}
missing: park
"""
    files = {"mappings/purchases.to_shop_lookup.yaml": lookup, "mappings/references/order.yaml": reference}
    return site_of(tmp_path, **files)


def test_numbers_are_translated_as_in_deliveries(tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    with process(with_reference(tmp_path), ledger, clock, shop) as portal:
        shop.say("/orders?", {"numbers": []})
        shop.say("/orders", {"numbers": ["4711"]})
        assert portal.ask("get-purchases", {"orderNumber": "P-1"}).json["purchases"] != []
        assert portal.ask("get-purchases", {"orderNumber": "P-1"}).json["purchases"] != []
        assert [one.url for one in shop.requests if "erp" in one.url] == ["https://erp.example/orders?number=P-1"]
        shop.say("/orders", {"numbers": []})
        assert portal.ask("get-purchases", {"orderNumber": "P-2"}).json == {"purchases": []}
        shop.say("/orders", {"numbers": ["4711", "4712"]})
        assert portal.ask("get-purchases", {"orderNumber": "P-3"}).status_code == 503
        with ledger.write() as tx:
            key = ReferenceKey("order", "portal", "store", "P-3")
            tx.put_reference(Reference(key, "4711", "manual", clock.now(), {"by": "test"}))
        assert portal.ask("get-purchases", {"orderNumber": "P-3"}).json["purchases"] != []


def test_more_questions_than_there_is_room_for_do_not_keep_messages_waiting(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    site = replace(site_of(tmp_path), hub=Hub(web_threads=2))
    asked: list[Any] = []
    with process(site, ledger, clock, shop) as portal:
        shop.meanwhile = lambda path: asked or asked.append(portal.ask("get-purchases", ASKED))
        assert portal.ask("get-purchases", ASKED).status_code == 200
    assert (asked[0].status_code, asked[0].json["error"]["code"]) == (503, "crowded")


def test_only_a_post_asks(portal: Portal) -> None:
    with portal.app.test_client() as client:
        said = client.get("/bridge/portal/get-purchases")
        assert (said.status_code, said.headers["Allow"]) == (405, "POST")
        assert client.post("/bridge/nobody/get-purchases", data=b"{}").status_code == 404


def test_a_hub_without_bridges_has_no_such_door(tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    with process(replace(site_of(tmp_path), bridges=()), ledger, clock, shop) as portal:
        assert portal.ask("get-purchases", ASKED).status_code == 404
