"""A warehouse's result reaches nShift: once, for exactly its items, and only what nShift calls processed is done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.nshift_kit import CREATED, Make, NshiftHub, line, make, nshift, sqlite_ledger

__all__ = ["make", "nshift", "sqlite_ledger"]  # fixtures


@pytest.fixture
def hub(make: Make) -> NshiftHub:
    return make()


def waits(hub: NshiftHub) -> None:
    """Let time pass until nothing is left to try."""
    for _ in range(8):
        hub.later(600)


# --- how many items ------------------------------------------------------------------------------


def test_12_quantities_2_and_1_are_three_items_and_three_entries(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera", "quantity": 2}, {"sku": "heras"})
    hub.graded(line(accepted=2), line("heras"))
    (told,) = hub.updates()
    assert told["itemCount"] == 3
    assert [item["quantity"] for item in told["items"]] == [1, 1, 1]
    assert hub.state() == ("done", "nShift says that the return is processed")


def test_12_with_quantities_there_are_three_items_in_two_entries(make: Make) -> None:
    hub = make(item_entries="lines")
    hub.opens({"sku": "hera", "quantity": 2}, {"sku": "heras"})
    hub.graded(line(accepted=2), line("heras"))
    (told,) = hub.updates()
    assert (told["itemCount"], [item["quantity"] for item in told["items"]]) == (3, [2, 1])
    assert [item["grossAmount"] for item in told["items"]] == [78, 39]
    assert hub.state()[0] == "done"


def test_12_entries_can_be_counted_instead(make: Make) -> None:
    hub = make(item_entries="lines", item_count_mode="lines")
    hub.sim_seed(quirks={"count_items": "lines"})
    hub.opens({"sku": "hera", "quantity": 2}, {"sku": "heras"})
    hub.graded(line(accepted=2), line("heras"))
    assert (hub.updates()[0]["itemCount"], hub.state()[0]) == (2, "done")


def test_12_each_unit_an_entry_suits_either_way_of_counting(hub: NshiftHub) -> None:
    hub.sim_seed(quirks={"count_items": "lines"})
    hub.opens({"sku": "hera", "quantity": 2}, {"sku": "heras"})
    hub.graded(line(accepted=2), line("heras"))
    assert hub.state()[0] == "done"


def test_12_two_items_of_one_order_line_with_different_skus_both_survive(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"}, {"sku": "heras"})
    hub.graded(line("hera"), line("heras"))
    assert [(item["forwardOrderItemId"], item["sku"]) for item in hub.updates()[0]["items"]] == [
        ("1", "hera"),
        ("1", "heras"),
    ]
    assert hub.state()[0] == "done"


def test_12_another_number_of_items_than_the_open_return_is_refused_before_the_call(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera", "quantity": 2})
    hub.graded(line(accepted=1))
    assert hub.updates() == []
    state, because = hub.state()
    assert state == "dead" and "another number of items" in because


def test_12_a_deleted_item_does_not_count(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"}, {"sku": "mug", "status": "DELETED"})
    hub.graded(line())
    assert hub.state()[0] == "done"


# --- once, and really ----------------------------------------------------------------------------


def test_13_an_update_whose_answer_is_lost_is_looked_up_and_not_sent_again(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.sim.misbehave("wms_update", "drop")
    hub.graded(line())
    assert hub.state()[0] == "in_doubt"
    waits(hub)
    assert (len(hub.updates()), hub.state()[0]) == (1, "done")
    assert len(hub.sim.effects()) == 1


def test_13_an_update_that_was_lost_on_the_way_is_sent_again(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.sim.misbehave("wms_update", "drop_before_apply")
    hub.graded(line())
    waits(hub)
    assert (len(hub.updates()), hub.state()[0], len(hub.sim.effects())) == (2, "done", 1)


def test_13_processed_with_another_refund_meanwhile_is_for_a_person(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.sim.misbehave("wms_update", "drop_before_apply")
    hub.graded(line())
    processed_by_hand(hub, 12.0)
    waits(hub)
    assert (len(hub.updates()), hub.state()[0]) == (1, "in_doubt")


def test_13_processed_before_with_the_same_refund_is_done_without_a_call(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    processed_by_hand(hub, 39.0)
    hub.graded(line())
    assert (hub.updates(), hub.state()[0]) == ([], "done")


def test_13_processed_before_with_another_refund_waits_for_a_person(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    processed_by_hand(hub, 12.0)
    hub.graded(line())
    assert hub.updates() == []
    state, because = hub.state()
    assert state == "parked" and "another refund" in because


@pytest.mark.parametrize("status", [400, 409])
def test_13_somebody_who_was_quicker_is_noticed_by_beginning_anew(hub: NshiftHub, status: int) -> None:
    hub.sim_seed(quirks={"already_processed": status})
    hub.opens({"sku": "hera"})
    quicker(hub)
    hub.graded(line())
    waits(hub)
    assert (len(hub.updates()), hub.state()[0]) == (1, "done")


def test_13_a_400_is_dead_with_nshifts_own_words(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.graded(line("another"))
    state, because = hub.state()
    assert state == "dead" and because.startswith("400: No item 1 with sku another")


def test_13_a_proxys_page_is_tried_again(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.sim.misbehave("wms_update", "html502")
    hub.graded(line())
    assert "502" in hub.state()[1]
    waits(hub)
    assert (len(hub.updates()), hub.state()[0], len(hub.sim.effects())) == (2, "done", 1)


def test_13_slow_down_is_obeyed(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"})
    hub.sim.misbehave("wms_update", "429", retry_after=90)
    hub.graded(line())
    hub.later(60)
    assert len(hub.updates()) == 1
    waits(hub)
    assert (len(hub.updates()), hub.state()[0]) == (2, "done")


def test_13_taken_but_awaiting_review_is_flagged_and_not_done(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"}, {"sku": "heras"})
    hub.graded(line(), line("heras", accepted=0, rejected=1, condition="MISSING"))
    assert hub.updates()[0]["items"][1]["isPresent"] is False
    state, because = hub.state()
    assert state == "parked" and "awaits review" in because


def test_13_taken_and_still_processing_is_asked_for_again(hub: NshiftHub) -> None:
    hub.sim_seed(quirks={"processing_reads": 2})
    hub.opens({"sku": "hera"})
    hub.graded(line())
    assert hub.state()[0] == "waiting"
    waits(hub)
    assert (len(hub.updates()), hub.state()[0]) == (1, "done")


def test_processed_counts_in_whatever_spelling(hub: NshiftHub) -> None:
    hub.sim_seed(quirks={"spelling": "words"})
    hub.opens({"sku": "hera"})
    hub.graded(line())
    assert hub.state()[0] == "done"


def test_a_return_that_the_hub_has_not_heard_of_waits_until_it_was_polled(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"}, known=False)
    hub.graded(line())
    assert hub.state()[0] == "parked"
    hub.learns("4711", CREATED)
    hub.run()
    assert hub.state()[0] == "done"


def test_a_return_of_two_orders_is_two_returns_at_nshift(make: Make) -> None:
    hub = make(return_id_source="orderId")
    for number, order in enumerate(("A-1", "A-2")):
        hub.sim_seed(
            returns=[{"orderId": order, "returnOrderId": number, "createdAt": CREATED, "items": [{"sku": "hera"}]}]
        )
        hub.learns(order, CREATED)
    hub.graded(line(order="A-1"), line(order="A-2", key="k2"), orders=[{"number": "A-1"}, {"number": "A-2"}])
    assert {told["forwardOrderId"]: told["itemCount"] for told in hub.updates()} == {"A-1": 1, "A-2": 1}
    assert set(hub.deliveries().values()) == {"done"}


def processed_by_hand(hub: NshiftHub, gross: float) -> None:
    """Somebody processes the open return in nShift's own pages."""
    hub.sim_seed(process={"4711": gross})


def quicker(hub: NshiftHub) -> None:
    """Somebody processes the return just before our update arrives."""
    send = hub.http.send

    def first(connection: Any, request: Any, timeout_s: float, /) -> Any:
        if request.operation == "wms_update":
            hub.http.send = send  # type: ignore[method-assign]
            processed_by_hand(hub, 39.0)
        return send(connection, request, timeout_s)

    hub.http.send = first  # type: ignore[method-assign]
