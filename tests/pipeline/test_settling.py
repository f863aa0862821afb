"""A route with `settle` waits for newer pictures and makes one call for all of them; nothing is silently gone."""

from __future__ import annotations

from typing import Any

import pytest

from app.model import Request
from tests.pipeline.kit import FILES, MiniHub

ROUTES = """
routes:
  - route: picture
    change: [parcel.labelled, parcel.failed]
    settle: 5s
    settle_cap: 12s
    calls: [{to: wms.track, mapping: return.to_acme_tracking}]
"""


@pytest.fixture
def hub(hub: MiniHub) -> MiniHub:
    hub.write({**FILES, "config/routes.yaml": ROUTES})
    return hub


def tell(hub: MiniHub, parcels: int, state: str = "labelled") -> None:
    """The shop tells that the return has so many parcels now."""
    found = [{"id": f"p{number}", "state": state, "tracking_number": f"T{number}"} for number in range(parcels)]
    hub.shows(parcels=found)
    hub.receive(**{"return": "R-1"})
    hub.run()


def told(hub: MiniHub) -> list[Any]:
    """How many parcels each call to the warehouse told of."""
    return [request.body["parcels"] for request in hub.targets.sent("/parcels") if isinstance(request, Request)]


def test_ten_pictures_in_two_seconds_are_one_call_with_the_newest(hub: MiniHub) -> None:
    for number in range(1, 11):
        tell(hub, number)
        hub.clock.move(0.2)
    assert told(hub) == []
    hub.later(5)
    assert told(hub) == [10]
    rows = hub.ledger.deliveries({}, 100)
    assert sorted(row["state"] for row in rows) == ["done", *["skipped"] * 9]
    (done,) = [row for row in rows if row["state"] == "done"]
    assert [row for row in rows if "merged into" in row["because"] and "newer picture" in row["because"]] == [
        row for row in rows if row["state"] == "skipped"
    ]
    # The last but one was merged into the one that was sent.
    assert any(done["id"] in row["because"] for row in rows)


def test_no_call_waits_longer_than_the_cap(hub: MiniHub) -> None:
    for number in range(1, 11):
        tell(hub, number)
        hub.clock.move(4)
    # 4 s apart: told when the first is 12 s old, and again 12 s after the one that followed.
    assert told(hub) == [4, 8]
    hub.later(12)
    assert told(hub)[-1] == 10


def test_several_changes_of_one_picture_are_one_call(hub: MiniHub) -> None:
    tell(hub, 3)
    hub.later(5)
    assert told(hub) == [3]
    assert sorted(row["state"] for row in hub.ledger.deliveries({}, 100)) == ["done", "skipped", "skipped"]


def test_what_may_have_been_sent_is_not_merged(hub: MiniHub) -> None:
    hub.targets.say("/announcements", "lost", {"number": "W-1"})
    tell(hub, 1)
    hub.later(5)
    tell(hub, 2)
    hub.later(60)
    assert told(hub) == [1, 1, 2]
    assert all(row["state"] == "done" for row in hub.ledger.deliveries({}, 100))


def test_one_that_waits_for_a_number_gives_way_to_the_newer_picture(hub: MiniHub) -> None:
    text = FILES["mappings/return.to_acme_tracking.yaml"].replace(
        "args:", 'references:\n  order: {kind: order, from: store, to: erp, id: "{{ one.number }}"}\nargs:'
    )
    hub.write({"mappings/return.to_acme_tracking.yaml": text})
    hub.targets.say("/orders", {"numbers": []})
    tell(hub, 1)
    hub.later(5)
    assert [row["state"] for row in hub.ledger.deliveries({}, 100)] == ["parked"]
    tell(hub, 2)
    assert sorted(row["state"] for row in hub.ledger.deliveries({}, 100)) == ["ready", "skipped"]
    hub.targets.say("/orders", {"numbers": ["E-1"]})
    hub.later(5)
    assert told(hub) == [2]
