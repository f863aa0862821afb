"""A resolution process of the merchant's own: requests are fetched in batches, settled, and told as settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigError, DataError
from app.pipeline.request import build_request, find_operation
from tests.connectors.returnista_kit import Hub, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

LINE = {"order": "#1004800", "sku": "TEE-RED-M"}
APPROVED = {**LINE, "resolution": "Approved"}


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock, tmp_path) as made:
        yield made


def look(hub: Hub, poll: str) -> None:
    """Look two minutes later: a list lags a little, and the hub with it."""
    hub.clock.move(120)
    hub.poll(poll)


def status(hub: Hub, request_id: str) -> Any:
    return next(one["resolution"]["status"] for one in hub.platform.requests() if one["id"] == request_id)


def test_an_approved_request_is_settled_once_and_told_as_settled(hub: Hub) -> None:
    (built,) = hub.returns({"id": "ro-1", "lines": [APPROVED, LINE]})
    look(hub, "approved_requests")
    look(hub, "approved_requests")
    approved, open_ = (one["id"] for one in built["returnRequests"])
    assert [one.body["items"] for one in hub.made("settle")] == [[{"line": approved, "quantity": 1}]]
    assert [status(hub, one) for one in (approved, open_)] == ["Resolved", "Open"]
    assert hub.vendor.effects() == [f"resolution of {approved}: Resolved"]


def test_what_the_hub_itself_told_is_no_word_to_guess(hub: Hub) -> None:
    """The settled status comes back with the next look: the setting that it was told with says what it means."""
    hub.returns({"id": "ro-1", "lines": [APPROVED]})
    look(hub, "approved_requests")
    look(hub, "approved_requests")
    assert [row["state"] for row in hub.events()] == ["done", "done"]
    assert hub.document("ro-1")["lines"][0]["state"] == "accepted"
    assert len(hub.made("settle")) == 1


def test_a_request_that_is_not_decided_makes_no_event(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [LINE]})
    look(hub, "approved_requests")
    assert hub.events() == []
    assert hub.made("settle") == []


def test_10_a_filter_that_is_ignored_lets_through_neither_open_nor_old_requests(hub: Hub) -> None:
    hub.returns(
        {"id": "ro-1", "lines": [APPROVED]},
        {"id": "ro-2", "lines": [LINE]},
        {"id": "ro-3", "lines": [APPROVED], "updated_at": "2020-01-01T00:00Z"},
        quirks={"ignore_filter": True, "short_pages": True, "repeat_last": True},
    )
    look(hub, "approved_requests")
    assert [row["state"] for row in hub.events()] == ["done"]
    assert len(hub.made("settle")) == 1


def test_10_an_unknown_status_waits_for_a_person_and_settles_nothing(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [{**LINE, "resolution": "PartiallyApproved"}]})
    look(hub, "approved_requests")
    (event,) = hub.events()
    assert event["state"] == "parked"
    assert "PartiallyApproved" in event["because"]
    assert hub.made("settle") == []


def test_a_filter_by_stage_and_status_is_sent_as_the_setting_says(hub: Hub) -> None:
    hub.use(resolution_filter='"resolution.status:Approved"')
    hub.returns({"id": "ro-1", "lines": [APPROVED]}, {"id": "ro-2", "lines": [LINE]})
    look(hub, "approved_requests")
    assert {one.query["filter"][0] for one in hub.made("list_return_requests")} == {"resolution.status:Approved"}
    assert len(hub.made("settle")) == 1


def test_9_a_return_without_shipment_is_found_though_no_label_event_ever_comes(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [LINE], "created_without_shipment": True, "status": "Confirmed"})
    look(hub, "changed_returns")
    found = hub.document("ro-1")
    assert (found["state"], found["parcels"]) == ("approved", [])


def test_a_look_asks_once_for_each_return_and_keeps_no_person_in_its_events(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [LINE], "parcels": [{}]})
    for _ in range(3):
        look(hub, "changed_returns")
    assert len(hub.made("get_return_order")) == 1
    (event,) = hub.events()
    assert set(hub.ledger.read_event(event["id"]).body if hasattr(hub.ledger, "read_event") else {}) <= {
        "event",
        "data",
    }


def test_a_decided_sales_order_brings_the_return_order_that_it_names(hub: Hub) -> None:
    (built,) = hub.returns({"id": "ro-1", "lines": [APPROVED]})
    assert hub.tell("sales_order.approved_or_denied", "ro-1") == 200
    assert hub.document("ro-1")["lines"][0]["state"] == "accepted"
    assert status(hub, built["returnRequests"][0]["id"]) == "Resolved"


def test_one_fact_told_by_a_webhook_and_found_by_both_polls_is_settled_once(hub: Hub) -> None:
    hub.returns({"id": "ro-1", "lines": [APPROVED]})
    hub.tell("sales_order.approved_or_denied", "ro-1")
    look(hub, "changed_returns")
    look(hub, "approved_requests")
    assert len(hub.made("settle")) == 1
    assert len(hub.made("update_resolution")) == 1


def test_a_request_that_is_settled_already_is_not_updated_again(hub: Hub) -> None:
    """Somebody did it by hand between the shop's answer and the update."""
    (built,) = hub.returns({"id": "ro-1", "lines": [APPROVED]})
    first = built["returnRequests"][0]["id"]
    hub.shop.sim.misbehave("settle", "503")
    look(hub, "approved_requests")
    hub.vendor.misbehave("get_return_request", "503")
    hub.later(60)
    hub.platform.resolve(first, "Resolved")
    hub.later(600, times=3)
    assert hub.made("update_resolution") == []


@pytest.mark.parametrize("fault", ["drop", "drop_before_apply", "503"])
def test_an_update_whose_answer_is_lost_is_looked_for_and_made_once(hub: Hub, fault: str) -> None:
    (built,) = hub.returns({"id": "ro-1", "lines": [APPROVED]})
    hub.vendor.misbehave("update_resolution", fault)
    look(hub, "approved_requests")
    hub.later(300, times=3)
    assert hub.vendor.effects() == [f"resolution of {built['returnRequests'][0]['id']}: Resolved"]
    assert [row["state"] for row in hub.deliveries()] == ["done"]


@pytest.mark.parametrize("missing", ["resolution_path", "resolution_done"])
def test_a_route_that_updates_is_a_mistake_until_both_settings_are_given(hub: Hub, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"update_resolution of returnista_eu needs the setting {missing}") as told:
        hub.use(**{missing: "''"})
    assert [problem.file for problem in told.value.problems] == ["config/routes.yaml"]


def test_without_its_path_no_update_leaves_the_hub(hub: Hub) -> None:
    connection = hub.site.connections["returnista_eu"]
    bare = replace(connection, settings={**connection.settings, "resolution_path": []})
    operation = find_operation(bare, "update_resolution")
    with pytest.raises(DataError, match="setting resolution_path is empty"):
        build_request(bare, operation, {"id": "rr-1", "status": "Resolved"}, None, "key")
