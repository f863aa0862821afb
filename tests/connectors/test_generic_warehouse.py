"""What the warehouse found becomes the hub's return, and what will not come is not waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.files import load_site
from app.core.signatures import sign, verify
from connectors.generic_wms import simulator
from tests.connectors.example_site import environment
from tests.connectors.generic_kit import SECRET, SIGNED, Hub, listener, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

RMA = "R-1/#1004800"
ROUTES = """
routes:
  - route: announce
    change: return.labelled
    source: platform
    calls: [{to: wms.announce_grouped_return, mapping: return.to_acme_wms}]
  - route: cancel
    change: return.cancelled
    source: platform
    calls: [{to: wms.cancel_return, mapping: return.to_generic_wms_cancel}]
"""
ANNOUNCE = """
mapping: return.to_acme_wms
split: {each: "{{ return.orders }}", as: order, key: "{{ order.number }}"}
body:
  rmaNumber: "{{ return.id }}/{{ order.number }}"
  returnId: "{{ return.id }}"
  parcels: [{trackingNumber: T-1}]
  orders:
    - shopOrder: "{{ order.number }}"
      lines:
        $each: "{{ return.lines }}"
        $as: line
        $do: {sku: "{{ line.sku }}", quantity: "{{ line.quantity.announced }}"}
