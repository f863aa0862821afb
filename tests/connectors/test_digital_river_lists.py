"""Lists read to their end, and what polling finds that no webhook told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.pipeline.call import PagesStopped
from tests.connectors.digital_river_kit import Hub, running_hub
from tests.connectors.digital_river_site import MUG, SHIRT
from tests.support import HandClock
from tests.unit.door_kit import opened


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


def many(hub: Hub, count: int) -> list[str]:
    """So many returns of one mug; their ids, newest first."""
    body = {
        "fulfillmentOrderId": "9292981838",
        "upstreamId": "192251820336",
        "items": [{"fulfillmentOrderItemId": MUG, "quantity": 1}],
    }
    return [hub.fulfiller.create(body).body["id"] for _ in range(count)][::-1]


def listed(hub: Hub, operation: str, **args: Any) -> list[str]:
    """The ids that an operation's pages hold."""
    return [str(item["id"]) for item in hub.caller.pages("digital_river", operation, args)]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (100, 1), (101, 2), (250, 3)])
def test_a_list_is_read_to_its_end(hub: Hub, count: int, pages: int) -> None:
    wanted = many(hub, count)
    assert listed(hub, "list_fulfillment_returns") == wanted
    assert len(hub.made("list_fulfillment_returns")) == pages
    assert listed(hub, "list_events", type="fulfillment_return.*") == [
        event["id"] for event in reversed(hub.fulfiller.events)
    ]


@pytest.mark.parametrize(("count", "pages"), [(99, 1), (100, 2), (101, 2)])
def test_a_list_without_has_more_is_read_to_the_first_page_that_is_not_full(hub: Hub, count: int, pages: int) -> None:
    item = [{"article": "A"}]
    hub.fulfiller.orders.clear()
    hub.fulfiller.seed({"orders": [{"id": number, "order": "7", "items": item} for number in range(1, count + 1)]})
    assert len(listed(hub, "list_fulfillment_orders", order="7")) == count
    assert len(hub.made("list_fulfillment_orders")) == pages


def test_a_cursor_that_does_not_move_ends_the_list(hub: Hub) -> None:
    many(hub, 150)
    hub.fulfiller.quirks["stuck_cursor"] = True
    assert len(listed(hub, "list_fulfillment_returns")) == 100
    assert len(hub.made("list_fulfillment_returns")) == 2


def test_a_page_that_cannot_be_had_is_no_short_list(hub: Hub) -> None:
    many(hub, 150)
    hub.vendor.misbehave("list_fulfillment_returns", "503")
    with pytest.raises(PagesStopped):
        listed(hub, "list_fulfillment_returns")


def test_events_are_kept_for_thirty_days(hub: Hub) -> None:
    many(hub, 1)
    hub.clock.move(31 * 86_400)
    assert listed(hub, "list_events") == []


# --- polls ---------------------------------------------------------------------------------------


def test_missed_events_are_healed_from_the_list_of_events(hub: Hub) -> None:
    (made,) = many(hub, 1)
    hub.fulfiller.approve(made)
    hub.clock.move(120)
    hub.poll("missed_events")
    assert hub.document(made)["state"] == "approved"
    hub.tell(*hub.news())
    assert len(hub.events()) == 2


@pytest.mark.parametrize("state", ["created", "pending"])
def test_a_return_that_waits_is_found_by_its_state_when_no_event_is_left(hub: Hub, state: str) -> None:
    (made,) = many(hub, 1)
    if state == "pending":
        hub.fulfiller.approve(made)
    hub.fulfiller.events.clear()
    hub.clock.move(40 * 86_400)
    hub.poll(f"{state}_returns")
    assert hub.document(made)["version"] == (1 if state == "pending" else 0)


def test_what_has_not_changed_is_no_news(hub: Hub) -> None:
    (made,) = many(hub, 1)
    for _ in range(3):
        hub.clock.move(1800)
        hub.poll("created_returns")
    assert len(hub.events()) == 1
    hub.fulfiller.approve(made)
    hub.poll("created_returns")
    hub.poll("pending_returns")
    assert len(hub.events()) == 2


def test_the_rest_of_a_partial_acceptance_is_found_and_paid_once(hub: Hub) -> None:
    hub.ask(("TEE-RED-M", 3))
    (made,) = hub.fulfiller.returns
    hub.fulfiller.accept(made, {SHIRT: 1})
    hub.tell(*hub.news())
    hub.fulfiller.accept(made, {SHIRT: 1}, quiet=True)
    hub.clock.move(120)
    for _ in range(2):
        hub.poll("partly_accepted_returns")
    assert hub.paid("8001") == [1, 1]
