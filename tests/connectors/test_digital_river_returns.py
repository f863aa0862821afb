"""Asking Digital River to take goods back: once for ever, whatever becomes of the request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.model import ReferenceKey
from connectors.simserve import running
from tests.connectors.digital_river_kit import Hub, running_hub
from tests.connectors.digital_river_site import MUG, ORDER, ROUTES, SHIRT
from tests.support import HandClock
from tests.unit.door_kit import opened

#: The call stands for whatever the shop is told with.
TELL = """
  - route: tell_the_shop
    change: return.rejected
    source: digital_river
    calls: [{to: digital_river.get_fulfillment_return, mapping: return.to_acme_shop}]
"""


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


def twin(hub: Hub, reason: str = "requested_by_customer", **more: Any) -> Any:
    """A return of one mug that was asked for by somebody else."""
    body = {
        "fulfillmentOrderId": str(ORDER["id"]),
        "upstreamId": ORDER["order"],
        "reason": reason,
        "items": [{"fulfillmentOrderItemId": MUG, "quantity": 1}],
        **more,
    }
    return hub.fulfiller.create(body).body


def running_door(hub: Hub) -> Any:
    """The hub's door on a real socket."""
    assert hub.door is not None
    hub.door.extensions.setdefault("simulator", hub.vendor)
    return running(hub.door)


def test_a_return_of_the_shop_is_asked_for_with_the_fulfillment_orders_ids(hub: Hub) -> None:
    hub.ask(("TEE-RED-M", 1), ("TEE-RED-M", 2), ("0012345", 1))
    (sent,) = hub.made("create_fulfillment_return")
    assert sent.body["fulfillmentOrderId"] == "9292981838"
    assert sent.body["upstreamId"] == "192251820336"
    assert sent.body["items"] == [
        {"fulfillmentOrderItemId": SHIRT, "quantity": 3},
        {"fulfillmentOrderItemId": MUG, "quantity": 1},
    ]
    assert hub.states() == ["done"]


def test_the_shops_number_and_the_vendors_are_one_story(hub: Hub) -> None:
    hub.ask(("0012345", 1))
    hub.tell(*hub.news())
    (made,) = hub.fulfiller.returns
    for number in ("R-1", made, "9292981838"):
        found = hub.ledger.find(number)
        assert {row[1] for row in found} >= {"shop"}, number


@pytest.mark.parametrize("mark", ["true", "false"])
def test_12_a_request_that_timed_out_but_was_taken_is_found_and_bound_and_not_sent_again(hub: Hub, mark: str) -> None:
    hub.use(mark_reason=mark)
    hub.vendor.misbehave("create_fulfillment_return", "drop")
    hub.ask(("0012345", 1))
    assert hub.states() == ["in_doubt"]
    hub.later()
    assert hub.states() == ["done"]
    assert len(hub.fulfiller.returns) == 1
    (made,) = hub.fulfiller.returns
    assert hub.ledger.find(made)


def test_12_a_request_that_never_arrived_is_sent_once_more(hub: Hub) -> None:
    hub.vendor.misbehave("create_fulfillment_return", "drop_before_apply")
    hub.ask(("0012345", 1))
    hub.later()
    assert hub.states() == ["done"]
    assert len(hub.fulfiller.returns) == 1


@pytest.mark.parametrize("mark", ["true", "false"])
def test_12_with_two_identical_earlier_returns_a_person_decides(hub: Hub, mark: str) -> None:
    hub.use(mark_reason=mark)
    hub.fulfiller.orders["9292981838"]["items"][1]["shipped"] = 3
    hub.clock.move(60)
    twin(hub)
    twin(hub)
    hub.clock.move(-60)
    hub.ask(("0012345", 1))
    assert hub.states() == ["in_doubt"]
    assert len(hub.fulfiller.returns) == 2
    hub.later(3600)
    assert len(hub.fulfiller.returns) == 2


def test_12_an_equal_return_that_was_asked_for_elsewhere_already_is_taken_for_it(hub: Hub) -> None:
    hub.clock.move(60)
    made = twin(hub)
    hub.clock.move(-60)
    hub.ask(("0012345", 1))
    assert hub.states() == ["done"]
    assert not hub.made("create_fulfillment_return")
    assert hub.ledger.find(made["id"])


def test_12_a_second_equal_return_of_the_same_order_is_a_return_of_its_own(hub: Hub) -> None:
    hub.fulfiller.orders["9292981838"]["items"][1]["shipped"] = 3
    hub.ask(("0012345", 1), return_="R-1")
    hub.ask(("0012345", 1), return_="R-2")
    assert hub.states() == ["done", "done"]
    assert len(hub.fulfiller.returns) == 2


def test_without_a_mark_an_equal_return_from_before_is_another(hub: Hub) -> None:
    hub.use(mark_reason="false")
    hub.fulfiller.orders["9292981838"]["items"][1]["shipped"] = 3
    hub.ask(("0012345", 1), return_="R-1")
    hub.clock.move(3600)
    hub.ask(("0012345", 1), return_="R-2")
    assert len(hub.fulfiller.returns) == 2


def test_the_return_that_it_was_asked_for_is_found_again_from_the_vendors_number(hub: Hub) -> None:
    hub.use(ROUTES + TELL)
    hub.ask(("0012345", 1))
    (made,) = hub.fulfiller.returns
    hub.fulfiller.reject(made)
    hub.tell(*hub.news())
    known = hub.ledger.find_reference(ReferenceKey("fulfillment_return", "digital_river", "shop", made))
    assert known is not None and known.to_id == "R-1"


