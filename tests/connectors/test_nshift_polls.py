"""The list of nShift's returns, asked for in windows: none is missed, however few come in one answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.times import iso
from tests.connectors.example_site import ROOT
from tests.connectors.nshift_kit import Make, NshiftHub, line, make, nshift, sqlite_ledger

__all__ = ["make", "nshift", "sqlite_ledger"]  # fixtures

DAY = datetime(2026, 11, 20, tzinfo=UTC)


FOLDER = ROOT / "connectors" / "nshift"


@pytest.fixture
def hub(make: Make) -> NshiftHub:
    """A hub whose first look goes back three days instead of sixty, a day at a time."""
    names = ["connector.yaml", "schemas/wms_update.json", "schemas/push_orders.json"]
    files = {f"connectors/nshift/{name}": (FOLDER / name).read_text(encoding="utf-8") for name in names}
    whole = files["connectors/nshift/connector.yaml"]
    assert "longest: 10d, start: 60d" in whole
    files["connectors/nshift/connector.yaml"] = whole.replace("longest: 10d, start: 60d", "longest: 1d, start: 3d")
    return make(files)


def returns(count: int, every_s: int = 60) -> list[dict[str, Any]]:
    """So many returns, created one after the other."""
    return [
        {
            "returnOrderId": 100 + number,
            "orderId": f"A-{number}",
            "createdAt": iso(DAY + timedelta(seconds=every_s * number)),
            "items": [{"sku": "hera"}],
        }
        for number in range(count)
    ]


def events(hub: NshiftHub) -> int:
    """How many events of nShift the hub has."""
    return len(hub.ledger.events({}, 1000))


def test_a_hidden_cap_halves_the_window_until_all_are_read(hub: NshiftHub) -> None:
    hub.sim_seed(returns=returns(23), quirks={"page_cap": 4})
    looks = hub.polls()
    assert all(look.finish.good for look in looks)
    assert hub.head("nshift", "100")["orders"] == [{"number": "A-0"}]
    assert hub.head("nshift", "122")["orders"] == [{"number": "A-22"}]
    assert events(hub) == 23


def test_more_returns_in_a_second_than_the_cap_are_taken_as_far_as_they_come(hub: NshiftHub) -> None:
    hub.sim_seed(returns=returns(5, every_s=0), quirks={"page_cap": 2})
    hub.polls()
    assert events(hub) == 2


def test_a_window_is_asked_for_in_whole_seconds_of_utc_and_no_page(hub: NshiftHub) -> None:
    looks = hub.polls()
    asked = [one.query for one in hub.received("list_return_orders")]
    assert len(asked) == len(looks) == 3, "a day at a time"
    assert all(set(query) == {"updatedAfter", "updatedBefore"} for query in asked)
    assert asked[-1]["updatedBefore"] == ["2026-11-22T11:59:00Z"]


def test_what_was_polled_twice_is_one_event_and_what_changed_is_another(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"}, known=False)
    hub.polls()
    hub.sim_seed(now="2026-11-22T12:05:00Z", process={"4711": 39.0})
    hub.clock.move(900)
    hub.polls()
    hub.clock.move(900)
    hub.polls()
    assert events(hub) == 2
    assert hub.head("nshift", "4711")["state"] == "decided"


def test_by_polling_the_hub_learns_what_the_warehouses_result_waits_for(hub: NshiftHub) -> None:
    hub.opens({"sku": "hera"}, known=False)
    hub.graded(line())
    assert hub.state()[0] == "parked"
    hub.polls()
    assert hub.state()[0] == "done"


def test_an_answer_that_is_no_list_ends_the_look_and_moves_nothing(hub: NshiftHub) -> None:
    hub.sim.misbehave("list_return_orders", "html502", times=None)
    (look,) = hub.polls()
    assert not look.finish.good and look.finish.cursor is None
