"""Warehouse result: what the warehouse decided reaches the system that the return was registered in, and no other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flows.kit import Flows

ANNOUNCE, NSHIFT = "announce_portal_return", "tell_nshift"
ACCEPTED, REJECTED = "tell_stores_acceptance", "tell_stores_rejection"
HOOK = "{hub}/webhooks/wms_eu"
ONE = {"net": "12.60", "tax": "2.65", "gross": "15.25"}
PAIR = {"net": "10.00", "tax": "2.10", "gross": "12.10"}
RMA = "92811/W-1"


def grade(flows: Flows, rma: str, *lines: dict[str, Any], **more: Any) -> Any:
    """The warehouse counts and grades, and tells it; the event."""
    return flows.ask("warehouse", "/_sim/grade", rma=rma, lines=list(lines), **{"url": HOOK, **more})["event"]


def line(order_line: str = "a", accepted: int = 1, rejected: int = 0, **more: Any) -> dict[str, Any]:
    counts = {"received": accepted + rejected, "accepted": accepted, "rejected": rejected}
    return {"sku": "MUG", "orderLine": order_line, "condition": "A", **counts, **more}


def register(flows: Flows, number: str = "W-1", id_: int = 92811, **more: Any) -> None:
    """The shop has an order of three mugs in two lines, and its customer registers all of them in the portal."""
    lines = [
        {"id": "a", "sku": "MUG", "quantity": 1, "delivered": 1, "price": ONE},
        {"id": "b", "sku": "MUG", "quantity": 2, "delivered": 2, "price": PAIR},
    ]
    told = {"id": f"id-{number}", "number": number, "state": "DELIVERED", "updatedAt": "2026-11-14T09:00:00.000Z"}
    flows.seed("shop", orders=[{**told, "market": "NL", "currency": "EUR", "customer": {"id": "C-1"}, "lines": lines}])
    items = [{"sku": "MUG", "orderItemId": "a"}, {"sku": "MUG", "orderItemId": "b", "quantity": 2}]
    made = {"returnOrderId": id_, "orderId": number, "createdAgo": "1m", "currency": "EUR", "items": items}
    flows.seed("portal", returns=[{**made, **more}])


@pytest.fixture
def portal(flows: Flows) -> Flows:
    """A return of the portal that the warehouse expects."""
    register(flows)
    flows.poll("nshift")
    assert flows.states(ANNOUNCE) == ["done"]
    return flows


def announced(flows: Flows) -> list[Any]:
    return [one.body for one in flows.made("warehouse", "announce_return") if one.effect]


def result(flows: Flows) -> Any:
    """The only result that nShift was told."""
    (told,) = [one.body["returns"][0] for one in flows.made("portal", "wms_update")]
    return told


def items(told: Any) -> list[tuple[Any, ...]]:
    found = [(one["forwardOrderItemId"], one["isAccepted"], one["grossAmount"]) for one in told["items"]]
    return sorted(found, key=lambda one: (one[0], not one[1]))


# --- returns of the portal ---------------------------------------------------------------------------


def test_a_return_of_the_portal_is_announced_by_order_line_with_what_was_paid(portal: Flows) -> None:
    (told,) = announced(portal)
    assert (told["rmaNumber"], told["returnId"], told["shopOrder"]) == (RMA, "92811", "W-1")
    found = [(one["orderLine"], one["quantity"], one["price"]["gross"], len(one["requests"])) for one in told["lines"]]
    assert found == [("a", 1, "15.25", 1), ("b", 2, "12.10", 2)]


def test_it_is_announced_once_however_often_it_is_listed(portal: Flows) -> None:
    portal.poll("nshift")
    portal.seed("portal", process={})
    portal.poll("nshift")
    assert len(announced(portal)) == 1


def test_each_mug_is_refunded_at_its_own_price_and_nshift_confirms_it(portal: Flows) -> None:
    grade(portal, RMA, line("a"), line("b", accepted=1, rejected=1, condition="C"))
    assert items(result(portal)) == [("a", True, 15.25), ("b", True, 12.1), ("b", False, 0)]
    assert result(portal)["itemCount"] == 3 and result(portal)["returnId"] == "92811"
    assert portal.states(NSHIFT) == ["done"]
    (stored,) = portal.seed("portal")["returns"]
    assert (stored["status"], stored["grossRefundItemsTotal"]) == ("processed", 27.35)


def test_nothing_is_told_before_every_mug_is_decided(portal: Flows) -> None:
    grade(portal, RMA, line("a", accepted=0), line("b", accepted=0), event="return.received")
    grade(portal, RMA, line("a"), line("b", accepted=1))
    assert not portal.made("portal", "wms_update")
    grade(portal, RMA, line("b", accepted=2))
    assert items(result(portal)) == [("a", True, 15.25), ("b", True, 12.1), ("b", True, 12.1)]


def test_a_grading_that_comes_many_times_at_once_is_one_result(portal: Flows) -> None:
    grade(portal, RMA, line("a"), line("b", accepted=2), copies=5, concurrent=True)
    assert len(portal.made("portal", "wms_update")) == 1


def test_what_nshift_shows_of_its_own_result_tells_nobody_anything(portal: Flows) -> None:
    grade(portal, RMA, line("a"), line("b", accepted=2))
    before = portal.routes()
    portal.poll("nshift")
    assert portal.head("return", "nshift", "92811")["state"] == "decided"
    assert portal.routes() == before and not portal.tasks()


def test_a_return_that_is_over_when_it_is_first_seen_is_not_announced(flows: Flows) -> None:
    register(flows, status="processed")
    flows.poll("nshift")
    assert flows.head("return", "nshift", "92811") and not announced(flows)


def test_returns_of_other_orders_in_the_portal_are_left_alone(flows: Flows) -> None:
    for place, number in enumerate(("1004800", "F-1", "US-1", "XW-1")):
        register(flows, number, 92900 + place)
    flows.poll("nshift")
    assert flows.routes() == {}


def test_a_return_of_an_order_that_the_shop_does_not_know_is_shown(flows: Flows) -> None:
    register(flows)
    flows.seed("portal", returns=[{"returnOrderId": 1, "orderId": "W-9", "createdAgo": "2h", "items": [{"sku": "A"}]}])
    flows.poll("nshift")
    assert sorted(flows.states(ANNOUNCE)) == ["dead", "done"]
    assert any("404" in because for because in flows.because(ANNOUNCE))


def test_another_number_of_items_than_nshift_has_is_refused_before_it_is_sent(portal: Flows) -> None:
    # A mug too many came along: it counts as an item of its own once it is decided.
    grade(portal, RMA, line("a"), line("b", accepted=2), unexpected=[{"sku": "MUG", "received": 1, "accepted": 1}])
    assert portal.states(NSHIFT) == ["dead"] and not portal.made("portal", "wms_update")
    assert "another number of items" in portal.because(NSHIFT)[0]
    assert portal.tasks()


def test_a_mug_that_was_missing_leaves_the_return_to_a_person(portal: Flows) -> None:
    missing = {**line("a", accepted=0, rejected=1, condition="MISSING"), "received": 0}
    grade(portal, RMA, missing, line("b", accepted=2))
    assert [one.get("isPresent") for one in result(portal)["items"]].count(False) == 1
    assert portal.states(NSHIFT) == ["parked"] and "awaits review" in portal.because(NSHIFT)[0]


def test_a_return_that_somebody_processed_otherwise_is_for_a_person(portal: Flows) -> None:
    portal.seed("portal", process={"92811": 5.0})
    grade(portal, RMA, line("a"), line("b", accepted=2))
    assert portal.states(NSHIFT) == ["parked"] and not portal.made("portal", "wms_update")


@pytest.mark.parametrize("mode", ["503", "drop", "drop_before_apply", "html502"])
def test_a_result_whose_answer_is_lost_is_told_once(portal: Flows, mode: str) -> None:
    portal.misbehave("portal", "wms_update", mode)
    grade(portal, RMA, line("a"), line("b", accepted=2))
    portal.later(60, times=5)
    assert portal.states(NSHIFT) == ["done"]
    assert len([one for one in portal.made("portal", "wms_update") if one.effect]) == 1


def test_a_condition_that_nshift_has_no_code_for_waits_and_is_named(portal: Flows) -> None:
    grade(portal, RMA, line("a", condition="MUDDY"), line("b", accepted=2))
    assert portal.states(NSHIFT) == ["parked"] and "MUDDY" in portal.because(NSHIFT)[0]


GRADINGS: list[tuple[dict[str, Any], ...]] = [
    (line("a", accepted=0), line("b", accepted=0)),
    (line("a"), line("b", accepted=0)),
    (line("a"), line("b", accepted=0, rejected=1)),
    (line("a"), line("b", accepted=1, rejected=1)),
]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_in_whatever_order_and_however_often_gradings_come_the_last_is_the_result(
    flows: Flows, data: st.DataObject
) -> None:
    number = flows.ids.new("W-")
    id_ = 93000 + len(announced(flows))
    register(flows, number, id_)
    flows.poll("nshift")
    told = [_graded(flows, f"{id_}/{number}", lines) for lines in GRADINGS]
    places = data.draw(st.permutations([*data.draw(st.lists(st.integers(0, 3), max_size=5)), 3]))
    for place in places:
        flows.hear("warehouse", "wms_eu", told[place])
    (mine,) = [one.body["returns"][0] for one in flows.made("portal", "wms_update") if str(id_) in one.effect]
    assert items(mine) == [("a", True, 15.25), ("b", True, 12.1), ("b", False, 0)]


def _graded(flows: Flows, rma: str, lines: tuple[dict[str, Any], ...]) -> Any:
    """What the warehouse would tell, without telling it yet."""
    return flows.ask("warehouse", "/_sim/grade", rma=rma, lines=list(lines))["event"]


# --- returns of the stores ---------------------------------------------------------------------------


def stores(flows: Flows, order: str = "F-1", status: str = "WAITING_FOR_INPUT", units: int = 2) -> str:
    """A job of the stores with so many shoes that wait for a decision, and the warehouse that looks at them; its id."""
    lines = [{"sku": "SHOE", "status": status}] * units
    spec = {"order": order, "articles": [{"sku": "SHOE", "delivered": units, "price": 89.0}]}
    (job,) = flows.seed("stores", build=[{**spec, "returns": [{"lines": lines}]}])["built"]
    row = {"rmaNumber": f"{order}/1", "shopOrder": order, "lines": [{"sku": "SHOE", "quantity": units}]}
    flows.seed("warehouse", returns=[row])
    return str(job["id"])


def shoes(accepted: int, rejected: int, **more: Any) -> dict[str, Any]:
    return {"sku": "SHOE", "received": accepted + rejected, "accepted": accepted, "rejected": rejected, **more}


def decisions(flows: Flows) -> list[str]:
    return sorted(one.body["status"] for one in flows.made("stores", "patch_line") if one.effect)


def test_each_shoe_is_decided_once_whatever_is_repeated(flows: Flows) -> None:
    stores(flows)
    grade(flows, "F-1/1", shoes(1, 1, decisionReason="worn"), copies=3, concurrent=True)
    assert decisions(flows) == ["ACCEPTED", "REJECTED"]
    assert (flows.states(ACCEPTED), flows.states(REJECTED)) == (["done"], ["done"])


def test_a_shoe_that_is_decided_later_is_told_later(flows: Flows) -> None:
    stores(flows, units=3)
    grade(flows, "F-1/1", {**shoes(1, 0), "received": 3})
    grade(flows, "F-1/1", shoes(3, 0))
    # The two write at the same time: the second one reads again what the first one wrote.
    flows.later(60)
    assert decisions(flows) == ["ACCEPTED"] * 3 and flows.states(ACCEPTED) == ["done"] * 3


def test_somebody_who_writes_meanwhile_makes_no_decision_twice(flows: Flows) -> None:
    stores(flows)
    flows.seed("stores", quirks={"overtaken": 1})
    grade(flows, "F-1/1", shoes(2, 0))
    flows.later(60, times=3)
    assert decisions(flows) == ["ACCEPTED"] * 2 and flows.states(ACCEPTED) == ["done"] * 2


def test_what_the_store_decided_itself_stays_as_it_is(flows: Flows) -> None:
    stores(flows, status="REJECTED")
    grade(flows, "F-1/1", shoes(2, 0))
    assert decisions(flows) == [] and flows.states(ACCEPTED) == ["done"] * 2


def test_a_decision_whose_answer_is_lost_is_made_once(flows: Flows) -> None:
    stores(flows, units=1)
    flows.misbehave("stores", "patch_line", "drop")
    grade(flows, "F-1/1", shoes(1, 0))
    flows.later(60, times=5)
    assert decisions(flows) == ["ACCEPTED"] and flows.states(ACCEPTED) == ["done"]


def test_a_return_of_which_the_stores_have_no_job_is_shown(flows: Flows) -> None:
    stores(flows, "F-1")
    flows.seed(
        "warehouse", returns=[{"rmaNumber": "F-9/1", "shopOrder": "F-9", "lines": [{"sku": "SHOE", "quantity": 1}]}]
    )
    grade(flows, "F-9/1", shoes(1, 0))
    assert flows.states(ACCEPTED) == ["dead"] and decisions(flows) == []


# --- everybody else's --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["#1004800", "1004801", "US-1", "XW-1", "XF-1"])
def test_what_the_warehouse_decides_of_other_orders_is_told_to_neither(flows: Flows, order: str) -> None:
    row = {"rmaNumber": f"RET-1/{order}", "returnId": "RET-1", "shopOrder": order}
    flows.seed("warehouse", returns=[{**row, "lines": [{"sku": "MUG", "quantity": 2}]}])
    grade(flows, f"RET-1/{order}", {**shoes(1, 1), "sku": "MUG"})
    assert not {ANNOUNCE, NSHIFT, ACCEPTED, REJECTED} & flows.routes().keys()


def test_a_parcel_without_any_order_is_told_to_nobody(flows: Flows) -> None:
    flows.ask("warehouse", "/_sim/grade", unexpected=[{"sku": "MUG", "received": 1, "accepted": 1}], url=HOOK)
    assert flows.routes() == {}


def test_the_results_of_the_portal_and_of_the_stores_do_not_mix(portal: Flows) -> None:
    stores(portal)
    grade(portal, RMA, line("a"), line("b", accepted=2))
    grade(portal, "F-1/1", shoes(1, 1))
    assert portal.routes() == {ANNOUNCE: ["done"], NSHIFT: ["done"], ACCEPTED: ["done"], REJECTED: ["done"]}
