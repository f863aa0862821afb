"""Whatever is repeated, lost or overtaken: once the newest snapshot came, the same was paid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.fulfillmenttools.samples import build_job
from tests.connectors.fulfillmenttools_kit import chain, snapshots
from tests.flows.kit import Flows
from tests.flows.store_kit import LESS, NUMBERS, orders, tell

SIX = ("order_1234", "order_2222", "order_3333")
MUG = build_job(
    {"order": "ORDER-5001", "articles": [{"sku": "MUG", "price": 12.5}], "returns": [{"lines": [{"sku": "MUG"}]}]}
)
CHAINS: dict[str, list[Any]] = {
    **{name: chain(name) for name in SIX},
    "accepted, then refunded over less": snapshots(
        MUG,
        (2, {"status": "WAITING_FOR_INPUT"}),
        (5, {"status": "ACCEPTED"}),
        (6, {"refund": {"status": "OPEN", "price": LESS, "percent": None}}),
        (12, {"refund": {"status": "CLOSED", "price": LESS}}),
    ),
    "goodwill, then accepted": snapshots(
        MUG,
        (3, {"refund": {"status": "OPEN", "percent": 80}}),
        (4, {"refund": {"status": "IN_PROGRESS", "percent": 80}}),
        (9, {"status": "ACCEPTED"}),
    ),
    "rejected after quality check": snapshots(
        MUG, (2, {"status": "WAITING_FOR_INPUT"}), (3, {"status": "ACCEPTED"}), (4, {"status": "REJECTED"})
    ),
}
FEW = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(FEW, max_examples=60)
_alone: dict[tuple[str, str], list[str]] = {}


def test_the_six_examples_of_the_vendor_pass_as_given(flows: Flows) -> None:
    orders(flows, "ORDER-1234", "ORDER-2222", "ORDER-3333", price="20.00")
    for name in SIX:
        events = chain(name)
        flows.seed("stores", jobs=[events[-1]["payload"]])
        tell(flows, *events)
    assert [effect for effect in flows.effects("erp") if effect.startswith("refunded")] == [
        "refunded 20.00 EUR of CN-000001",
        "refunded 20.00 EUR of CN-000002",
        "refunded 49.95 EUR of CN-000003",
    ]
    assert {row["state"] for row in flows.deliveries()} == {"done"}


def outcome(flows: Flows, name: str, prefix: str, picks: Sequence[int]) -> list[str]:
    """What was paid after these events of a job of its own came in this order; the platform holds the newest."""
    number = f"{next(NUMBERS):06d}"
    own, order = f"job-{number}", f"{prefix}-{number}"
    events = CHAINS[name]
    text = (
        json.dumps(events)
        .replace(events[0]["payload"]["id"], own)
        .replace(events[0]["payload"]["tenantOrderId"], order)
    )
    told = json.loads(text)
    orders(flows, order, price="60.00")
    flows.seed("stores", jobs=[told[-1]["payload"]])
    for place, pick in enumerate(picks):
        # Whether a repetition has the same event id, nobody says: every second one has its own.
        event = {**told[pick], "eventId": f"{own}-{pick}-{place // 2}"}
        tell(flows, event, run=bool(place % 3))
    flows.run()
    rows = [row for row in flows.deliveries() if row["object_id"] == own]
    assert {row["state"] for row in rows} <= {"done", "skipped"}
    notes = [
        one.body
        for one in flows.made("erp", "create_credit_note")
        if one.effect and one.body["externalReference"].startswith(own)
    ]
    closed = len([one for one in flows.made("erp", "post_refund") if one.effect])
    assert closed == len([one for one in flows.made("erp", "create_credit_note") if one.effect])
    back = [
        one.body
        for one in flows.made("refunds", "create_refund")
        if one.effect and one.body["metadata"]["return"] == own
    ]
    return sorted(json.dumps(body, default=str).replace(own, "").replace(order, "") for body in [*notes, *back])


def ends_the_same(flows: Flows, name: str, prefix: str, data: Any) -> None:
    """Draw an order with repeats and gaps that holds the newest snapshot, and compare it with that one alone."""
    last = len(CHAINS[name]) - 1
    picks = data.draw(st.lists(st.integers(0, last), max_size=5))
    at = data.draw(st.integers(0, len(picks)))
    if (name, prefix) not in _alone:
        _alone[name, prefix] = outcome(flows, name, prefix, [last])
    assert outcome(flows, name, prefix, [*picks[:at], last, *picks[at:]]) == _alone[name, prefix]


# A percentage has another base at Digital River: it is for a person.
ALL = [
    (name, prefix)
    for name in CHAINS
    for prefix in ("F", "F-US")
    if (name, prefix) != ("goodwill, then accepted", "F-US")
]
SOME = [
    ("order_1234", "F"),
    ("accepted, then refunded over less", "F"),
    ("accepted, then refunded over less", "F-US"),
    ("goodwill, then accepted", "F"),
]


@pytest.mark.parametrize(("name", "prefix"), SOME)
@given(data=st.data())
@FEW
def test_orders_repeats_and_gaps_that_hold_the_newest_version_pay_the_same(
    flows: Flows, name: str, prefix: str, data: Any
) -> None:
    ends_the_same(flows, name, prefix, data)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "prefix"), ALL)
@given(data=st.data())
@MANY
def test_many_orders_repeats_and_gaps_pay_the_same(flows: Flows, name: str, prefix: str, data: Any) -> None:
    ends_the_same(flows, name, prefix, data)
