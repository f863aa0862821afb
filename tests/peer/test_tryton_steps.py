"""Received, done, credited, cancelled at a real Tryton, and what happens when people press the same buttons."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer.hub import PeerHub, shipments
from tests.peer.tryton import Tryton

TEE = {"order": "#100001", "sku": "TEE-RED-M"}
MUG = {"order": "#100001", "sku": "MUG-01"}
ACCEPTED, REJECTED = {"resolution": "Approved"}, {"denial": "worn"}
RETURN = "stock.shipment.out.return"


def shipment(tryton: Tryton, reference: str = "R-1/#100001") -> dict[str, Any]:
    (found,) = shipments(tryton, reference)
    return found


def test_the_parcel_arrives_and_the_goods_are_decided(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE, MUG)
    hub.arrive("R-1", TEE, MUG)
    assert (hub.states("receive"), shipment(tryton)["state"]) == ({"#100001": "done"}, "received")
    hub.decide("R-1", {**TEE, **ACCEPTED}, {**MUG, **ACCEPTED})
    assert (hub.states("finish"), shipment(tryton)["state"]) == ({"#100001": "done"}, "done")
    read = hub.ask("get_return", id=shipment(tryton)["id"])
    assert read.response is not None
    moves = [
        (move["product"]["code"], move["quantity"], move["state"]) for move in read.response.body["incoming_moves"]
    ]
    assert sorted(moves) == [("MUG-01", 1, "done"), ("TEE-RED-M", 1, "done")]


def test_a_button_that_a_person_has_pressed_already_is_not_pressed_again(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE)
    tryton.ask("POST", f"{RETURN}/{shipment(tryton)['id']}/receive", {})
    hub.arrive("R-1", TEE)
    assert hub.states("receive") == {"#100001": "done"}
    assert hub.wire.sent("receive_return") == []


def test_a_button_pressed_between_look_and_call_is_a_dead_letter_that_a_retry_settles(
    hub: PeerHub, tryton: Tryton
) -> None:
    hub.label("R-1", TEE)
    made = shipment(tryton)["id"]
    hub.wire.before["receive_return"] = lambda: tryton.ask("POST", f"{RETURN}/{made}/receive", {})
    hub.arrive("R-1", TEE)
    told = hub.delivery("receive")
    assert (told["state"], told["fault"]) == ("dead", "data")
    assert 'can not call "receive"' in told["because"]
    hub.ledger.retry([told["id"]], "test")
    hub.run()
    assert hub.states("receive") == {"#100001": "done"}
    assert len(hub.wire.sent("receive_return")) == 1


def test_a_shipment_that_a_person_cancelled_is_not_received(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE)
    tryton.ask("POST", f"{RETURN}/{shipment(tryton)['id']}/cancel", {})
    hub.arrive("R-1", TEE)
    told = hub.delivery("receive")
    assert told["state"] == "dead" and 'can not call "receive"' in told["because"]
    assert shipment(tryton)["state"] == "cancelled"


def test_an_answer_that_is_lost_on_the_way_is_looked_for(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE)
    hub.wire.lose.add("receive_return")
    hub.arrive("R-1", TEE)
    assert hub.states("receive") == {"#100001": "in_doubt"}
    hub.later(61)
    assert hub.states("receive") == {"#100001": "done"}
    assert len(hub.wire.sent("receive_return")) == 1


def test_warnings_are_answered_with_yes_or_left_to_people(hub: PeerHub, tryton: Tryton) -> None:
    hub.rewrite("config/connections.yaml", "company: 1", "company: 1\n      skip_warnings: false")
    hub.label("R-1", TEE)
    hub.arrive("R-1", TEE)
    told = hub.delivery("receive")
    assert told["state"] == "dead" and "origin" in told["because"]
    hub.rewrite("config/connections.yaml", "skip_warnings: false", "skip_warnings: true")
    hub.ledger.retry([told["id"]], "test")
    hub.run()
    assert (hub.states("receive"), shipment(tryton)["state"]) == ({"#100001": "done"}, "received")


def test_what_was_accepted_is_credited_once_and_the_credit_note_is_read_back(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", {**TEE, "quantity": 2}, MUG)
    hub.arrive("R-1", {**TEE, "quantity": 2}, MUG)
    hub.decide("R-1", {**TEE, **ACCEPTED, "quantity": 2}, {**MUG, **REJECTED})
    assert hub.states("credit") == {"#100001": "done"}
    found = read_credit(hub)
    assert (found["state"], [one["state"] for one in found["invoices"]]) == ("processing", ["draft"])
    # Two of 24.90 and 19 % of tax: the rejected mug is not in it.
    assert found["total_amount"] == {"__class__": "Decimal", "decimal": "-59.26"}
    assert len(shipments(tryton, "R-1/#100001")) == 1, "the return sale makes no shipment of its own"
    invoice = found["invoices"][0]["id"]
    tryton.ask("PUT", f"account.invoice/{invoice}", {"invoice_date": tryton.facts["today"]})
    tryton.ask("POST", f"account.invoice/{invoice}/post", {})
    (note,) = read_credit(hub)["invoices"]
    assert note["state"] == "posted" and note["number"]


def read_credit(hub: PeerHub) -> Any:
    read = hub.ask("find_return_sale", reference="R-1/#100001/credit")
    assert read.response is not None
    (found,) = read.response.body
    return found


@pytest.mark.parametrize("step", ["create_return_sale", "quote_return_sale", "confirm_return_sale"])
def test_a_credit_goes_on_where_an_answer_was_lost(hub: PeerHub, tryton: Tryton, step: str) -> None:
    hub.label("R-1", TEE)
    hub.wire.lose.add(step)
    hub.decide("R-1", {**TEE, **ACCEPTED})
    assert hub.states("credit") == {"#100001": "in_doubt"}
    hub.later(61)
    assert hub.states("credit") == {"#100001": "done"}
    assert len(tryton.rows("sale.sale", reference="R-1/#100001/credit")) == 1
    assert len(read_credit(hub)["invoices"]) == 1


def test_nothing_accepted_is_nothing_credited(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE)
    hub.arrive("R-1", TEE)
    hub.decide("R-1", {**TEE, **REJECTED})
    assert (hub.states("finish"), hub.states("credit")) == ({"#100001": "done"}, {})
    assert tryton.rows("sale.sale", reference="R-1/#100001/credit") == []


def test_a_cancelled_return_is_cancelled_where_it_was_announced(hub: PeerHub, tryton: Tryton) -> None:
    # The platform has no word for it; this merchant's rejected returns do not come.
    hub.rewrite("mappings/tables/returnista_return_state.csv", "Rejected,rejected", "Rejected,cancelled")
    hub.label("R-1", TEE)
    hub.tell(hub.show("R-1", TEE, status="Rejected"), "return_order.confirmed")
    assert hub.states("cancel") == {"#100001": "done"}
    assert shipment(tryton)["state"] == "cancelled"


def test_a_return_that_was_never_announced_is_cancelled_nowhere(hub: PeerHub, tryton: Tryton) -> None:
    hub.rewrite("mappings/tables/returnista_return_state.csv", "Rejected,rejected", "Rejected,cancelled")
    hub.tell(hub.show("R-1", TEE, parcels=[], status="Rejected"), "return_order.confirmed")
    told = hub.delivery("cancel")
    assert told["state"] == "done" and "when" in told["because"]
    assert hub.wire.sent("cancel_return") == []
