"""What is done is carried out once more when a person says that the world undid it."""

from __future__ import annotations

import pytest

from app.pipeline.story import tell
from tests.pipeline.calls_kit import CallsHub

ORDERED = (
    "{to: jobs.get_job, mapping: return.to_acme_job}",
    "{to: jobs.order_job, mapping: return.to_acme_change}",
)
WHY = "the bank sent it back"


def sent_again(hub: CallsHub, call: int | None = None) -> None:
    """Say that what the only delivery did was undone, and do what follows."""
    delivery_id = hub.row()["id"]
    assert hub.ledger.send_again([delivery_id], "me", WHY, call) == [delivery_id]
    hub.run()


def keys(hub: CallsHub) -> list[str]:
    """The idempotency keys of the orders, without the delivery's id."""
    return [request.idempotency_key.partition(".")[2] for request in hub.targets.sent("/orders/")]


def test_it_is_made_once_more_under_a_new_key_with_what_is_true_today(calls_hub: CallsHub) -> None:
    calls_hub.route(*ORDERED)
    calls_hub.targets.say("/jobs/", {"state": "open", "version": 1}, {"state": "open", "version": 5})
    calls_hub.register()
    sent_again(calls_hub)
    assert calls_hub.state == "done"
    assert keys(calls_hub) == ["1", "1.1"]
    # What only reads is read anew: the second order is of the newer version.
    assert [body["version"] for body in calls_hub.bodies("/orders/")] == [1, 5]
    calls_hub.run()
    sent_again(calls_hub)
    assert keys(calls_hub) == ["1", "1.1", "1.2"]


def test_every_try_of_it_has_the_same_new_key(calls_hub: CallsHub) -> None:
    calls_hub.route(*ORDERED)
    calls_hub.targets.say("/orders/", {"version": 2}, 503, "lost", {"version": 3})
    calls_hub.register()
    sent_again(calls_hub)
    for _ in range(3):
        calls_hub.later(600)
    assert (calls_hub.state, keys(calls_hub)) == ("done", ["1", "1.1", "1.1", "1.1"])


def test_what_changed_something_before_it_stands_unless_it_is_named(calls_hub: CallsHub) -> None:
    calls_hub.register()
    sent_again(calls_hub)
    assert calls_hub.calls().count("PATCH /changes/R-1") == 1
    assert calls_hub.calls().count("POST /notes") == 2
    assert [body["changed"] for body in calls_hub.bodies("/notes")] == [2, 2]
    sent_again(calls_hub, call=2)
    assert calls_hub.calls().count("PATCH /changes/R-1") == 2
    assert calls_hub.calls().count("POST /notes") == 3


def test_what_the_target_still_shows_was_not_undone_and_is_not_doubled(calls_hub: CallsHub) -> None:
    calls_hub.register()
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-1"}]})
    sent_again(calls_hub)
    assert calls_hub.state == "done"
    assert calls_hub.row()["because"] == "found at the target by the probe, before it was sent"
    assert calls_hub.calls().count("POST /notes") == 1


@pytest.mark.parametrize("state", ["open", "gone"])
def test_a_route_that_confirms_asks_once_more_whether_it_is_still_true(calls_hub: CallsHub, state: str) -> None:
    calls_hub.route(*ORDERED, confirm="true", change="return.labelled")
    parcels = [{"id": "p1", "state": "labelled"}]
    calls_hub.shows(parcels=parcels)
    calls_hub.register()
    calls_hub.shows(parcels=parcels if state == "open" else [{"id": "p1", "state": "failed"}])
    sent_again(calls_hub)
    assert calls_hub.state == ("done" if state == "open" else "skipped")
    assert keys(calls_hub) == (["1", "1.1"] if state == "open" else ["1"])


def test_the_story_says_who_sent_it_again_and_why(calls_hub: CallsHub) -> None:
    delivery_id = calls_hub.register()
    sent_again(calls_hub)
    [story] = tell(calls_hub.ledger, "R-1")["stories"]
    acts = [entry["title"] for entry in story["entries"] if entry["what"] == "act"]
    assert acts == [f"me: send again {delivery_id}, because {WHY}"]