def test_a_warehouse_return_has_nobody_to_tell(hub: Hub) -> None:
    hub.use(ROUTES + TELL)
    item = {"fulfillmentOrderItemId": MUG, "quantity": 1}
    made = hub.fulfiller.refuse_shipment({"fulfillmentOrderId": "9292981838", "items": [item]})["id"]
    hub.fulfiller.reject(made)
    hub.tell(*hub.news())
    assert hub.states("tell_the_shop") == ["parked"]


def test_12_the_list_is_read_to_its_end_before_it_is_asked_again(hub: Hub) -> None:
    for _ in range(105):
        twin(hub, "backhaul dlv_0.1 R-0: requested_by_customer")
    before = len(hub.fulfiller.returns)
    hub.vendor.misbehave("create_fulfillment_return", "drop")
    hub.ask(("0012345", 1))
    hub.later()
    assert hub.states() == ["done"]
    assert len(hub.fulfiller.returns) == before + 1


@pytest.mark.parametrize("quirk", ["stuck_cursor", "ignore_filters"])
def test_a_list_that_does_not_heed_what_it_is_asked_for_ends_all_the_same(hub: Hub, quirk: str) -> None:
    hub.fulfiller.seed({"orders": [{**ORDER, "id": 77, "order": "77"}]})
    for _ in range(120):
        made = twin(hub, fulfillmentOrderId="77", upstreamId="77")
        # Listed with the order that is asked for.
        hub.fulfiller.returns[made["id"]]["fulfillmentOrderId"] = "9292981838"
    hub.fulfiller.quirks[quirk] = True
    hub.ask(("0012345", 1))
    assert hub.states() == ["done"]
    assert len(hub.made("create_fulfillment_return")) == 1
    assert len(hub.made("list_fulfillment_returns")) <= 3


def test_13_a_created_event_before_the_answer_is_the_same_return(hub: Hub) -> None:
    with running_door(hub) as url:
        hub.fulfiller.quirks["event_first"] = f"{url}/webhooks/digital_river"
        hub.ask(("0012345", 1))
    assert hub.vendor.mail.untaken == []
    (made,) = hub.fulfiller.returns
    assert hub.document(made)["state"] == "requested"
    assert hub.states() == ["done"]
    assert len(hub.made("create_fulfillment_return")) == 1


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"quantity": 1, "shipped": 0}, "fulfillment order 9292981838 is pending"),
        ({"quantity": 2, "shipped": 1}, "more of item 5 is to come back than the 1"),
        ({"article": "OTHER"}, "not every line of the return is in fulfillment order 9292981838"),
    ],
)
def test_what_was_not_shipped_is_refused_with_the_reason(hub: Hub, item: dict[str, Any], says: str) -> None:
    lines = [{"id": 5, "article": "0012345", "quantity": 2, **item}]
    hub.fulfiller.seed({"orders": [{**ORDER, "items": lines}]})
    hub.ask(("0012345", 2))
    (row,) = hub.deliveries()
    assert row["state"] == "dead" and says in row["because"]
    assert not hub.made("create_fulfillment_return")


def test_an_order_that_the_fulfiller_does_not_know_yet_waits_until_it_does(hub: Hub) -> None:
    hub.fulfiller.orders.clear()
    hub.ask(("0012345", 1))
    assert hub.states() == ["parked"]
    hub.fulfiller.seed({"orders": [ORDER]})
    hub.later(3600)
    assert hub.states() == ["done"]


def test_an_order_with_several_fulfillment_orders_is_for_a_person(hub: Hub) -> None:
    hub.fulfiller.seed({"orders": [{**ORDER, "id": 9292981839}]})
    hub.ask(("0012345", 1))
    (row,) = hub.deliveries()
    assert row["state"] == "conflict" and "9292981838" in row["because"] and "9292981839" in row["because"]


@pytest.mark.parametrize("style", ["plain", "brackets"])
def test_a_fulfillment_order_is_found_whether_or_not_the_filter_is_heeded(hub: Hub, style: str) -> None:
    hub.use(list_parameter=style)
    hub.fulfiller.quirks["brackets"] = True
    hub.fulfiller.seed({"orders": [{**ORDER, "id": 1, "order": "1922518203360"}]})
    hub.ask(("0012345", 1))
    assert hub.states() == ["done"]
    (asked,) = hub.made("list_fulfillment_orders")
    assert next(iter(asked.query)) == ("upstreamIds" if style == "plain" else "upstreamIds[]")


@pytest.mark.parametrize("retry_after", [None, 120])
def test_a_rate_limit_is_waited_for_as_long_as_it_asks(hub: Hub, retry_after: int | None) -> None:
    hub.vendor.misbehave("create_fulfillment_return", "429", retry_after=retry_after)
    hub.ask(("0012345", 1))
    if retry_after:
        hub.later(100)
        assert len(hub.made("create_fulfillment_return")) == 1
    hub.later(300)
    assert hub.states() == ["done"]
    assert len(hub.fulfiller.returns) == 1


@pytest.mark.parametrize("mode", ["503", "html502"])
def test_a_vendor_that_is_down_is_tried_again_and_takes_it_once(hub: Hub, mode: str) -> None:
    hub.vendor.misbehave("create_fulfillment_return", mode, times=2)
    hub.ask(("0012345", 1))
    hub.later(300, times=4)
    assert hub.states() == ["done"]
    assert len(hub.fulfiller.returns) == 1


def test_a_conflict_is_not_tried_again_and_tells_the_vendors_reason(hub: Hub) -> None:
    hub.ask(("0012345", 1), run=False)
    hub._read("shop")
    hub._deliver("digital_river")
    hub.fulfiller.orders["9292981838"]["items"][1]["shipped"] = 0
    hub.run()
    (row,) = hub.deliveries()
    assert row["state"] == "dead" and "greater than the shipped quantity" in row["because"]
    hub.later(7200, times=3)
    assert len(hub.made("create_fulfillment_return")) == 1
