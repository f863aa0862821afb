"""What was accepted is paid back: each item once for ever, in whatever order Digital River tells it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.model import ReferenceKey
from tests.connectors.digital_river_kit import Hub, running_hub
from tests.connectors.digital_river_site import LINE_ROUTES, MUG, ORDER, SHIRT
from tests.support import HandClock
from tests.unit.door_kit import opened


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


def begun(hub: Hub, *lines: tuple[str, int]) -> str:
    """A return that was asked for and told as created; its id."""
    hub.ask(*(lines or (("TEE-RED-M", 3),)))
    made: str = list(hub.fulfiller.returns)[-1]
    hub.tell(hub.news()[-1])
    return made


def test_13_accepted_before_pending_does_not_go_back_and_is_paid_once(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.approve(made)
    hub.fulfiller.accept(made)
    created, pending, accepted = hub.news()
    hub.tell(accepted)
    facts = hub.facts(made)
    hub.tell(pending, created, {**pending, "id": "again-1"}, {**accepted, "id": "again-2"}, accepted)
    assert hub.facts(made) == facts
    assert hub.document(made)["state"] == "decided"
    assert hub.paid("8001") == [3]


def test_13_a_warehouse_return_without_a_request_and_without_an_order_is_paid_by_its_fulfillment_order(
    hub: Hub,
) -> None:
    spec = {"fulfillmentOrderId": "9292981838", "items": [{"fulfillmentOrderItemId": MUG, "quantity": 1}]}
    made = hub.fulfiller.refuse_shipment(spec)["id"]
    hub.fulfiller.accept(made)
    hub.tell(*hub.news())
    (refund,) = hub.refunds.values()
    assert (refund["orderId"], refund["currency"]) == ("192251820336", "USD")
    assert hub.paid("8002") == [1]
    assert hub.document(made)["orders"] == [{"number": "9292981838"}]
    assert hub.ledger.find("192251820336") == [("return", "digital_river", made)]


def test_14_one_of_three_and_later_the_rest_are_two_refunds_of_the_orders_own_item(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made, {SHIRT: 1})
    hub.tell(hub.news()[-1])
    assert hub.paid("8001") == [1]
    assert hub.document(made)["state"] == "received"
    hub.fulfiller.accept(made, {SHIRT: 2})
    hub.tell(hub.news()[-1])
    assert hub.paid("8001") == [1, 2]
    assert hub.document(made)["state"] == "decided"


def test_14_the_rest_that_only_a_poll_shows_is_paid_too(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made, {SHIRT: 1})
    hub.tell(hub.news()[-1])
    item = copy.deepcopy(hub.fulfiller.accept(made, {SHIRT: 2}, quiet=True))
    hub.tell({"id": "poll:1", "type": "poll.fulfillment_return", "data": {"object": item}, "liveMode": False})
    assert hub.paid("8001") == [1, 2]


def test_14_a_late_event_of_the_first_part_pays_nothing_and_takes_nothing_back(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made, {SHIRT: 1})
    hub.fulfiller.accept(made, {SHIRT: 2})
    first, second = hub.news()[-2:]
    hub.tell(second, first, {**second, "id": "again"}, {**first, "id": "again-too"})
    assert hub.paid("8001") == [3]
    assert hub.document(made)["lines"][0]["quantity"]["accepted"] == 3


def test_14_a_duplicate_pays_nothing(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    event = hub.news()[-1]
    hub.tell(event, event, {**event, "id": "the same under another id"})
    assert hub.paid("8001") == [3]
    assert len(hub.made("create_refund")) == 1


def test_14_more_than_there_is_to_refund_is_not_tried_again(hub: Hub) -> None:
    made = begun(hub)
    taken = {"orderId": "192251820336", "currency": "USD", "amount": 50}
    assert hub.vendor.refunds.create(taken).status == 201
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    (row,) = hub.deliveries("pay_back")
    assert row["state"] == "dead" and "greater than the available amount" in row["because"]
    hub.later(7200, times=3)
    assert len(hub.made("create_refund")) == 1


def test_14_a_refund_that_failed_is_told_and_made_once_more_when_a_person_says_so(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    (first,) = hub.refunds
    hub.vendor.refunds.settle(first, "failed", "the account is closed")
    hub.tell(hub.fulfiller.events[-1])
    assert [row["state"] for row in hub.events()][-1] == "dead"
    because = hub.events()[-1]["because"]
    assert "failed (the account is closed)" in because
    assert len(hub.refunds) == 1
    # What it tells people to do names the delivery, and makes one refund, under another key.
    (delivery,) = hub.deliveries("pay_back")
    assert f"`backhaul retry {delivery['id']} --again --why " in because
    assert hub.ledger.send_again([delivery["id"]], "me", "the refund failed") == [delivery["id"]]
    hub.run()
    hub.later(600, times=3)
    assert hub.states("pay_back") == ["done"]
    assert [one["state"] for one in hub.refunds.values()] == ["failed", "pending"]
    keys = [one["metadata"]["backhaul_key"] for one in hub.refunds.values()]
    assert keys == [f"{delivery['id']}.1", f"{delivery['id']}.1.1"]
    assert hub.paid("8001") == [3, 3]


def test_14_a_refund_sent_again_though_it_was_paid_is_refused_by_what_is_left_to_refund(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    (delivery,) = hub.deliveries("pay_back")
    hub.ledger.send_again([delivery["id"]], "me", "by mistake")
    hub.run()
    assert hub.states("pay_back") == ["dead"]
    assert hub.paid("8001") == [3]


def test_14_a_refund_that_failed_is_not_paid_when_the_acceptance_is_taken_back_meanwhile(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    (first,) = hub.refunds
    hub.vendor.refunds.settle(first, "failed")
    taken_back(hub, made)
    (delivery,) = hub.deliveries("pay_back")
    hub.ledger.send_again([delivery["id"]], "me", "the refund failed")
    hub.run()
    assert hub.states("pay_back") == ["skipped"]
    assert len(hub.refunds) == 1


@pytest.mark.parametrize("state", ["failed", "expired"])
def test_14_what_failed_before_our_answer_came_is_not_counted_as_paid(hub: Hub, state: str) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.vendor.misbehave("create_refund", "drop")
    hub.tell(hub.news()[-1])
    (lost,) = hub.refunds
    hub.vendor.refunds.settle(lost, state)
    hub.later()
    assert [one["state"] for one in hub.refunds.values()] == [state, "pending"]


def test_14_long_numbers_stay_the_text_they_are(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    document = hub.document(made)
    assert document["orders"][0]["alternatives"] == ["9292981838"]
    assert document["lines"][0]["key"] == "12345678901234567890"
    assert [one.path for one in hub.made("get_fulfillment_order")] == ["/fulfillment-orders/9292981838"] * 2


def test_a_refund_that_timed_out_but_was_taken_is_found_by_its_key(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.vendor.misbehave("create_refund", "drop")
    hub.tell(hub.news()[-1])
    hub.later()
    assert hub.states("pay_back") == ["done"]
    assert hub.paid("8001") == [3]
    (refund,) = hub.refunds
    assert hub.ledger.find(refund)


def test_each_refund_carries_its_own_key_and_the_return(hub: Hub) -> None:
    made = begun(hub, ("TEE-RED-M", 3), ("0012345", 1))
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    told = [one["metadata"] for one in hub.refunds.values()]
    assert len({one["backhaul_key"] for one in told}) == 2
    assert {one["fulfillment_return"] for one in told} == {made}


def test_the_pair_of_an_items_two_ids_is_kept(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    known = hub.ledger.find_reference(ReferenceKey("order_line", "digital_river", "digital_river", SHIRT))
    assert known is not None and known.to_id == "8001"
    assert ("return", "digital_river", made) in hub.ledger.find("8001")


def test_pending_with_items_accepted_already_pays_for_those(hub: Hub) -> None:
    made = begun(hub, ("TEE-RED-M", 3), ("0012345", 1))
    hub.fulfiller.approve(made)
    hub.fulfiller.accept(made, {MUG: 1}, state="pending")
    hub.tell(*hub.news()[-2:])
    assert (hub.paid("8001"), hub.paid("8002")) == ([], [1])
    assert hub.document(made)["state"] == "approved"


def test_a_rejected_return_pays_nothing(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.reject(made)
    hub.tell(hub.news()[-1])
    assert hub.document(made)["state"] == "rejected"
    assert "return.rejected" in hub.facts(made)
    assert not hub.refunds


def test_accepted_against_rejected_is_decided_by_reading_the_return(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    accepted = hub.news()[-1]
    rejected = copy.deepcopy(accepted)
    rejected.update(id="rejected", type="fulfillment_return.rejected")
    rejected["data"]["object"].update(state="rejected")
    hub.tell(accepted, rejected)
    hub.later()
    assert hub.document(made)["state"] == "decided"
    assert hub.paid("8001") == [3]
    assert hub.made("get_fulfillment_return")


def taken_back(hub: Hub, made: str) -> None:
    """The fulfiller changes its mind: what it had accepted it does not take after all."""
    for item in hub.fulfiller.returns[made]["items"]:
        item["quantityAccepted"] = 0
    hub.fulfiller.reject(made)


def test_nothing_is_paid_when_the_acceptance_was_taken_back_before_the_money_moved(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    accepted = hub.news()[-1]
    taken_back(hub, made)
    hub.tell(accepted)
    assert hub.states("pay_back") == ["skipped"]
    assert not hub.refunds


def test_an_acceptance_that_is_taken_back_after_the_refund_is_a_task_for_a_person(hub: Hub) -> None:
    made = begun(hub)
    hub.fulfiller.accept(made)
    hub.tell(hub.news()[-1])
    taken_back(hub, made)
    hub.tell(hub.news()[-1])
    assert hub.document(made)["state"] == "rejected"
    assert hub.paid("8001") == [3]
    assert [task["object_id"] for task in hub.ledger.tasks()] == [made]


def test_a_line_that_another_system_accepted_is_paid_by_its_article(hub: Hub) -> None:
    hub.use(LINE_ROUTES)
    line = {"key": "l-1", "sku": "TEE-RED-M", "quantity": {"announced": 3, "received": 3, "accepted": 2}}
    hub.tell_shop({"return": "W-1", "order": "192251820336", "lines": [line]})
    assert hub.states() == ["done"]
    assert hub.paid("8001") == [2]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_comes_in_whatever_order_the_same_is_paid_in_the_end(hub: Hub, data: Any) -> None:
    hub.vendor.forget()
    hub.fulfiller.seed({"orders": [ORDER]})
    hub.ask(("TEE-RED-M", 3), return_=hub.ids.new("ret"))
    (made,) = hub.fulfiller.returns
    hub.fulfiller.approve(made)
    hub.fulfiller.accept(made, {SHIRT: 1}, state="pending")
    hub.fulfiller.accept(made, {SHIRT: 1})
    hub.fulfiller.accept(made, {SHIRT: 1})
    events = hub.news()
    drawn = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=6))
    order = data.draw(st.permutations([*drawn, len(events) - 1]))
    hub.tell(*({**events[place], "id": f"{made}-{number}"} for number, place in enumerate(order)))
    assert hub.document(made)["lines"][0]["quantity"]["accepted"] == 3
    assert hub.document(made)["state"] == "decided"
    assert sum(hub.paid("8001")) == 3
