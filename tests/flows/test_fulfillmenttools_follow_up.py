"""What stores and the back office decide in fulfillmenttools: each unit is paid once for ever, or a person is asked."""

from __future__ import annotations

import pytest

from connectors.fulfillmenttools.samples import build_job
from tests.flows.kit import Flows
from tests.flows.store_kit import (
    ERP,
    LESS,
    PRICE,
    US,
    begun,
    dead,
    decide,
    job,
    line_of,
    newest,
    once,
    orders,
    paid,
    platform,
    silent,
    tell,
)

# --- each unit once ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [ERP, US])
def test_an_accepted_unit_is_paid_and_the_store_is_told(flows: Flows, order: str) -> None:
    held = begun(flows, order)
    assert paid(flows) == []
    decide(flows, held, status="ACCEPTED")
    assert paid(flows) == once(order)
    # Digital River has taken it for processing, and pays later.
    status = "IN_PROGRESS" if order == US else "CLOSED"
    assert line_of(platform(flows).jobs[held["id"]])["refund"] == {"status": status, "price": PRICE}


@pytest.mark.parametrize("order", [ERP, US])
def test_what_the_store_tells_of_our_own_refund_pays_nothing_again(flows: Flows, order: str) -> None:
    held = begun(flows, order)
    decide(flows, held, status="ACCEPTED")
    events = platform(flows).events
    assert "REFUND_TRIGGERED" in [event["event"] for event in events]
    tell(flows, *events, *reversed(events))
    assert paid(flows) == once(order)
    assert not dead(flows) and not flows.tasks()
    assert len(flows.made("stores", "patch_line")) == 1


@pytest.mark.parametrize("order", [ERP, US])
def test_goodwill_is_paid_once_and_not_again_when_the_unit_is_accepted_later(flows: Flows, order: str) -> None:
    held = begun(flows, order)
    decide(flows, held, refund={"status": "OPEN", "price": PRICE})
    assert len(paid(flows)) == len(once(order))
    decide(flows, held, status="ACCEPTED")
    decide(flows, held, refund={"status": "CLOSED", "price": PRICE})
    assert len(paid(flows)) == len(once(order))
    assert not dead(flows) and not flows.made("stores", "patch_line")


def test_the_refund_says_how_much(flows: Flows) -> None:
    held = begun(flows)
    decide(flows, held, refund={"status": "OPEN", "price": LESS, "percent": None})
    assert paid(flows) == once(ERP, "10.00")


def test_a_percentage_is_of_the_price(flows: Flows) -> None:
    held = begun(flows)
    decide(flows, held, refund={"status": "OPEN", "percent": 80})
    assert paid(flows) == once(ERP, "10.00")


@pytest.mark.parametrize("order", [ERP, US])
def test_a_refund_over_another_amount_than_was_paid_already_is_for_a_person(flows: Flows, order: str) -> None:
    silent(flows)
    held = begun(flows, order)
    decide(flows, held, status="ACCEPTED")
    decide(flows, held, refund={"status": "OPEN", "price": LESS})
    assert paid(flows) == once(order)
    assert ["settle the difference by hand" in because for because in dead(flows)] == [True]


@pytest.mark.parametrize("order", [ERP, US])
def test_a_refund_that_is_changed_after_it_was_paid_is_for_a_person(flows: Flows, order: str) -> None:
    held = begun(flows, order)
    decide(flows, held, refund={"status": "OPEN", "price": LESS})
    before = paid(flows)
    decide(flows, held, refund={"status": "OPEN", "price": PRICE})
    assert paid(flows) == before != []
    assert flows.states("ask_about_changed_refund") == ["dead"]


# --- decisions that turn --------------------------------------------------------------------------


@pytest.mark.parametrize("order", [ERP, US])
def test_a_unit_that_quality_check_rejects_is_not_paid(flows: Flows, order: str) -> None:
    held = begun(flows, order, status="WAITING_FOR_INPUT")
    decide(flows, held, status="REJECTED")
    assert paid(flows) == [] and not flows.deliveries()


@pytest.mark.parametrize("order", [ERP, US])
def test_a_unit_that_was_accepted_and_rejected_before_we_looked_is_not_paid(flows: Flows, order: str) -> None:
    held = begun(flows, order)
    path = f"{held['itemReturns'][0]['id']}/{line_of(held)['id']}"
    for status in ("ACCEPTED", "REJECTED"):
        flows.ask("stores", "/_sim/change", job=held["id"], line=path, set={"status": status}, run=False)
    tell(flows, *platform(flows).events)
    assert paid(flows) == [] and not flows.tasks()


@pytest.mark.parametrize("order", [ERP, US])
def test_a_unit_that_is_rejected_after_it_was_paid_is_a_task_for_a_person(flows: Flows, order: str) -> None:
    held = begun(flows, order)
    decide(flows, held, status="ACCEPTED")
    decide(flows, held, status="REJECTED", refund=None)
    assert [task["kind"] for task in flows.tasks()].count("reversal") >= 1
    assert paid(flows) == once(order)


