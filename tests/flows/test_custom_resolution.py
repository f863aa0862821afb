"""Custom resolution: what the platform approves is credited, paid back and told as settled, once for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flows.kit import Flows

ROUTE, HOOK = "settle_approved", "{hub}/webhooks/returnista_eu"
MUG = {"order": "1004801", "sku": "MUG-01", "price": "9.90"}
SHIRT = {"order": "#1004800", "sku": "SHIRT-M", "price": "24.95"}
ORDERS = [{"externalNumber": "1004800", "number": "0000012E4"}, {"externalNumber": "1004801", "number": "1e5"}]


def build(flows: Flows, id_: str, *lines: dict[str, Any], **more: Any) -> list[str]:
    """A return order at the platform, and orders that the ERP knows; the ids of its requests."""
    if not flows.made("erp"):
        flows.seed("erp", forget=[row["externalNumber"] for row in ORDERS], orders=ORDERS)
    spec = {"id": id_, "lines": lines, "status": "Confirmed", **more}
    (built,) = flows.seed("platform", build=[spec])["built"]
    return [one["id"] for one in built["returnRequests"]]


def decide(flows: Flows, id_: str, status: str = "Approved", **more: str) -> None:
    """The merchant decides a return order or one request. A moment passes, as it does between two acts."""
    flows.clock.move(1)
    flows.ask("platform", "/_sim/decide", id=id_, status=status, **more)


def tell(flows: Flows, id_: str, event: str = "sales_order.approved_or_denied", **how: Any) -> None:
    """The platform tells of a return order."""
    flows.ask("platform", event=event, id=id_, url=HOOK, set={"updatedAt": flows.clock.now().isoformat()}, **how)


def money(flows: Flows) -> list[str]:
    """What the ERP credited and paid back, in order."""
    return flows.effects("erp")


def test_an_approved_request_is_credited_paid_back_and_told_in_one_delivery(flows: Flows) -> None:
    (request,) = build(flows, "RET-1", SHIRT)
    decide(flows, "RET-1")
    tell(flows, "RET-1")
    assert money(flows) == ["credited 24.95 EUR as CN-000001", "refunded 24.95 EUR of CN-000001"]
    assert flows.effects("platform") == [f"resolution of {request}: Resolved"]
    (sent,) = flows.made("erp", "create_credit_note")
    assert (sent.body["order"], sent.body["externalReference"]) == ("0000012E4", f"RET-1/line.accepted:{request}:1")
    assert flows.routes() == {ROUTE: ["done"]}


def test_what_no_message_told_is_found_by_the_batch_of_approved_requests(flows: Flows) -> None:
    build(flows, "RET-1", SHIRT, MUG)
    decide(flows, "RET-1")
    flows.poll("returnista_eu", "approved_requests")
    assert len(money(flows)) == 4
    assert flows.routes() == {ROUTE: ["done", "done"]}


def test_told_again_and_again_in_every_way_each_request_is_settled_once_for_ever(flows: Flows) -> None:
    build(flows, "RET-1", SHIRT, MUG)
    decide(flows, "RET-1")
    tell(flows, "RET-1", copies=3, concurrent=True)
    for _ in range(3):
        flows.poll("returnista_eu", "approved_requests")
        flows.clock.move(3600)
        tell(flows, "RET-1")
        tell(flows, "RET-1", event="return_order.completed")
    assert len(flows.made("erp", "create_credit_note")) == len(flows.made("erp", "post_refund")) == 2
    assert len(flows.effects("platform")) == 2
    assert flows.routes() == {ROUTE: ["done", "done"]}
    assert {row["state"] for row in flows.events()} == {"done"}
    assert not flows.tasks()


def test_a_request_that_is_approved_later_is_settled_by_itself(flows: Flows) -> None:
    shirt, mug = build(flows, "RET-1", SHIRT, MUG)
    decide(flows, mug)
    tell(flows, "RET-1")
    assert money(flows) == ["credited 9.90 EUR as CN-000001", "refunded 9.90 EUR of CN-000001"]
    decide(flows, shirt)
    tell(flows, "RET-1")
    assert money(flows)[2:] == ["credited 24.95 EUR as CN-000002", "refunded 24.95 EUR of CN-000002"]


@pytest.mark.parametrize("status", ["Open", "Denied"])
def test_what_is_open_or_denied_costs_nothing(flows: Flows, status: str) -> None:
    build(flows, "RET-1", SHIRT)
    decide(flows, "RET-1", status)
    tell(flows, "RET-1")
    flows.poll("returnista_eu", "approved_requests")
    assert not money(flows) and flows.routes() == {}


@pytest.mark.parametrize("wanted", ["Exchange", "StoreCredit"])
def test_an_exchange_and_store_credit_are_no_refund(flows: Flows, wanted: str) -> None:
    build(flows, "RET-1", SHIRT)
    decide(flows, "RET-1", type=wanted)
    tell(flows, "RET-1")
    assert flows.states(ROUTE) == ["done"] and "not wanted" in flows.because(ROUTE)[0]
    assert not money(flows) and not flows.effects("platform")


def test_an_approval_that_was_taken_back_before_the_money_moved_costs_nothing(flows: Flows) -> None:
    (request,) = build(flows, "RET-1", SHIRT)
    decide(flows, "RET-1")
    flows.ask("platform", run=False, event="sales_order.approved_or_denied", id="RET-1", url=HOOK)
    flows._read("returnista_eu")
    decide(flows, request, "Open")
    assert flows.states(ROUTE) == ["skipped"] and "no longer holds" in flows.because(ROUTE)[0]
    assert not money(flows)


@pytest.mark.parametrize("order", ["US-7", "#US-7", "W-7", "F-7"])
def test_other_flows_orders_are_left_to_them(flows: Flows, order: str) -> None:
    build(flows, "RET-1", {**SHIRT, "order": order})
    decide(flows, "RET-1")
    flows.only(ROUTE)
    tell(flows, "RET-1")
    assert flows.routes() == {} and not flows.made("erp")


@pytest.mark.parametrize("order", ["USB-7", "Web1", "F7", "1004800-US"])
def test_a_number_that_only_looks_like_another_flows_is_settled(flows: Flows, order: str) -> None:
    flows.seed("erp", orders=[{"externalNumber": order, "number": "77"}])
    build(flows, "RET-1", {**SHIRT, "order": order})
    decide(flows, "RET-1")
    tell(flows, "RET-1")
    assert flows.states(ROUTE) == ["done"] and len(money(flows)) == 2


def test_what_the_warehouse_accepts_is_settled_only_when_the_platform_says_so(flows: Flows) -> None:
    build(flows, "RET-1", SHIRT, parcels=[{"id": "parcel-1", "tracking_number": "3S1"}])
    flows.ask("platform", event="shipment.label_created", id="parcel-1", url=HOOK)
    counted = {"lines": [{"sku": "SHIRT-M", "received": 1, "accepted": 1}], "secret": "demo-warehouse-secret"}
    flows.ask(
        "warehouse",
        "/_sim/grade",
        rma="RET-1/#1004800",
        event="return.graded",
        url="{hub}/webhooks/wms_eu",
        **counted,
    )
    (seen,) = [key for key in flows.ledger.find("#1004800") if key[1] == "wms_eu"]
    assert "line.accepted" in flows.changes_of(*seen, "name")
    assert not money(flows)
    decide(flows, "RET-1")
    tell(flows, "RET-1")
    assert len(money(flows)) == 2


def test_an_order_that_the_erp_does_not_know_yet_waits_for_it(flows: Flows) -> None:
    build(flows, "RET-1", {**SHIRT, "order": "1004900"})
    decide(flows, "RET-1")
    tell(flows, "RET-1")
    assert flows.states(ROUTE) == ["parked"] and not money(flows)
    flows.seed("erp", orders=[{"externalNumber": "1004900", "number": "9"}])
    flows.later(3600)
    assert flows.states(ROUTE) == ["done"] and len(money(flows)) == 2


@pytest.mark.parametrize("mode", ["drop", "drop_before_apply", "503", "429", "html502"])
@pytest.mark.parametrize(
    ("name", "operation"),
    [("erp", "create_credit_note"), ("erp", "post_refund"), ("platform", "update_resolution")],
)
def test_a_call_that_goes_wrong_is_made_good_and_nothing_before_it_again(
    flows: Flows, name: str, operation: str, mode: str
) -> None:
    (request,) = build(flows, "RET-1", SHIRT)
    decide(flows, "RET-1")
    flows.misbehave(name, operation, mode)
    tell(flows, "RET-1")
    flows.later(300, times=4)
    assert flows.states(ROUTE) == ["done"]
    assert money(flows) == ["credited 24.95 EUR as CN-000001", "refunded 24.95 EUR of CN-000001"]
    assert flows.effects("platform") == [f"resolution of {request}: Resolved"]


def test_what_cannot_be_credited_is_dead_and_the_platform_goes_on_showing_it_as_approved(flows: Flows) -> None:
    _, good = build(flows, "RET-1", {**MUG, "price": "-9.90"}, SHIRT)
    decide(flows, "RET-1")
    tell(flows, "RET-1")
    assert sorted(flows.states(ROUTE)) == ["dead", "done"]
    assert flows.effects("platform") == [f"resolution of {good}: Resolved"]


def test_until_it_is_configured_the_money_is_paid_and_the_platform_is_not_told(flows: Flows) -> None:
    flows.open(unconfigured(flows))
    build(flows, "RET-1", SHIRT)
    decide(flows, "RET-1")
    tell(flows, "RET-1")
    assert flows.states(ROUTE) == ["done"] and "not wanted" in flows.because(ROUTE)[0]
    assert len(money(flows)) == 2
    assert not flows.made("platform", "update_resolution")


def unconfigured(flows: Flows) -> Any:
    """The site as it is copied: nobody has asked yet by which call a resolution is updated."""
    platform = flows.site.connections["returnista_eu"]
    empty = {"resolution_path": "", "resolution_done": "", "resolution_denied": ""}
    told = replace(platform, settings={**platform.settings, **empty})
    return replace(flows.site, connections={**flows.site.connections, "returnista_eu": told})


def test_its_demo_plays_to_its_end(flows: Flows) -> None:
    flows.play("custom_resolution")
    assert flows.routes() == {ROUTE: ["done", "done"]}
    assert [one.split(" of ")[0] for one in money(flows)[1::2]] == ["refunded 24.95 EUR", "refunded 9.90 EUR"]
    assert {row["state"] for row in flows.events()} == {"done"}


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(["hook", "batch", "completed", "later"]), min_size=1, max_size=6), tag=st.uuids())
def test_however_it_is_told_each_request_is_paid_back_once(flows: Flows, acts: list[str], tag: Any) -> None:
    return_ = f"RET-{tag}"
    requests = build(flows, return_, SHIRT, {**SHIRT, "sku": "CAP"}, MUG)
    before = len(flows.made("erp", "post_refund"))
    decide(flows, requests[0])
    for act in [*acts, "decide", "batch"]:
        if act == "decide":
            decide(flows, return_)
        elif act == "batch":
            flows.poll("returnista_eu", "approved_requests")
        elif act == "later":
            flows.later(30)
        else:
            tell(
                flows,
                return_,
                event="return_order.completed" if act == "completed" else "sales_order.approved_or_denied",
            )
    told = [one for one in flows.effects("platform") if any(request in one for request in requests)]
    assert sorted(told) == sorted(f"resolution of {request}: Resolved" for request in requests)
    assert len(flows.made("erp", "post_refund")) - before == 3
