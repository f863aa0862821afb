"""Order push: nShift's portal knows each order of the web shop as it is now, told once for each new picture of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flows.kit import Flows

PLACED, CHANGED = "push_placed_order", "push_changed_order"
CANCELLED, DELIVERED = "push_cancelled_order", "push_delivered_line"
PRICE = {"net": "12.60", "tax": "2.65", "gross": "15.25"}


def order(number: str = "W-1", **more: Any) -> dict[str, Any]:
    lines = [
        {"id": key, "sku": f"SKU-{key}", "title": "Mug", "quantity": 2, "delivered": 0, "price": PRICE} for key in "ab"
    ]
    told = {"id": f"id-{number}", "number": number, "state": "PLACED", "updatedAt": "2026-11-15T09:00:00.000Z"}
    return {**told, "market": "NL", "currency": "EUR", "customer": {"id": "C-1"}, "lines": lines, **more}


def tell(flows: Flows, event: str, number: str = "W-1", **more: Any) -> list[int]:
    """Let the shop tell an order with what is new of it; the statuses of the hub's answers."""
    told = flows.ask("shop", "/_sim/tell", number=number, event=event, url="{hub}/webhooks/store", **more)
    assert set(told["statuses"]) == {200}
    return list(told["statuses"])


def pushed(flows: Flows) -> list[Any]:
    """The orders as nShift was told them."""
    return [one.body[0] for one in flows.made("portal", "push_orders")]


def delivery_states(told: Any) -> list[str]:
    return [item["statusOfDelivery"] for item in told["items"]]


@pytest.fixture
def shop(flows: Flows) -> Flows:
    flows.seed("shop", orders=[order()])
    return flows


def test_an_order_is_pushed_when_it_is_placed_shipped_and_delivered(shop: Flows) -> None:
    tell(shop, "order.placed")
    tell(shop, "order.updated", set={"state": "SHIPPED"})
    lines = {key: {"delivered": 2, "state": "DELIVERED"} for key in "ab"}
    tell(shop, "order.delivered", set={"state": "DELIVERED"}, lines=lines)
    assert [delivery_states(one) for one in pushed(shop)] == [["PENDING"] * 2, ["PENDING"] * 2, ["DELIVERED"] * 2]
    assert [one["isPending"] for one in pushed(shop)] == [True, False, False]
    assert shop.routes() == {PLACED: ["done"], CHANGED: ["done", "done"]}


def test_a_message_that_tells_many_facts_is_one_push(shop: Flows) -> None:
    tell(shop, "order.placed")
    tell(shop, "order.delivered", lines={"a": {"delivered": 1}, "b": {"delivered": 2}})
    assert shop.changes_of("order", "store", "id-W-1") == ["order.placed", "line.delivered:a:1", "line.delivered:b:2"]
    assert [delivery_states(one) for one in pushed(shop)] == [["PENDING"] * 2, ["PENDING", "DELIVERED"]]
    tell(shop, "order.delivered", lines={"a": {"delivered": 2}})
    assert delivery_states(pushed(shop)[-1]) == ["DELIVERED"] * 2
    assert shop.routes() == {PLACED: ["done"], DELIVERED: ["done", "done"]}


def test_an_order_that_is_first_heard_of_when_all_is_delivered_is_pushed_once(flows: Flows) -> None:
    flows.seed("shop", orders=[order(state="DELIVERED")])
    tell(flows, "order.updated", lines={"a": {"delivered": 2}})
    assert [delivery_states(one) for one in pushed(flows)] == [["DELIVERED"] * 2]


def test_a_cancelled_order_and_a_line_that_was_taken_out_are_pushed(shop: Flows) -> None:
    tell(shop, "order.placed")
    tell(shop, "order.updated", lines={"a": {"state": "CANCELLED"}})
    tell(shop, "order.cancelled", set={"state": "CANCELLED"})
    assert [len(one["items"]) for one in pushed(shop)] == [2, 1, 2]
    assert [one["isCancelled"] for one in pushed(shop)] == [False, False, True]
    assert shop.states(CANCELLED) == ["done"]


