"""Deliveries of one burst are merged into the newest; each that is merged stays, with the reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.adapters.ledger import Ledger
from app.model import Change, NewDelivery
from tests.contract.making import claim_ids, document, new, received
from tests.support import HandClock

SETTLE_S, CAP_S = 5.0, 12.0


def settling(
    ledger: Ledger, clock: HandClock, *, changes: int = 1, object_id: str = "R-1", part: str = "", route: str = "push"
) -> tuple[list[str], int]:
    """Deliveries of a picture with so many new changes; their ids, and how many older ones were merged."""
    made, merged = [], 0
    event_id = received(ledger, clock, state="ignored")
    with ledger.write() as tx:
        picture = document(clock, event_id, object_id)
        tx.lock_objects([("return", "shop", object_id)])
        tx.add_documents([picture])
        told = [Change("parcel.labelled", new("parcel.labelled:p")) for _ in range(changes)]
        ids = tx.add_changes(picture, told)
        for change in told:
            key = f"shop|{object_id}"
            one = NewDelivery(new("dlv"), change.key, route, part, "wms", key, "stamp", (SETTLE_S, CAP_S))
            merged += tx.add_deliveries(picture, ids[change.key], [one])
            made.append(one.delivery_id)
    return made, merged


def row(ledger: Ledger, delivery_id: str) -> dict[str, Any]:
    found = ledger.delivery(delivery_id)
    assert found is not None
    return dict(found)


def test_a_newer_picture_takes_the_place_of_what_was_not_sent(ledger: Ledger, clock: HandClock) -> None:
    (first,), none = settling(ledger, clock)
    clock.move(1)
    (second, third), two = settling(ledger, clock, changes=2)
    assert (none, two) == (0, 2)
    for gone, newer in ((first, third), (second, third)):
        found = row(ledger, gone)
        assert (found["state"], found["due_at"]) == ("skipped", None)
        assert found["because"].startswith("merged into dlv_") and "newer picture" in found["because"]
        assert newer in found["because"] or second in found["because"]
    assert claim_ids(ledger) == []
    clock.move(SETTLE_S)
    assert claim_ids(ledger) == [third]


def test_other_objects_parts_and_routes_are_left_alone(ledger: Ledger, clock: HandClock) -> None:
    (first,), _ = settling(ledger, clock)
    others = [{"object_id": "R-2"}, {"part": "1004800"}, {"route": "tell"}]
    assert [settling(ledger, clock, **other)[1] for other in others] == [0, 0, 0]
    assert row(ledger, first)["state"] == "ready"


def test_the_first_of_a_burst_says_how_long_it_may_wait(ledger: Ledger, clock: HandClock) -> None:
    latest = clock.now() + timedelta(seconds=CAP_S)
    for _ in range(5):
        (last,), _ = settling(ledger, clock)
        clock.move(3)
    assert row(ledger, last)["due_at"] == latest.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert claim_ids(ledger) == [last]


def test_what_is_in_somebodys_hands_is_not_merged(ledger: Ledger, clock: HandClock) -> None:
    (first,), _ = settling(ledger, clock)
    clock.move(SETTLE_S)
    assert claim_ids(ledger) == [first]
    (second,), merged = settling(ledger, clock)
    assert merged == 0 and row(ledger, first)["state"] == "running" and row(ledger, second)["state"] == "ready"