"""
SHIRTS = [{"key": "l-1", "order": "#1004800", "sku": "TEE", "quantity": {"announced": 3}}]
PARCELS = [{"id": "p-1", "tracking_number": "T-1", "state": "labelled"}]


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    apps, connection = {"wms": simulator.create_app(secret=SECRET)}, SIGNED.format(name="wms", connector="generic_wms")
    files = {"mappings/return.to_acme_wms.yaml": ANNOUNCE}
    with (
        opened(migrated_sqlite, tmp_path, clock) as ledger,
        running_hub(ledger, clock, ROUTES, connection, apps, **files) as made,
    ):
        yield made


def announced(hub: Hub) -> None:
    hub.tell("R-1", lines=SHIRTS, parcels=PARCELS)
    assert [row["state"] for row in hub.deliveries("announce")] == ["done"]


def graded(hub: Hub, **wanted: Any) -> Any:
    """The event of a grading of the announced return."""
    return hub.control("wms", "grade", rma=RMA, **wanted)["event"]


def line(**numbers: Any) -> list[dict[str, Any]]:
    return [{"sku": "TEE", **numbers}]


def seen(hub: Hub) -> Any:
    return hub.head("return", "wms", "WR-000001")


def facts(hub: Hub) -> list[str]:
    return hub.changes_of("return", "wms", "WR-000001")


# --- what the warehouse tells --------------------------------------------------------------------


def test_received_and_then_graded_in_part_tells_each_fact_once(hub: Hub) -> None:
    announced(hub)
    received = graded(hub, event="return.received", lines=line(received=3))
    part = graded(hub, lines=line(received=3, accepted=1), status="GRADING")
    rest = graded(hub, lines=line(received=3, accepted=2, rejected=1, condition="B", decisionReason="WORN"))
    for event in (received, part, part, rest, {**rest, "eventId": "again"}):
        hub.hear("wms", event)
    assert [fact for fact in facts(hub) if fact.startswith(("line.", "return.decided"))] == [
        "line.received:1:3",
        "line.accepted:1:1",
        "line.accepted:1:2",
        "line.rejected:1:1",
        "return.decided",
    ]
    (found,) = seen(hub)["lines"]
    assert found["quantity"] == {"announced": 3, "received": 3, "accepted": 2, "rejected": 1}
    assert (found["condition"], found["decision_reason"]) == ("B", "WORN")


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(4)).map(list), again=st.lists(st.integers(0, 3), max_size=3))
def test_in_whatever_order_and_however_often_it_comes_the_same_is_accepted(
    order: list[int], again: list[int], tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path
) -> None:
    clock = HandClock()
    apps, connection = {"wms": simulator.create_app(secret=SECRET)}, SIGNED.format(name="wms", connector="generic_wms")
    files = {"mappings/return.to_acme_wms.yaml": ANNOUNCE}
    with (
        opened(migrated_sqlite, tmp_path_factory.mktemp("any"), clock) as ledger,
        running_hub(ledger, clock, ROUTES, connection, apps, **files) as hub,
    ):
        announced(hub)
        told = [graded(hub, lines=line(received=3, accepted=number)) for number in range(4)]
        for place in (*order, *again):
            hub.hear("wms", told[place])
        assert seen(hub)["lines"][0]["quantity"]["accepted"] == 3
        accepted = [fact for fact in facts(hub) if fact.startswith("line.accepted")]
        assert accepted[-1] == "line.accepted:1:3" and len(accepted) == len(set(accepted))
        assert not [row for row in hub.ledger.tasks({}, 10) if row["kind"] == "reversal"]


def test_the_warehouses_return_is_found_by_the_platforms_number_and_by_its_own(hub: Hub) -> None:
    announced(hub)
    hub.hear("wms", graded(hub, lines=line(received=3, accepted=3)))
    assert seen(hub)["upstream"] == [{"id": "R-1", "kind": "return"}, {"id": RMA, "kind": "rma"}]
    for number in ("R-1", "WR-000001", RMA):
        assert ("return", "wms", "WR-000001") in hub.ledger.find(number)


def test_an_unexpected_item_is_a_task_for_a_person_once(hub: Hub) -> None:
    announced(hub)
    event = graded(hub, event="item.unexpected", unexpected=[{"sku": "MUG", "received": 1}])
    for told in (event, event, {**event, "eventId": "again"}):
        hub.hear("wms", told)
    (task,) = hub.ledger.tasks({}, 10)
    assert task["kind"] == "law"
    assert "received 1 of 0 announced" in task["because"]
    assert seen(hub)["lines"][1]["key"] == "unexpected-U-1"


def test_a_parcel_that_nobody_announced_is_a_return_of_its_own(hub: Hub) -> None:
    event = hub.control("wms", "grade", event="item.unexpected", unexpected=[{"sku": "1e5", "received": 2}])["event"]
    hub.hear("wms", event)
    found = hub.head("return", "wms", "WR-900001")
    assert (found["lines"][0]["sku"], found["orders"], found["upstream"]) == ("1e5", [], [])
    assert len(hub.ledger.tasks({}, 10)) == 1


def test_a_state_that_nobody_knows_is_kept_for_a_person(hub: Hub) -> None:
    announced(hub)
    hub.hear("wms", graded(hub, lines=line(received=1), set={"status": "TELEPORTED"}))
    event = hub.events()[-1]
    assert event["state"] in ("parked", "review") and "TELEPORTED" in event["because"]


def test_two_different_pictures_of_one_moment_are_settled_by_asking_the_warehouse(hub: Hub) -> None:
    announced(hub)
    event = graded(hub, lines=line(received=3, accepted=3))
    hub.hear("wms", event)
    other = {**event, "eventId": "other", "data": {**event["data"], "market": "FR"}}
    hub.hear("wms", other)
    hub.later()
    assert hub.made("wms", "get_return")
    assert "market" not in seen(hub)


# --- who tells it --------------------------------------------------------------------------------


def test_an_unsigned_or_wrongly_signed_message_is_refused(hub: Hub) -> None:
    announced(hub)
    event = graded(hub, lines=line(received=3))
    assert hub.post("wms", event, signed=False) == 401
    assert hub.post("wms", event, secret="sim-token") == 401
    assert hub.post("wms", event) == 200


def test_without_a_secret_of_its_own_the_access_token_signs_and_nothing_comes_in_unsigned(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "connections.yaml").write_text(
        "connections:\n  wms_eu:\n    connector: generic_wms\n"
        "    settings: {base_url: 'http://wms.example.com', token: '${WMS_TOKEN}'}\n"
    )
    config = load_site(tmp_path, env=environment()).connections["wms_eu"].verify
    assert config
    body, now = b'{"event":"ping"}', HandClock().now()
    assert not verify(config, {}, body, now).ok
    signed = {name.lower(): text for name, text in sign({**config, "secrets": ["sim-token"]}, body, now).items()}
    assert verify(config, signed, body, now).ok


# --- what will not come --------------------------------------------------------------------------


def cancelled(hub: Hub, parcels: Any = PARCELS) -> list[str]:
    hub.clock.move(1)
    hub.tell("R-1", lines=SHIRTS, parcels=parcels, state="cancelled")
    return [row["state"] for row in hub.deliveries("cancel")]


def test_a_cancelled_return_is_not_waited_for(hub: Hub) -> None:
    announced(hub)
    assert cancelled(hub) == ["done"]
    assert hub.sims["wms"].effects()[-1] == f"cancelled {RMA}"


def test_a_lost_answer_to_a_cancelling_cancels_once(hub: Hub) -> None:
    announced(hub)
    hub.sims["wms"].misbehave("cancel_return", "drop")
    cancelled(hub)
    hub.later(600, times=3)
    assert [row["state"] for row in hub.deliveries("cancel")] == ["done"]
    assert hub.sims["wms"].effects().count(f"cancelled {RMA}") == 1


def test_what_has_arrived_cannot_be_cancelled_and_says_so(hub: Hub) -> None:
    announced(hub)
    graded(hub, event="return.received", lines=line(received=3))
    assert cancelled(hub) == ["dead"]
    assert "has received it already" in hub.deliveries("cancel")[0]["because"]


def test_a_return_that_was_never_announced_needs_no_cancelling(hub: Hub) -> None:
    hub.tell("R-1", lines=SHIRTS)
    assert cancelled(hub, parcels=[]) == ["done"]
    assert hub.sims["wms"].effects() == []


def test_the_simulator_sends_what_it_grades_signed_to_a_hub(hub: Hub) -> None:
    announced(hub)
    with listener() as (url, heard):
        answer = hub.control("wms", "grade", rma=RMA, lines=line(received=3), url=url, copies=2, concurrent=True)
    assert answer["statuses"] == [200, 200]
    scheme = {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": SECRET}
    assert all(verify(scheme, headers, body, hub.clock.now()).ok for headers, body in heard)