def test_an_address_or_a_price_that_changed_is_pushed(shop: Flows) -> None:
    tell(shop, "order.placed")
    tell(shop, "order.updated", set={"shipTo": {"street": "Nieuweweg", "houseNumber": "7", "city": "Ede"}})
    assert pushed(shop)[1]["customer"]["deliveryAddress"] == {"streetAddress": "Nieuweweg 7", "city": "Ede"}
    tell(shop, "order.updated")
    assert len(pushed(shop)) == 2


def test_repetitions_and_the_poll_that_finds_the_same_push_nothing_again(shop: Flows) -> None:
    assert tell(shop, "order.placed", copies=3, concurrent=True) == [200] * 3
    shop.poll("store")
    assert len(pushed(shop)) == 1


def test_an_order_that_no_message_told_is_pushed_by_the_poll(shop: Flows) -> None:
    shop.ask("shop", "/_sim/tell", number="W-1", set={"state": "SHIPPED"})
    shop.poll("store")
    assert shop.effects("portal") == ["pushed W-1"]


def test_orders_that_are_not_of_the_web_shop_are_left_alone(flows: Flows) -> None:
    for number in ("1004800", "#1004800", "F-1", "US-1", "XW-1", "w-1"):
        flows.seed("shop", orders=[order(number)])
        tell(flows, "order.placed", number)
        tell(flows, "order.cancelled", number, set={"state": "CANCELLED"})
    assert flows.routes() == {} and not flows.made("portal")


def test_an_order_that_nshift_refuses_is_shown_and_holds_up_no_other(shop: Flows) -> None:
    shop.seed("shop", orders=[order("W-2", customer={})])
    tell(shop, "order.placed", "W-2")
    tell(shop, "order.placed")
    assert sorted(shop.states(PLACED)) == ["dead", "done"]
    assert [one["orderId"] for one in pushed(shop)] == ["W-1"]


def test_after_a_lost_answer_a_person_decides_and_later_pushes_of_the_order_wait(shop: Flows) -> None:
    shop.misbehave("portal", "push_orders", "drop")
    tell(shop, "order.placed")
    tell(shop, "order.updated", set={"state": "SHIPPED"})
    shop.later(60, times=5)
    assert shop.states(PLACED) == ["in_doubt"] and len(pushed(shop)) == 1


def test_while_nshift_is_down_nothing_is_lost_and_the_newest_comes_last(shop: Flows) -> None:
    shop.misbehave("portal", "push_orders", "503", times=2)
    tell(shop, "order.placed")
    tell(shop, "order.updated", set={"state": "SHIPPED"})
    shop.later(60, times=5)
    assert [one.body[0]["isPending"] for one in shop.made("portal", "push_orders") if one.effect] == [True, False]


STEPS: list[dict[str, Any]] = [
    {"event": "order.placed"},
    {"event": "order.updated", "set": {"state": "SHIPPED"}},
    {"event": "order.delivered", "lines": {"a": {"delivered": 1}}},
    {"event": "order.delivered", "lines": {"a": {"delivered": 2}, "b": {"delivered": 2}}},
    {"event": "order.updated", "set": {"state": "DELIVERED"}},
]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_in_whatever_order_and_however_often_messages_come_the_newest_picture_is_pushed_last(
    flows: Flows, data: st.DataObject
) -> None:
    number = flows.ids.new("W-")
    flows.seed("shop", orders=[order(number)])
    told = [flows.ask("shop", "/_sim/tell", number=number, **step)["event"] for step in STEPS]
    places = data.draw(st.permutations([*data.draw(st.lists(st.integers(0, 4), max_size=6)), 4]))
    before = len(pushed(flows))
    for place in places:
        flows.hear("shop", "store", told[place])
    mine = pushed(flows)[before:]
    assert delivery_states(mine[-1]) == ["DELIVERED"] * 2
    # Each picture that was new when it came, once: those that were overtaken change nothing.
    new = [place for at, place in enumerate(places) if place > max(places[:at], default=-1)]
    assert len(mine) == len(new)
