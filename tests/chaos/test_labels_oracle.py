"""What must come of labels: every history that is legitimate is accepted, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from chaos.judge import judge
from chaos.plan import Message, Recorded, SourcePlan, Try
from chaos.sources import labels
from chaos.sources.labels_oracle import Oracle, Told

HEADERS: dict[str, str] = {}

BOUGHT = [{"order": "#1", "sku": "S", "quantity": 2}, {"order": "1e5", "sku": "M", "quantity": 1}]
TOLD = Told("R-1", ["#1", "1e5"], BOUGHT, {"#1": "0000012E4", "1e5": "7"})
LINES = {"#1": [{"sku": "S", "quantity": 2}], "1e5": [{"sku": "M", "quantity": 1}]}


class Story:
    event_ids = frozenset({"e0"})
    tracking_numbers = frozenset({"T-1", "T-2"})


def labelled(**more: Any) -> SourcePlan:
    oracle = Oracle()
    oracle.add(replace(TOLD, **more), Story())
    plan = SourcePlan("labels", expected=oracle.expected, needs=oracle.needs)
    plan.effect_of, plan.rank_of, plan.owns, plan.check = oracle.effect_of, oracle.rank_of, oracle.owns, oracle.check
    plan.messages.append(Message("returnista_eu", "R-1", "e0", 0.0, b"", lambda now: HEADERS))
    return plan


class Warehouse:
    """Makes requests as the warehouse records them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, operation: str, order: str = "#1", *parcels: str, **more: Any) -> Recorded:
        self.count += 1
        rma = f"R-1/{order}"
        body: dict[str, Any] = {"parcels": [{"trackingNumber": one} for one in parcels]}
        path = "/returns"
        if operation == "announce_return":
            body |= {"rmaNumber": rma, "returnId": "R-1", "shopOrder": order, "salesOrder": TOLD.erp.get(order, "?")}
            body |= {"lines": LINES.get(order, []), **more}
        elif operation == "cancel_return":
            path, body = f"/returns/{rma}/cancel", {"reason": "CANCELLED", "returnId": "R-1"}
        else:
            path = f"/returns/{rma}/tracking"
        at, key = float(self.count), {"Idempotency-Key": f"dlv_{self.count}.0"}
        return Recorded("warehouse", self.count, at, at + 0.1, operation, path, key, body, 200, f"{operation} {rma}")


@pytest.fixture
def made() -> Warehouse:
    return Warehouse()


def answers(plan: SourcePlan) -> list[Try]:
    """Every message was taken."""
    return [Try(one.source, one.object_id, one.event_id, 0.0, 0.01, 200) for one in plan.messages]


def kinds(plan: SourcePlan, tries: Sequence[Try], *recorded: Recorded) -> list[str]:
    return [one.kind for one in judge([plan], tries, recorded, timeout_s=3.0).violations]


A, T, C = "announce_return", "update_tracking", "cancel_return"


def test_both_histories_of_two_parcels_are_right(made: Warehouse) -> None:
    plan = labelled()
    told = [made(A, "#1", "T-1"), made(A, "1e5", "T-1", "T-2"), made(T, "#1", "T-1", "T-2")]
    assert kinds(plan, answers(plan), *told) == []


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"salesOrder": "12E4"}, "wrong"),
        ({"lines": [{"sku": "S", "quantity": 3}]}, "wrong"),
        ({"shopOrder": "1"}, "wrong"),
    ],
)
def test_an_announcement_that_differs_by_one_sign_is_wrong(made: Warehouse, more: dict[str, Any], kind: str) -> None:
    plan = labelled()
    both = ("T-1", "T-2")
    assert kinds(plan, answers(plan), made(A, "#1", *both, **more), made(A, "1e5", *both)) == [kind]


def test_a_parcel_that_the_warehouse_never_heard_of_is_seen(made: Warehouse) -> None:
    plan = labelled()
    told = [made(A, "#1", "T-1"), made(A, "1e5", "T-1", "T-2")]
    assert kinds(plan, answers(plan), *told) == ["outcome", "outcome"]


def test_parcels_told_twice_or_backwards_are_seen(made: Warehouse) -> None:
    plan = labelled()
    both = ("T-1", "T-2")
    told = [made(A, "#1", "T-1"), made(A, "1e5", *both), made(T, "#1", *both), made(T, "#1", *both)]
    assert kinds(plan, answers(plan), *told) == ["outcome"]
    told = [made(A, "#1", "T-1"), made(A, "1e5", *both), made(T, "#1", *both), made(T, "#1", "T-1")]
    assert set(kinds(plan, answers(plan), *told)) == {"outcome", "order"}
    told = [made(A, "#1", "T-9"), made(A, "1e5", *both), made(T, "#1", *both), made(T, "#1", *both)]
    assert "outcome" in kinds(plan, answers(plan), *told)


def test_an_order_that_the_erp_has_twice_is_never_announced(made: Warehouse) -> None:
    plan = labelled(conflicts={"#1"})
    both = ("T-1", "T-2")
    assert kinds(plan, answers(plan), made(A, "1e5", *both)) == []
    assert kinds(plan, answers(plan), made(A, "1e5", *both), made(A, "#1", *both)) == ["uncalled"]


def test_a_cancelled_return_was_announced_and_cancelled_or_neither(made: Warehouse) -> None:
    plan = labelled(cancelled=True)
    both = ("T-1", "T-2")
    other = made(A, "1e5", *both), made(C, "1e5")
    assert kinds(plan, answers(plan)) == []
    assert kinds(plan, answers(plan), *other) == ["outcome"]
    assert kinds(plan, answers(plan), *other, made(A, "#1", *both), made(C, "#1")) == []
    assert kinds(plan, answers(plan), *other, made(A, "#1", *both)) == ["outcome"]
    assert kinds(plan, answers(plan), *other, made(C, "#1"), made(A, "#1", *both)) == ["outcome"]
    assert kinds(plan, answers(plan), *other, made(A, "#1", *both), made(C, "#1"), made(C, "#1")) == ["outcome"]
    assert kinds(plan, answers(plan), *other, made(A, "#1", *both, salesOrder="8"), made(C, "#1")) == ["outcome"]


def test_a_cancellation_that_nobody_asked_for_is_seen(made: Warehouse) -> None:
    plan = labelled()
    both = ("T-1", "T-2")
    told = [made(A, "#1", *both), made(A, "1e5", *both), made(C, "#1")]
    assert kinds(plan, answers(plan), *told) == ["outcome"]


def test_a_return_of_another_run_is_uncalled(made: Warehouse) -> None:
    plan = labelled()
    both = ("T-1", "T-2")
    stranger = replace(made(A, "#1", *both), body={"rmaNumber": "R-2/#1", "lines": []})
    assert kinds(plan, answers(plan), made(A, "#1", *both), made(A, "1e5", *both), stranger) == ["uncalled"]


def test_a_whole_plan_of_which_nothing_came_is_all_lost() -> None:
    plan = labels.plan(Random(1), 50, "lost", 5.0)
    lost = kinds(plan, answers(plan))
    assert set(lost) == {"lost"}
    assert len(lost) == sum(plan.expected.values()) > 20
