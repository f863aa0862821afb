"""What comes back is announced to a real Tryton exactly once, under its own order number, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.ledger import open_ledger
from tests.peer.hub import TARGET, PeerHub, shipments
from tests.peer.tryton import Tryton
from tests.support import empty_sqlite

TEE = {"order": "#100001", "sku": "TEE-RED-M"}
MUG = {"order": "#100001", "sku": "MUG-01"}
SHOE = {"order": "100002", "sku": "0012345"}


def test_a_label_is_one_draft_return_shipment_for_each_order_with_articles_and_quantities(
    hub: PeerHub, tryton: Tryton
) -> None:
    hub.label("R-1", {**TEE, "quantity": 3}, MUG, SHOE)
    assert hub.states() == {"announce #100001": "done", "announce 100002": "done"}
    (first,), (second,) = shipments(tryton, "R-1/#100001"), shipments(tryton, "R-1/100002")
    assert (first["state"], second["state"]) == ("draft", "draft")
    assert [(move["sku"], move["quantity"]) for move in first["moves"]] == [("TEE-RED-M", 3), ("MUG-01", 1)]
    assert [(move["sku"], move["quantity"]) for move in second["moves"]] == [("0012345", 1)]
    assert [move["unit_price"] for move in first["moves"]] == [b"24.9000", b"9.9900"]


def test_the_erps_order_number_is_found_and_stays_text(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE)
    number = tryton.facts["orders"][0]["number"]
    assert number == "000001E4"
    (told,) = hub.ledger.references("#100001")
    assert (told["to_id"], told["origin"]) == (number, "lookup")


def test_the_number_that_tryton_gives_the_return_leads_back_to_it(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE)
    (made,) = shipments(tryton, "R-1/#100001")
    assert ("return", "returnista_eu", "R-1") in hub.ledger.find(made["number"])


@pytest.mark.parametrize("loss", ["answer", "worker"])
def test_an_announcement_whose_answer_nobody_saw_is_found_and_not_made_again(
    hub: PeerHub, tryton: Tryton, loss: str
) -> None:
    if loss == "answer":
        hub.wire.lose.add("announce_return")
        hub.label("R-1", TEE)
        assert hub.states() == {"announce #100001": "in_doubt"}
    else:
        hub.label("R-1", TEE, run=False)
        # The order is asked for; the worker dies while it announces.
        assert (hub.read(), hub.deliver(), hub.deliver(crash=True)) == (1, 1, 1)
    assert len(shipments(tryton, "R-1/#100001")) == 1
    hub.later(61)
    assert hub.states() == {"announce #100001": "done"}
    assert len(shipments(tryton, "R-1/#100001")) == 1
    assert len(hub.wire.sent("announce_return")) == 1


def test_a_hub_that_has_lost_its_ledger_announces_nothing_twice(
    hub: PeerHub, tryton: Tryton, sqlite_ledger_url: str
) -> None:
    hub.label("R-1", TEE)
    path = Path(sqlite_ledger_url.removeprefix("sqlite:///"))
    hub.ledger.close()
    empty_sqlite(path)
    hub.ledger = open_ledger(sqlite_ledger_url, clock=hub.clock)
    hub.start()
    hub.label("R-1", TEE)
    assert hub.states() == {"announce #100001": "done"}
    assert len(shipments(tryton, "R-1/#100001")) == 1
    hub.ledger.close()


def test_two_shipments_with_our_reference_are_for_a_person_to_decide(hub: PeerHub, tryton: Tryton) -> None:
    hub.wire.lose.add("announce_return")
    hub.label("R-1", TEE)
    tryton.ask("POST", "stock.shipment.out.return", hub.wire.sent("announce_return")[0].body)
    hub.later(61)
    assert hub.states() == {"announce #100001": "in_doubt"}
    assert len(shipments(tryton, "R-1/#100001")) == 2


def test_an_order_that_the_erp_does_not_have_yet_parks_the_announcement_until_it_is_confirmed(
    hub: PeerHub, tryton: Tryton
) -> None:
    hub.label("R-4", {"order": "#100004", "sku": "TEE-RED-M"})
    assert hub.states() == {"announce #100004": "parked"}
    draft = next(one for one in tryton.facts["orders"] if one["shop"] == "100004")
    assert draft["number"] is None
    for button in ("quote", "confirm"):
        tryton.ask("POST", f"sale.sale/{draft['id']}/{button}", {})
    hub.later(61)
    assert hub.states() == {"announce #100004": "done"}
    assert len(shipments(tryton, "R-4/#100004")) == 1


def test_an_order_that_nobody_knows_is_released_by_hand(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-9", {"order": "#999999", "sku": "TEE-RED-M"})
    assert hub.states() == {"announce #999999": "parked"}
    hub.know("#999999", tryton.facts["orders"][0]["number"])
    hub.run()
    assert hub.states() == {"announce #999999": "done"}
    assert len(shipments(tryton, "R-9/#999999")) == 1


def test_an_order_that_came_in_twice_is_a_conflict_and_no_call(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-3", {"order": "#100003", "sku": "MUG-01"})
    assert hub.states() == {"announce #100003": "conflict"}
    numbers = [one["number"] for one in tryton.facts["orders"] if one["shop"] == "100003"]
    because = hub.delivery("announce")["because"]
    assert all(number in because for number in numbers) and "backhaul refs set order '#100003'" in because
    hub.know("#100003", numbers[1])
    hub.run()
    assert hub.states() == {"announce #100003": "done"}


def test_an_article_that_the_order_does_not_have_is_a_dead_letter_that_says_so(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", {**TEE, "sku": "NOT-ORDERED"})
    told = hub.delivery("announce")
    assert (told["state"], told["fault"]) == ("dead", "data")
    assert "moves" in told["because"] and "the list is empty" in told["because"]
    assert hub.wire.sent("announce_return") == []


def test_what_tryton_does_not_take_is_a_dead_letter_in_trytons_words(hub: PeerHub, tryton: Tryton) -> None:
    half = "{{ '1.5' | decimal }}"
    hub.rewrite("mappings/return.to_tryton_return.yaml", '"{{ line.quantity.announced }}"', f'"{half}"')
    hub.label("R-1", TEE)
    told = hub.delivery("announce")
    assert (told["state"], told["fault"]) == ("dead", "data")
    assert 'for field "Quantity"' in told["because"] and "exceeds the limit" in told["because"]
    assert shipments(tryton, "R-1/#100001") == []


def test_a_key_that_is_not_known_pauses_the_connection_until_it_is_right(hub: PeerHub, tryton: Tryton) -> None:
    hub.start(TRYTON_KEY="an-old-key")
    hub.label("R-1", TEE)
    told = hub.delivery("announce")
    assert told["state"] == "waiting" and "credentials refused" in told["because"]
    assert len(hub.wire.sent("find_order")) == 1
    hub.later(61)
    assert len(hub.wire.sent("find_order")) == 1, "a paused connection is not called"
    hub.start(TRYTON_KEY=tryton.facts["keys"]["hub"])
    hub.ledger.resume(TARGET, "test")
    hub.run()
    assert hub.states() == {"announce #100001": "done"}


def test_a_user_without_rights_is_told_in_trytons_words(hub: PeerHub, tryton: Tryton) -> None:
    hub.start(TRYTON_KEY=tryton.facts["keys"]["clerk"])
    hub.label("R-1", TEE)
    told = hub.delivery("announce")
    assert told["state"] == "dead" and 'not allowed to access "Sale"' in told["because"]
