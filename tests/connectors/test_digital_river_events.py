"""Digital River's messages at the door: who may come in, what is kept, and what becomes of it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.digital_river.mail import HEADER, as_sent, signed
from tests.connectors.digital_river_kit import Hub, fixture, running_hub
from tests.connectors.digital_river_site import SECRETS
from tests.support import HandClock
from tests.unit.door_kit import opened

#: Made apart from this project.
VECTOR = (
    b'{"id":"evt_0001","type":"fulfillment_return.accepted","data":{"object":{"id":"ret_5823594809",'
    b'"state":"accepted"}},"liveMode":false}'
)
VECTOR_AT = datetime.fromtimestamp(1739788399, UTC)
SIGNATURE = "l0JRGXXdZ/xMhZn7WwLhz8g/fQ/rR/F/Kk3u+ZRLDpQ="
EVENT = fixture("fulfillment_return.created__two_items")


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


def at_vector(hub: Hub, header: str | None, *, name: str = HEADER, body: bytes = VECTOR, late: float = 0) -> int:
    """The answer to the published example, or a spoiled one, that comes so many seconds late."""
    hub.clock._now = VECTOR_AT + timedelta(seconds=late)
    return hub.post(body, headers={} if header is None else {name: header})


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f"1739788399, {SIGNATURE}", HEADER),
        (f"1739788399,{SIGNATURE}", HEADER),
        (f" 1739788399 ,  {SIGNATURE} ", HEADER),
        (f"1739788399, {SIGNATURE}", "digitalriver-signature"),
        (f"1739788399, bm90IG91cnM=, {SIGNATURE}", HEADER),
        (f"1739788399, {SIGNATURE}, bm90IG91cnM=", HEADER),
    ],
)
def test_15_the_example_is_taken_however_its_header_is_spaced_and_spelled(hub: Hub, header: str, name: str) -> None:
    assert at_vector(hub, header, name=name) == 202
    assert [row["vendor_id"] for row in hub.events()] == ["evt_0001"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "1739788399",
        f"{SIGNATURE}",
        f", {SIGNATURE}",
        f"1739788398, {SIGNATURE}",
        f"1739788399, {SIGNATURE[:-2]}",
        f"1739788399, {base64.b64decode(SIGNATURE).hex()}",
        f"t=1739788399,v1={base64.b64decode(SIGNATURE).hex()}",
        f"t=1739788399,v1={SIGNATURE}",
        "1739788399, ü",
        ",".join(["1739788399", *["bm90IG91cnM="] * 500]),
    ],
)
def test_15_whatever_is_missing_or_spoiled_is_turned_away_and_leaves_nothing(hub: Hub, header: str | None) -> None:
    assert at_vector(hub, header) == 401
    assert hub.events() == []


@pytest.mark.parametrize(
    "body",
    [
        VECTOR.replace(b"0001", b"0002"),
        VECTOR + b"\n",
        json.dumps(json.loads(VECTOR)).encode(),
        json.dumps(json.loads(VECTOR), sort_keys=True, separators=(",", ":")).encode(),
    ],
)
def test_15_one_byte_more_or_other_spacing_is_another_message(hub: Hub, body: bytes) -> None:
    assert at_vector(hub, f"1739788399, {SIGNATURE}", body=body) == 401
    assert hub.events() == []


@pytest.mark.parametrize(("late", "status"), [(299, 202), (301, 401), (-299, 202), (-301, 401)])
def test_15_a_message_may_be_five_minutes_off(hub: Hub, late: float, status: int) -> None:
    assert at_vector(hub, f"1739788399, {SIGNATURE}", late=late) == status


def test_15_the_age_may_be_left_unchecked(hub: Hub) -> None:
    hub.use(signature_tolerance='"0"')
    assert at_vector(hub, f"1739788399, {SIGNATURE}", late=10**7) == 202


@pytest.mark.parametrize("stamp", ["1739788399000", "2025-02-17T10:33:19.00000Z"])
def test_15_the_time_may_be_milliseconds_or_written_out(hub: Hub, stamp: str) -> None:
    digest = hmac.digest(SECRETS[0].encode(), f"{stamp}.".encode() + VECTOR, "sha256")
    header = f"{stamp}, {base64.b64encode(digest).decode()}"
    assert at_vector(hub, header) == 202
    assert at_vector(hub, header, late=301) == 401


def test_15_a_time_that_cannot_be_read_is_refused_while_the_age_is_checked(hub: Hub) -> None:
    digest = hmac.digest(SECRETS[0].encode(), b"yesterday." + VECTOR, "sha256")
    assert at_vector(hub, f"yesterday, {base64.b64encode(digest).decode()}") == 401


@pytest.mark.parametrize(
    ("secrets", "status"),
    [([SECRETS[1]], 202), ([SECRETS[1], "other"], 202), (["other", SECRETS[0]], 202), (["other"], 401)],
)
def test_15_while_a_secret_is_exchanged_either_counts(hub: Hub, secrets: list[str], status: int) -> None:
    assert hub.post(EVENT, secrets=secrets) == status
    assert len(hub.events()) == (status == 202)


def test_15_letters_beyond_ascii_are_signed_as_they_are_sent(hub: Hub) -> None:
    event = json.loads(as_sent(EVENT))
    event["data"]["object"]["reason"] = "zu groß – Größe ✓"
    hub.tell(event)
    assert hub.document("ret_5823594809")["lines"][0]["reasons"] == [{"text": "zu groß – Größe ✓"}]


def test_15_the_other_grammar_is_taken_when_it_is_chosen_and_the_first_no_more(hub: Hub) -> None:
    hub.use(signature="stripe_like")
    assert hub.post(EVENT, form="stripe_like", secrets=SECRETS) == 202
    assert hub.post(fixture("fulfillment_return.pending__approved")) == 401


def test_an_endpoint_with_a_password_takes_the_password_and_nothing_else(hub: Hub) -> None:
    hub.use(signature="basic", webhook_user="${DR_USER}", webhook_password="${DR_PASSWORD}")
    assert hub.post(EVENT) == 401
    login = base64.b64encode(b"dr:dr-password").decode()
    assert hub.post(EVENT, headers={"Authorization": f"Basic {login}"}) == 202


def test_without_a_signature_everything_comes_in_when_that_was_chosen(hub: Hub) -> None:
    hub.use(signature="off")
    assert hub.post(EVENT, headers={}) == 202


def test_15_ten_at_once_are_one_event_and_ten_answers(hub: Hub) -> None:
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: hub.post(EVENT), range(10))) == {202}
    hub.run()
    assert [row["state"] for row in hub.events()] == ["done"]
    assert hub.facts("ret_5823594809") == ["return.registered"]


def test_a_secret_is_nowhere_in_what_was_kept(hub: Hub) -> None:
    hub.tell(EVENT)
    assert not [secret for secret in SECRETS if secret in repr(hub.ledger.event(hub.events()[0]["id"]))]


# --- what is taken, and what becomes of it -------------------------------------------------------


@pytest.mark.parametrize("spelling", ["liveMode", "livemode"])
def test_an_event_of_the_other_mode_is_kept_and_does_nothing(hub: Hub, spelling: str) -> None:
    event = fixture("fulfillment_return.accepted__live")
    event[spelling] = event.pop("liveMode")
    hub.tell(event)
    (row,) = hub.events()
    assert row["state"] == "ignored" and "other mode" in row["because"]
    assert hub.document("ret_5823594809") is None


def test_an_event_time_with_five_digits_behind_the_second_is_a_time(hub: Hub) -> None:
    event = {**EVENT, "createdTime": "2026-11-20T16:37:45.16798Z"}
    hub.tell(event)
    assert hub.events()[0]["state"] == "done"


@pytest.mark.parametrize("created", [{"time": 1606293465167}, None, 1606293465167])
def test_a_time_in_an_odd_form_is_nothing_to_fail_of(hub: Hub, created: Any) -> None:
    event = json.loads(as_sent({**EVENT, "createdTime": created}))
    event["data"]["object"]["createdTime"] = created
    hub.tell(event)
    assert hub.events()[0]["state"] == "done"


def test_fields_words_and_types_that_are_new_do_no_harm(hub: Hub) -> None:
    event = json.loads(as_sent(EVENT))
    event["data"]["object"]["newField"] = {"a": [1]}
    event["data"]["previousAttributes"] = {"state": "created"}
    hub.tell(event, {**event, "id": "e-2", "type": "fulfillment_return.lost_in_space"})
    assert [row["state"] for row in hub.events()] == ["done", "unknown"]


def test_an_unknown_state_parks_its_event_and_later_ones_go_on(hub: Hub) -> None:
    hub.tell(fixture("fulfillment_return.pending__unknown_state"), fixture("fulfillment_return.accepted__all"))
    assert [row["state"] for row in hub.events()] == ["parked", "done"]
    assert hub.document("ret_5823594809")["state"] == "decided"


def test_other_parts_of_the_platform_are_kept_and_not_read(hub: Hub) -> None:
    hub.tell(fixture("refund.complete__of_ours"), fixture("fulfillment_order.shipped__a_shipment"))
    assert {row["state"] for row in hub.events()} == {"ignored"}


def test_what_cannot_be_read_is_answered_like_all_else_so_that_the_endpoint_stays_on(hub: Hub) -> None:
    assert hub.post(b"no json") == 202
    assert hub.post(b"[]") == 202
    assert {row["state"] for row in hub.events()} == {"unreadable"}


def test_approval_tells_where_the_goods_go(hub: Hub) -> None:
    hub.tell(EVENT, fixture("fulfillment_return.pending__approved"))
    assert hub.facts("ret_5823594809") == ["return.registered", "return.approved"]
    assert hub.document("ret_5823594809")["ship_to"]["street"] == "1 Dock Street"


def test_the_vendor_signs_what_this_hub_takes_in_both_grammars() -> None:
    header = signed(VECTOR, [SECRETS[0]], VECTOR_AT)
    assert header == f"1739788399, {SIGNATURE}"
    assert signed(VECTOR, [SECRETS[0]], VECTOR_AT, form="stripe_like").startswith("t=1739788399,v1=")
