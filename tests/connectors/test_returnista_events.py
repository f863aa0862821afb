"""Returnista's webhooks from the door to the document: repeated, too early, in the wrong order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.connectors.returnista_kit import Hub, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

LINE = {"order": "#1004800", "sku": "TEE-RED-M"}
PARCEL = {"id": "s-1", "delivered": True}


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock, tmp_path) as made:
        yield made


def test_3_the_same_event_at_once_and_again_is_one_event(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [LINE], "parcels": [{"id": "s-1"}]})
    with ThreadPoolExecutor(5) as pool:
        statuses = list(pool.map(lambda _: hub.post("shipment.label_created", "s-1"), range(5)))
    hub.run()
    assert statuses == [200] * 5
    assert hub.tell("shipment.label_created", "s-1") == 200
    assert [row["state"] for row in hub.events()] == ["done"]
    assert len(hub.made("get_return_order")) == 1


def test_4_a_return_that_cannot_be_read_yet_is_read_later(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [LINE], "parcels": [{"id": "s-1"}]}, visible_after={"ro-1": 1})
    hub.tell("shipment.label_created", "s-1")
    assert hub.document("ro-1") is None
    hub.later(60, times=2)
    assert [parcel["state"] for parcel in hub.document("ro-1")["parcels"]] == ["labelled"]


def test_4_a_return_that_can_never_be_read_ends_as_a_dead_letter_and_not_in_silence(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [LINE], "parcels": [{"id": "s-1"}]}, visible_after={"ro-1": 10**6})
    hub.tell("shipment.label_created", "s-1")
    hub.later(600, times=20)
    assert [row["state"] for row in hub.events()] == ["dead"]


def test_8_delivered_before_its_label_event_never_goes_backwards(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [LINE], "parcels": [PARCEL]})
    for event in ("shipment.received_tracking_updates.delivered", "shipment.label_created"):
        assert hub.tell(event, "s-1") == 200
        assert [parcel["state"] for parcel in hub.document("ro-1")["parcels"]] == ["delivered"]
