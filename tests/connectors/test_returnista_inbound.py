"""Returnista's messages at the door: who sent them, which they are, and what is read for them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.adapters.files import load_site
from app.core.connectors import Inbound
from app.core.signatures import verify
from app.core.site import Site
from app.errors import DataError
from tests.connectors.example_site import ROOT, SECRETS, environment

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
#: Computed apart from this project: the secret is "test-secret".
BODY = b'{"event":"shipment.label_created","data":{"id":"s-1","returnOrderId":"ro-1"}}'
HEX = "7d153f921e84fd67bc60d9d3613d88064be43846b2c0649f6c9443c9bf1a0f87"
BASE64 = "fRU/kh6E/We8YNnTYT2IBkvkOEaywGSfbJRDyb8aD4c="


@pytest.fixture
def inbound(site: Site) -> Inbound:
    found = site.connectors["returnista"].inbound
    assert found
    return found


def accepted(site: Site, signature: str | None, body: bytes = BODY, **more: Any) -> bool:
    config = {**(site.connections["returnista_eu"].verify or {}), **more}
    headers = {} if signature is None else {"x-signature": signature}
    return verify(config, headers, body, NOW).ok


@pytest.mark.parametrize("signature", [HEX, BASE64, HEX.upper()])
def test_the_published_vector_is_accepted_in_hex_and_in_base64(site: Site, signature: str) -> None:
    assert accepted(site, signature)


def test_the_same_json_written_otherwise_is_refused(site: Site) -> None:
    assert not accepted(site, HEX, json.dumps(json.loads(BODY)).encode())
    assert not accepted(site, HEX, json.dumps(json.loads(BODY), sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("signature", [None, "", HEX[:-1], HEX + "0", "0" * 64, "sha256=" + HEX, "ü"])
def test_a_missing_empty_short_or_wrong_signature_is_refused(site: Site, signature: str | None) -> None:
    assert not accepted(site, signature)


def test_old_and_new_secret_are_accepted_while_both_are_set(site: Site) -> None:
    new = hmac.new(SECRETS[1].encode(), BODY, hashlib.sha256).hexdigest()
    assert [accepted(site, one, secrets=list(SECRETS)) for one in (HEX, new)] == [True, True]
    assert [accepted(site, one, secrets=[SECRETS[1]]) for one in (HEX, new)] == [False, True]


def test_the_encoding_can_be_fixed_by_a_setting(tmp_path: Any) -> None:
    config = tmp_path / "config"
    config.mkdir()
    for name in ("hub.yaml", "routes.yaml"):
        (config / name).write_text((ROOT / "config" / name).read_text(encoding="utf-8"), encoding="utf-8")
    text = (ROOT / "config" / "connections.yaml").read_text(encoding="utf-8")
    fixed = text.replace("      api_key:", "      signature_encoding: base64\n      api_key:", 1)
    (config / "connections.yaml").write_text(fixed, encoding="utf-8")
    site = load_site(tmp_path, env=environment())
    assert [accepted(site, one) for one in (HEX, BASE64)] == [False, True]
    assert base64.b64decode(BASE64).hex() == HEX


# --- which message it is -------------------------------------------------------------------------


def names(payload: Any) -> dict[str, Any]:
    return {"payload": payload, "headers": {}, "settings": {}}


def test_the_same_event_has_the_same_id_and_a_later_one_of_its_object_another(inbound: Inbound, read: Any) -> None:
    event = read("shipment.label_created__one_parcel")
    again = json.loads(json.dumps(event))
    later = {**event, "data": {**event["data"], "updatedAt": "2026-11-20T12:00:00.000Z"}}
    other = {**event, "event": "shipment.received_tracking_updates"}
    ids = [inbound.event_id.render(names(one)) for one in (event, again, later, other)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    expected = "|".join([event["event"], event["data"]["id"], event["data"]["updatedAt"]])
    assert ids[0] == hashlib.sha256(expected.encode()).hexdigest()


@pytest.mark.parametrize("data", [{"id": "s-1"}, {"id": "s-1", "updatedAt": None}, {"updatedAt": "2026-11-20T09:00Z"}])
def test_without_id_or_time_an_event_has_no_id_of_its_own(inbound: Inbound, data: Any) -> None:
    """The hub then takes the hash of the whole body, so that two different messages never count as one."""
    with pytest.raises(DataError):
        inbound.event_id.render(names({"event": "shipment.label_created", "data": data}))


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        "text",
        {"event": "shipment.label_created"},
        {"data": {}},
        {"event": "x", "data": []},
        {"event": "x", "data": None},
    ],
)
def test_a_message_without_event_or_data_cannot_be_read_and_is_answered_400(inbound: Inbound, payload: Any) -> None:
    assert inbound.ack_unreadable == 400
    with pytest.raises(DataError):
        inbound.event_type.render(names(payload))


def test_an_unknown_event_is_told_by_its_name_and_answered_like_any_other(inbound: Inbound) -> None:
    assert inbound.ack_status == 200
    assert inbound.event_type.render(names({"event": "store.opened", "data": {}})) == "store.opened"
    assert "store.opened" not in inbound.types


def test_all_seven_events_are_declared(inbound: Inbound) -> None:
    told = {name for name in inbound.types if not name.startswith("poll.")}
    assert told | inbound.ignore == {
        "return_order.created",
        "return_order.confirmed",
        "return_order.completed",
        "shipment.label_created",
        "shipment.received_tracking_updates",
        "shipment.received_tracking_updates.delivered",
        "sales_order.approved_or_denied",
    }
    assert set(inbound.types.values()) == {"return"}


# --- what is read for it -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shipment.label_created__one_parcel", "return_order.created__requested"])
def test_a_return_order_is_read_for_a_shipment_as_for_itself(inbound: Inbound, read: Any, name: str) -> None:
    assert inbound.fetch
    payload = read(name)
    wanted = payload["data"].get("returnOrderId") or payload["data"]["id"]
    assert inbound.fetch.args.render({"payload": payload, "event": {}, "settings": {}}) == {"id": wanted}
    assert inbound.fetch.not_found == "retry"


def test_a_label_event_has_no_order_and_no_items_of_its_own(read: Any) -> None:
    data = read("shipment.label_created__two_orders")["data"]
    assert not [key for key in data if "purchase" in key.lower() or "request" in key.lower()]


@pytest.mark.parametrize(
    ("event", "detail", "ready"),
    [
        ("shipment.label_created__one_parcel", "get_return_order__one_parcel", True),
        ("shipment.label_created__one_parcel", "get_return_order__label_lags", False),
        ("shipment.label_created__second_of_two_parcels", "get_return_order__first_of_two_parcels", False),
        ("return_order.created__requested", "get_return_order__requested", True),
    ],
)
def test_reading_waits_until_the_shipment_of_the_event_shows(
    inbound: Inbound, read: Callable[[str], Any], event: str, detail: str, ready: bool
) -> None:
    assert inbound.fetch and inbound.fetch.ready
    seen = {"payload": read(event), "detail": read(detail), "event": {}, "settings": {}}
    assert inbound.fetch.ready.render(seen) is ready