def test_a_unit_that_is_rejected_while_the_store_is_told_of_its_refund_is_a_task_too(flows: Flows) -> None:
    held = begun(flows)
    jobs, path = platform(flows), f"{held['itemReturns'][0]['id']}/{line_of(held)['id']}"
    flows.ask("stores", "/_sim/change", job=held["id"], line=path, set={"status": "ACCEPTED"}, run=False)
    flows.seed("stores", quirks={"overtaken": 1})
    tell(flows, newest(flows))
    assert flows.states("pay_accepted") == ["waiting"] and paid(flows) == once(ERP)
    jobs.change(held["id"], lambda one: line_of(one).update(status="REJECTED"))
    flows.later(60)
    assert flows.states("pay_accepted") == ["done"]
    assert [one.status for one in flows.made("stores", "patch_line")] == [409]
    tell(flows, newest(flows))
    assert [task["kind"] for task in flows.tasks()] == ["reversal"]


@pytest.mark.parametrize("order", [ERP, US])
@pytest.mark.parametrize("together", [True, False])
def test_a_refund_of_a_rejected_unit_is_for_a_person(flows: Flows, order: str, together: bool) -> None:
    held = begun(flows, order)
    if not together:
        decide(flows, held, status="REJECTED")
    decide(flows, held, status="REJECTED", refund={"status": "OPEN", "price": PRICE})
    assert paid(flows) == []
    assert dead(flows) and all("pay it by hand if it shall be paid" in because for because in dead(flows))


def test_goodwill_that_was_paid_before_the_unit_is_rejected_is_for_a_person(flows: Flows) -> None:
    held = begun(flows)
    decide(flows, held, refund={"status": "OPEN", "price": PRICE})
    decide(flows, held, status="REJECTED")
    assert paid(flows) == once(ERP)
    assert flows.states("ask_about_rejected") == ["dead"]


def test_a_unit_that_takes_the_place_of_one_that_was_paid_is_not_paid_whichever_fact_asks(flows: Flows) -> None:
    held = begun(flows)
    flows.only("pay_accepted", "pay_triggered_refund")
    decide(flows, held, status="ACCEPTED")
    kept = platform(flows)
    kept.change(held["id"], lambda one: line_of(one).update(id="another", status="OPEN"))
    tell(flows, newest(flows))
    kept.change(held["id"], lambda one: line_of(one).update(refund={"status": "IN_PROGRESS", "price": LESS}))
    tell(flows, newest(flows))
    assert paid(flows) == once(ERP)
    assert any("beyond" in task["key"] or "beyond" in task["because"] for task in flows.tasks())


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["drop", "503"])
@pytest.mark.parametrize(
    ("order", "simulator", "operation"),
    [(ERP, "erp", "create_credit_note"), (ERP, "erp", "post_refund"), (US, "refunds", "create_refund")],
)
def test_whatever_happens_on_the_way_a_unit_is_paid_once(
    flows: Flows, order: str, simulator: str, operation: str, mode: str
) -> None:
    held = begun(flows, order)
    flows.misbehave(simulator, operation, mode)
    decide(flows, held, status="ACCEPTED", refund={"status": "OPEN", "price": PRICE})
    flows.later(600, times=4)
    assert len(paid(flows)) == len(once(order))
    assert {row["state"] for row in flows.deliveries()} == {"done"}


def test_an_order_that_the_erp_does_not_know_yet_is_waited_for_and_looked_at_again(flows: Flows) -> None:
    held = job()
    flows.seed("stores", jobs=[held])
    decide(flows, held, status="ACCEPTED")
    assert flows.states("pay_accepted") == ["parked"] and not flows.tasks()
    # Rejected before anything was begun: nothing to undo, nobody to be asked.
    decide(flows, held, status="REJECTED")
    orders(flows, ERP)
    flows.later(3600)
    assert flows.states("pay_accepted") == ["skipped"] and paid(flows) == [] and not flows.tasks()


def test_a_refund_of_digital_river_that_failed_does_not_count_as_paid(flows: Flows) -> None:
    held = begun(flows, US)
    decide(flows, held, status="ACCEPTED")
    flows.ask("refunds", "/_sim/settle", refund="re_0000000001", state="failed", because="no such card")
    assert flows.states("pay_triggered_refund_us") == []
    decide(flows, held, refund={"status": "OPEN", "price": PRICE})
    assert len(flows.effects("refunds", "create_refund")) == 2


def test_a_unit_that_may_not_be_returned_is_for_a_person(flows: Flows) -> None:
    held = build_job(
        {"order": ERP, "articles": [{"sku": "MUG"}], "returns": [{"unwanted": [{"sku": "GIFT", "status": "ACCEPTED"}]}]}
        | {"articles": [{"sku": "MUG"}, {"sku": "GIFT"}]}
    )
    orders(flows, ERP)
    flows.seed("stores", jobs=[held])
    tell(flows, {"event": "ITEM_RETURN_JOB_UPDATED", "payload": held, "eventId": "e"})
    assert flows.states("ask_about_not_returnable") == ["dead"] and paid(flows) == []


def test_a_tenant_that_is_not_to_be_told_is_not_told(flows: Flows) -> None:
    silent(flows)
    held = begun(flows)
    decide(flows, held, status="ACCEPTED")
    assert paid(flows) == once(ERP) and flows.states("pay_accepted") == ["done"]
    assert not flows.made("stores", "patch_line")
