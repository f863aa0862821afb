"""Whatever is repeated, lost or overtaken: once the newest snapshot came, the document and the effects are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.fulfillmenttools.samples import build_job
from tests.connectors.fulfillmenttools_kit import Hub, chain, renamed, running_hub, snapshots
from tests.support import HandClock
from tests.unit.door_kit import opened

MUG = build_job({"order": "ORDER-5001", "articles": [{"sku": "MUG"}], "returns": [{"lines": [{"sku": "MUG"}]}]})
PRICE = {"value": 12.5, "currency": "EUR"}
LONG = snapshots(
    MUG,
    (2, {"status": "WAITING_FOR_INPUT"}),
    (5, {"status": "ACCEPTED"}),
    (6, {"refund": {"status": "OPEN", "price": PRICE, "percent": None}}),
    (11, {"refund": {"status": "IN_PROGRESS", "price": PRICE}}),
    (12, {"refund": {"status": "CLOSED", "price": PRICE}}),
)
CHAINS = {
    "order_1234": chain("order_1234"),
    "order_2222": chain("order_2222"),
    "order_3333": chain("order_3333"),
    "a refund step by step": LONG,
}
_names = count(1)
_alone: dict[tuple[int, str], tuple[Any, list[str], list[str]]] = {}


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


def outcome(hub: Hub, events: Sequence[Any], picks: Sequence[int]) -> tuple[Any, list[str], list[str]]:
    """The document, the facts and the effects after these events of a job of its own came in this order."""
    job = f"job-{next(_names):06d}"
    own = renamed(events, job)
    for number, pick in enumerate(picks):
        # Whether a repetition has the same event id, nobody says: every second one has its own.
        again = {**own[pick], "eventId": f"{job}-{pick}-{number // 2}"}
        assert hub.post(again) == 200
        if number % 3:
            hub.run()
    hub.run()
    document = hub.document(job)
    # Being looked at ends with the decision; whoever missed it missed nothing that still holds.
    facts = [key for key in hub.changes(job) if not key.startswith("line.in_review")]
    return {**document, "id": ""}, sorted(facts), sorted(hub.effects(job))


def ends_the_same(hub: Hub, name: str, data: Any) -> None:
    """Draw an order with repeats and gaps that holds the newest snapshot, and compare it with that one alone."""
    events = CHAINS[name]
    newest = len(events) - 1
    picks = data.draw(st.lists(st.integers(0, newest), max_size=7))
    at = data.draw(st.integers(0, len(picks)))
    if (id(hub), name) not in _alone:
        _alone[id(hub), name] = outcome(hub, events, [newest])
    assert outcome(hub, events, [*picks[:at], newest, *picks[at:]]) == _alone[id(hub), name]


FEW = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(FEW, max_examples=60)


@pytest.mark.parametrize("name", list(CHAINS))
@given(data=st.data())
@FEW
def test_orders_repeats_and_gaps_that_hold_the_newest_version_end_the_same(hub: Hub, name: str, data: Any) -> None:
    ends_the_same(hub, name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CHAINS))
@given(data=st.data())
@MANY
def test_many_orders_repeats_and_gaps_end_the_same(hub: Hub, name: str, data: Any) -> None:
    ends_the_same(hub, name, data)


def test_the_triggered_refund_may_come_anywhere_in_between(hub: Hub) -> None:
    events = CHAINS["a refund step by step"]
    hub.jobs.seed({"jobs": [{**events[-1]["payload"], "id": "job-any"}]})
    trigger = {
        "event": "REFUND_TRIGGERED",
        "eventId": "trigger",
        "payload": {
            "itemReturnJobRef": "job-any",
            "itemReturnJobVersion": 6,
            "itemReturnRef": "r",
            "refundedLineItems": [],
        },
    }
    own = renamed(events, "job-any")
    hub.tell(own[0], trigger, own[1], own[4], own[2], {**trigger, "eventId": "again"}, own[3])
    assert sorted(effect.split()[0] for effect in hub.effects("job-any")) == [
        *("line.accepted", "refund.closed", "refund.started", "return.registered"),
    ]
