"""One return that four systems know under four numbers is one story, whichever of them somebody asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.pipeline.story import tell
from tests.flows.kit import Flows

RETURN, ORDER, IN_ERP = "RET-2026-0042", "US-ORDER-1234", "0000012E4"
PLATFORM, RIVER = "{hub}/webhooks/returnista_eu", "{hub}/webhooks/digital_river"
PARCEL = "parcel-0042"


@pytest.fixture
def world(flows: Flows) -> Flows:
    """The example site whose own warehouse is told of every return, so that the ERP's number is needed too."""
    told = tuple(
        replace(route, when=None) if route.name == "announce_to_warehouse" else route for route in flows.site.routes
    )
    flows.open(replace(flows.site, routes=told))
    flows.seed("erp", orders=[{"externalNumber": ORDER, "number": IN_ERP}])
    item = {"id": 92929810421, "order_item": "8001", "article": "TEE-RED-M", "quantity": 3, "price": "10.00"}
    flows.seed("refunds", orders=[{"id": 9292981042, "order": ORDER, "items": [item]}])
    return flows


def register(flows: Flows, return_: str = RETURN, parcel: str = PARCEL) -> str:
    """A customer registers a return and prints a label; the id of the fulfillment return that comes of it."""
    lines = [{"order": ORDER, "sku": "TEE-RED-M"}]
    parcels = [{"id": parcel, "tracking_number": f"3S{parcel}"}]
    flows.seed("platform", build=[{"id": return_, "status": "Confirmed", "lines": lines, "parcels": parcels}])
    flows.ask("platform", event="shipment.label_created", id=parcel, url=PLATFORM)
    return str(list(flows.sims["refunds"].coordination.returns)[-1])


def fulfil(flows: Flows, *acts: str, return_: str) -> None:
    """The fulfiller does this, one after the other, and tells it."""
    for act in acts:
        flows.ask("refunds", "/_sim/fulfill", **{"return": return_, "do": act, "url": RIVER})


def stories(flows: Flows, number: str) -> list[Any]:
    """The stories that a number leads to."""
    found: list[Any] = tell(flows.ledger, number)["stories"]
    return found


def test_each_of_the_four_numbers_tells_the_same_story_of_all_systems(world: Flows) -> None:
    in_river = register(world)
    fulfil(world, "approve", "accept", return_=in_river)
    (story,) = stories(world, RETURN)
    for number in (ORDER, IN_ERP, in_river):
        assert stories(world, number) == [story], number
    assert {one["connection"] for one in story["objects"]} == {"returnista_eu", "digital_river"}
    told = [entry["title"] for entry in story["entries"]]
    events = {entry["connection"] for entry in story["entries"] if entry["what"] == "event"}
    assert events == {"returnista_eu", "digital_river"}
    routes = [entry["title"] for entry in story["entries"] if entry["what"] == "end"]
    for route in ("ask_to_take_back", "announce_to_warehouse", "tell_return_address", "pay_back_accepted"):
        assert sum(title.startswith(route) and title.endswith(": done") for title in routes) == 1, routes
    for call in ("erp.find_order", "digital_river.create_refund", "store.set_return_address", "wms_eu.announce_return"):
        assert any(title.startswith(call) for title in told), call
    assert any(entry["what"] == "reference" and IN_ERP in entry["title"] for entry in story["entries"])
    assert not story["open"]


def test_the_numbers_themselves_stand_in_the_story(world: Flows) -> None:
    in_river = register(world)
    fulfil(world, "approve", return_=in_river)
    (story,) = stories(world, in_river)
    assert {RETURN, in_river} <= set(story["numbers"]["return"])
    assert ORDER in story["numbers"]["order"] and IN_ERP in story["numbers"]["erp order"]


def test_it_is_found_as_people_write_it(world: Flows) -> None:
    in_river = register(world)
    fulfil(world, "approve", return_=in_river)
    (story,) = stories(world, RETURN)
    for number in (RETURN.lower(), f"#{ORDER}", f" {ORDER.lower()} ", in_river.upper(), IN_ERP.lower()):
        assert stories(world, number) == [story], number


def test_a_story_whose_events_came_before_the_answer_that_links_them_is_one(world: Flows) -> None:
    """The fulfiller's message is quicker than the answer to the request that made its return."""
    world.sims["refunds"].coordination.quirks["event_first"] = f"{world.url}/webhooks/digital_river"
    in_river = register(world)
    assert [row["type"] for row in world.events()].count("fulfillment_return.created") == 1
    (story,) = stories(world, in_river)
    assert [stories(world, number) for number in (RETURN, ORDER, IN_ERP)] == [[story]] * 3


def test_a_request_whose_answer_was_lost_is_in_the_story_once_it_was_found_again(world: Flows) -> None:
    world.misbehave("refunds", "create_fulfillment_return", "drop")
    in_river = register(world)
    fulfil(world, "approve", return_=in_river)
    world.later(300, times=3)
    (story,) = stories(world, in_river)
    assert {one["connection"] for one in story["objects"]} == {"returnista_eu", "digital_river"}
    assert [stories(world, number) for number in (RETURN, ORDER, IN_ERP)] == [[story]] * 3


def test_two_returns_of_one_order_stay_two_stories_and_the_orders_numbers_find_both(world: Flows) -> None:
    first = register(world)
    second = register(world, "RET-2026-0043", "parcel-0043")
    fulfil(world, "approve", "accept", return_=first)
    fulfil(world, "approve", "reject", return_=second)
    one, other = stories(world, RETURN), stories(world, "RET-2026-0043")
    assert len(one) == len(other) == 1 and one != other
    assert stories(world, first) == one and stories(world, second) == other
    for number in (ORDER, IN_ERP):
        found = stories(world, number)
        assert len(found) == 2 and all(story in found for story in (*one, *other))
