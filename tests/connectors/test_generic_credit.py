"""What the warehouse accepted is credited and paid back by the ERP: each item once for ever."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.generic_erp import simulator as erp_simulator
from connectors.generic_wms import simulator as wms_simulator
from tests.connectors.example_site import ROOT
from tests.connectors.generic_kit import PLAIN, SECRET, SIGNED, Hub, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

ROUTES = """
routes:
  - route: credit
    change: line.accepted
    source: wms
    calls:
      - {to: erp.create_credit_note, mapping: return.to_generic_erp_credit}
      - {to: erp.post_refund, mapping: return.to_generic_erp_refund}
"""
GRADED = json.loads((ROOT / "connectors/generic_wms/fixtures/return.graded__in_part.json").read_text("utf-8"))


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    apps = {"wms": wms_simulator.create_app(secret=SECRET), "erp": erp_simulator.create_app(derive="SO-")}
    connections = SIGNED.format(name="wms", connector="generic_wms") + PLAIN.format(name="erp", connector="generic_erp")
    with (
        opened(migrated_sqlite, tmp_path, clock) as ledger,
        running_hub(ledger, clock, ROUTES, connections, apps) as made,
    ):
        yield made


def graded(accepted: int, number: int = 1) -> Any:
    """The warehouse's event that so many of three are accepted."""
    event = copy.deepcopy(GRADED)
    event["eventId"] = f"evt-{number}"
    event["data"]["updatedAt"] = f"2026-11-22T11:30:{number:02d}.000Z"
    event["data"]["lines"][0].update(accepted=accepted, rejected=0)
    return event


def effects(hub: Hub) -> list[str]:
    found: list[str] = hub.sims["erp"].effects()
    return found


def test_each_accepted_difference_is_credited_and_paid_back_once(hub: Hub) -> None:
    for event in (graded(1, 1), graded(1, 2), graded(3, 3), graded(3, 4), graded(1, 1)):
        hub.hear("wms", event)
    assert effects(hub) == [
        "credited 24.95 EUR as CN-000001",
        "refunded 24.95 EUR of CN-000001",
        "credited 49.90 EUR as CN-000002",
        "refunded 49.90 EUR of CN-000002",
    ]
    assert hub.made("erp", "create_credit_note")[0].body["lines"][0]["orderLine"] == "14729183650174"


@pytest.mark.parametrize("operation", ["create_credit_note", "post_refund"])
@pytest.mark.parametrize("mode", ["drop", "drop_before_apply", "503", "html502"])
def test_whatever_happens_on_the_way_money_goes_once(hub: Hub, operation: str, mode: str) -> None:
    hub.sims["erp"].misbehave(operation, mode)
    hub.hear("wms", graded(2))
    hub.later(600, times=4)
    assert [row["state"] for row in hub.deliveries("credit")] == ["done"]
    assert effects(hub) == ["credited 49.90 EUR as CN-000001", "refunded 49.90 EUR of CN-000001"]


def test_a_credit_note_that_is_there_under_our_reference_is_paid_back_and_not_made_again(hub: Hub) -> None:
    line = {"sku": "TEE-RED-M", "quantity": 2, "unitAmount": "24.95", "amount": "49.90"}
    body = {"externalReference": "WR-000001/line.accepted:1:2", "order": "SO-1", "currency": "EUR", "total": "49.90"}
    notes = {**body, "lines": [line], "number": "CN-77", "state": "POSTED"}
    hub.control("erp", "seed", credit_notes=[notes])
    hub.hear("wms", graded(2))
    assert effects(hub) == ["refunded 49.90 EUR of CN-77"]


def test_two_under_one_reference_are_left_to_a_person(hub: Hub) -> None:
    note = {"externalReference": "WR-000001/line.accepted:1:2", "total": "49.90", "currency": "EUR", "state": "POSTED"}
    hub.control("erp", "seed", credit_notes=[{**note, "number": "CN-1"}, {**note, "number": "CN-2"}])
    hub.hear("wms", graded(2))
    hub.later(600, times=2)
    assert effects(hub) == []
    assert [row["state"] for row in hub.deliveries("credit")] == ["in_doubt"]
