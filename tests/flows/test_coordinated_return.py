"""Coordinated returns: asked for once, the address to the shop, the accepted difference paid back, rejections told."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from tests.flows.kit import Flows

PLATFORM, RIVER = "{hub}/webhooks/returnista_eu", "{hub}/webhooks/digital_river"
ASK, ADDRESS, PAY, REJECTED = "ask_to_take_back", "tell_return_address", "pay_back_accepted", "tell_rejected"
SHIRT, MUG = "92929810011", "92929810012"
ORDER = {
    "id": 9292981001,
    "order": "US-1",
    "items": [
        {"id": int(SHIRT), "order_item": "8001", "article": "TEE-RED-M", "quantity": 3, "price": "10.00"},
        {"id": int(MUG), "order_item": "8002", "article": "MUG-01", "price": "25.50"},
    ],
}


def register(
    flows: Flows, *lines: tuple[str, int], return_: str = "RET-1", order: str = "US-1", **more: Any
) -> list[str]:
    """A customer registers a return of articles at the platform, which tells it; the ids of the requests."""
    if not flows.sims["refunds"].coordination.orders:
        flows.seed("refunds", orders=[ORDER])
    told = [{"order": order, "sku": sku, "quantity": quantity} for sku, quantity in lines]
    spec = {"id": return_, "status": "Confirmed", "created_without_shipment": True, "lines": told, **more}
    (built,) = flows.seed("platform", build=[spec])["built"]
    flows.ask("platform", event="return_order.created", id=return_, url=PLATFORM)
    return [one["id"] for one in built["returnRequests"]]


def fulfil(flows: Flows, do: str, *, tell: bool = True, **how: Any) -> None:
    """The fulfiller approves, accepts or rejects the newest return of US-1, and tells it."""
    flows.ask("refunds", "/_sim/fulfill", **{"order": "US-1", "do": do, **how, **({"url": RIVER} if tell else {})})


def taken_back(flows: Flows) -> str:
    """The id of the only fulfillment return."""
    (id_,) = flows.sims["refunds"].coordination.returns
    return str(id_)


def paid(flows: Flows) -> list[list[tuple[str, int]]]:
    """The items and quantities of each refund, in order."""
    return [
        [(line["itemId"], line["quantity"]) for line in one["items"]]
        for one in flows.sims["refunds"].refunds.refunds.values()
    ]


def test_the_way_of_a_return_from_its_registration_to_its_refund(flows: Flows) -> None:
    register(flows, ("TEE-RED-M", 3), ("MUG-01", 1))
    id_ = taken_back(flows)
    assert flows.effects("refunds") == [f"return {id_} of 9292981001 with 3 of {SHIRT}, 1 of {MUG}"]
    fulfil(flows, "approve")
    assert flows.effects("shop") == ["return RET-1 of US-1 goes to 1 Dock Street"]
    (told,) = flows.made("shop", "set_return_address")
    assert told.body["reference"] == id_ and told.body["address"]["postalCode"] == "38118"
    fulfil(flows, "accept", items={SHIRT: 1})
    assert paid(flows) == [[("8001", 1)]]
    fulfil(flows, "accept")
    assert sorted(paid(flows)) == [[("8001", 1)], [("8001", 2)], [("8002", 1)]]
    assert flows.routes() == {ASK: ["done"], ADDRESS: ["done"], PAY: ["done"] * 3}
    assert not flows.effects("platform") and not flows.effects("warehouse") and not flows.effects("erp")


def test_what_is_rejected_is_told_to_the_platform_item_by_item(flows: Flows) -> None:
    requests = register(flows, ("TEE-RED-M", 3), ("MUG-01", 1))
    fulfil(flows, "approve")
    fulfil(flows, "reject")
    assert sorted(flows.effects("platform")) == sorted(f"resolution of {one}: Denied" for one in requests)
    assert flows.states(REJECTED) == ["done"] * 4
    assert not paid(flows)


def test_of_equal_items_some_of_which_were_accepted_only_the_others_are_told_as_rejected(flows: Flows) -> None:
    requests = register(flows, ("TEE-RED-M", 3))
    fulfil(flows, "accept", items={SHIRT: 2})
    fulfil(flows, "reject")
    assert paid(flows) == [[("8001", 2)]]
    (told,) = flows.effects("platform")
    assert told in [f"resolution of {one}: Denied" for one in requests]


def test_what_the_hub_told_comes_back_as_rejected_and_is_no_word_to_guess(flows: Flows) -> None:
    register(flows, ("MUG-01", 1))
    fulfil(flows, "reject")
    flows.clock.move(1)
    flows.ask(
        "platform",
        event="return_order.completed",
        id="RET-1",
        url=PLATFORM,
        set={"updatedAt": flows.clock.now().isoformat()},
    )
    assert flows.head("return", "returnista_eu", "RET-1")["lines"][0]["state"] == "rejected"
    assert {row["state"] for row in flows.events()} == {"done"}
    assert len(flows.effects("platform")) == 1


def test_until_it_is_configured_the_platform_is_not_told_and_all_else_goes_on(flows: Flows) -> None:
    platform = flows.site.connections["returnista_eu"]
    empty = {"resolution_path": "", "resolution_done": "", "resolution_denied": ""}
    told = replace(platform, settings={**platform.settings, **empty})
    flows.open(replace(flows.site, connections={**flows.site.connections, "returnista_eu": told}))
    register(flows, ("MUG-01", 1))
    fulfil(flows, "reject")
    assert flows.states(REJECTED) == ["skipped"] and not flows.effects("platform")


def test_a_fact_that_is_told_often_and_by_polls_too_has_its_effects_once(flows: Flows) -> None:
    register(flows, ("TEE-RED-M", 3))
    for _ in range(2):
        flows.ask("platform", event="return_order.confirmed", id="RET-1", url=PLATFORM)
    for act in ({"do": "approve"}, {"do": "accept", "items": {SHIRT: 1}}, {"do": "accept"}):
        fulfil(flows, **act)
        flows.ask("refunds", url=RIVER, copies=2, concurrent=True)
        flows.poll("digital_river")
    assert len(flows.made("refunds", "create_fulfillment_return")) == 1
    assert len(flows.made("shop", "set_return_address")) == 1
    assert paid(flows) == [[("8001", 1)], [("8001", 2)]]
    assert not flows.tasks()


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_whatever_order_the_events_come_the_whole_is_paid_back_once(flows: Flows, order: tuple[int, ...]) -> None:
    register(flows, ("TEE-RED-M", 3))
    fulfil(flows, "approve", tell=False)
    fulfil(flows, "accept", items={SHIRT: 1}, tell=False)
    fulfil(flows, "accept", tell=False)
    news = [one for one in flows.sims["refunds"].coordination.events if one["type"].startswith("fulfillment_return.")]
    flows.ask("refunds", url=RIVER, events=[news[place] for place in order])
    assert sum(quantity for one in paid(flows) for _, quantity in one) == 3
    assert len(flows.made("shop", "set_return_address")) <= 1
    assert {state for states in flows.routes().values() for state in states} <= {"done", "skipped"}


def test_what_no_event_told_is_found_by_the_polls(flows: Flows) -> None:
    register(flows, ("TEE-RED-M", 3))
    fulfil(flows, "approve", tell=False)
    flows.poll("digital_river", "pending_returns")
    assert len(flows.effects("shop")) == 1
    fulfil(flows, "accept", items={SHIRT: 1}, tell=False, quiet=True)
    flows.poll("digital_river", "partly_accepted_returns")
    assert paid(flows) == [[("8001", 1)]]


def test_an_acceptance_that_was_taken_back_before_the_money_moved_is_not_paid(flows: Flows) -> None:
    register(flows, ("MUG-01", 1))
    fulfil(flows, "approve")
    flows.ask("refunds", "/_sim/fulfill", run=False, order="US-1", do="accept", url=RIVER)
    flows._read("digital_river")
    (item,) = flows.sims["refunds"].coordination.returns[taken_back(flows)]["items"]
    item.update(quantityAccepted=0, state="pending")
    flows.run()
    assert flows.states(PAY) == ["skipped"] and not paid(flows)


@pytest.mark.parametrize("mode", ["drop", "drop_before_apply", "503", "429", "html502"])
@pytest.mark.parametrize(
    ("name", "operation", "count"),
    [
        ("refunds", "create_fulfillment_return", 1),
        ("shop", "set_return_address", 1),
        ("refunds", "create_refund", 1),
        ("platform", "update_resolution", 2),
    ],
)
def test_a_call_that_goes_wrong_is_made_good_and_counts_once(
    flows: Flows, name: str, operation: str, count: int, mode: str
) -> None:
    register(flows, ("TEE-RED-M", 3))
    flows.misbehave(name, operation, mode)
    flows.ask("platform", event="return_order.confirmed", id="RET-1", url=PLATFORM)
    fulfil_late(flows)
    assert len(flows.effects(name, operation)) == count
    assert {state for states in flows.routes().values() for state in states} == {"done"}


def fulfil_late(flows: Flows) -> None:
    """Approve, accept one shirt, reject the others; each when all that went wrong before is made good."""
    for act in ({"do": "approve"}, {"do": "accept", "items": {SHIRT: 1}}, {"do": "reject"}):
        fulfil(flows, **act)
        flows.later(300, times=3)


@pytest.mark.parametrize("order", ["#1004800", "W-1", "F-1", "BUS-1"])
def test_returns_of_other_orders_are_not_asked_for(flows: Flows, order: str) -> None:
    register(flows, ("MUG-01", 1), order=order)
    assert flows.routes() == {} and not flows.made("refunds")


def test_a_return_without_orders_or_turned_down_at_once_is_not_asked_for(flows: Flows) -> None:
    register(flows, return_="RET-2")
    register(flows, ("MUG-01", 1), return_="RET-3", status="Rejected")
    assert ASK not in flows.routes() and not flows.made("refunds")


def test_an_order_that_the_fulfiller_does_not_know_yet_waits(flows: Flows) -> None:
    register(flows, ("MUG-01", 1), order="#US-9")
    assert flows.states(ASK) == ["parked"]
    flows.seed("refunds", orders=[{**ORDER, "id": 77, "order": "US-9"}])
    flows.later(3600)
    assert flows.states(ASK) == ["done"]


def test_what_was_not_shipped_is_refused_with_the_reason(flows: Flows) -> None:
    register(flows, ("TEE-RED-M", 4))
    assert flows.states(ASK) == ["dead"] and "were shipped" in flows.because(ASK)[0]
    assert not flows.effects("refunds")


@pytest.mark.parametrize("named", [{"upstreamId": "US-1"}, {}])
def test_a_shipment_that_was_refused_is_paid_back_and_nobody_is_told(flows: Flows, named: dict[str, str]) -> None:
    flows.seed("refunds", orders=[ORDER])
    item = {"fulfillmentOrderItemId": MUG, "quantity": 1}
    spec = {"fulfillmentOrderId": "9292981001", "items": [item], **named}
    id_ = flows.ask("refunds", "/_sim/fulfill", warehouse=spec, url=RIVER)["id"]
    fulfil(flows, "approve", **{"return": id_})
    fulfil(flows, "accept", **{"return": id_})
    assert paid(flows) == [[("8002", 1)]]
    assert flows.routes() == {PAY: ["done"]}


def test_a_refused_shipment_of_another_flows_order_is_left_to_it(flows: Flows) -> None:
    flows.seed("refunds", orders=[{**ORDER, "order": "F-1"}])
    item = {"fulfillmentOrderItemId": MUG, "quantity": 1}
    id_ = flows.ask("refunds", "/_sim/fulfill", warehouse={"fulfillmentOrderId": "9292981001", "items": [item]})["id"]
    fulfil(flows, "accept", **{"return": id_})
    assert flows.states(PAY) == ["done"] and "not wanted" in flows.because(PAY)[0]
    assert not paid(flows)


def test_its_demo_plays_to_its_end(flows: Flows) -> None:
    flows.play("coordinated_return")
    assert flows.routes() == {ASK: ["done"] * 2, ADDRESS: ["done"], PAY: ["done"] * 2, REJECTED: ["done"]}
    assert {row["state"] for row in flows.events()} <= {"done", "ignored"}
