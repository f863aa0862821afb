"""What asks for a person: numbers that cannot be, and facts that were acted upon and then taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from app.pipeline.story import tell
from tests.pipeline.decisions_kit import SITE, DecisionsHub
from tests.support import HandClock


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> DecisionsHub:
    """A hub that pays for what was accepted."""
    return DecisionsHub(tmp_path / "site", ledger, clock, **SITE)


def test_a_decision_that_is_taken_back_after_it_was_acted_upon_asks_for_a_person(hub: DecisionsHub) -> None:
    hub.told(1, announced=2, received=2, accepted=2)
    hub.run()
    assert set(hub.paid()) == {"line.accepted:l1:2", "return.decided"} and hub.open_tasks() == []
    hub.told(2, announced=2, received=2, accepted=0)
    hub.run()
    [task] = hub.open_tasks()
    assert (task["kind"], task["key"]) == ("reversal", "reversal:line.reversed:l1:accepted:2>0")
    assert [fact["change"] for fact in task["data"]["facts"]] == ["line.accepted:l1:2", "return.decided"]
    assert "pay to wms (dlv_" in task["because"]
    assert len(hub.paid()) == 2


def test_what_was_not_told_to_anybody_needs_nobody(hub: DecisionsHub) -> None:
    hub.told(1, announced=1, received=1, rejected=1)
    hub.ledger.pause("wms", "counting", "me")
    hub.run()
    hub.told(2, announced=1, received=1)
    hub.run()
    # The decision waits still, and will be looked at again before it is told.
    assert hub.deliveries() == {"decide ": "waiting"} and hub.open_tasks() == []


def test_what_will_be_told_though_it_was_taken_back_asks_for_a_person(hub: DecisionsHub) -> None:
    hub.ledger.pause("wms", "counting", "me")
    hub.told(1, announced=2, received=2, accepted=1)
    hub.run()
    hub.told(2, announced=2, received=2)
    hub.run()
    [task] = hub.open_tasks()
    assert [fact["change"] for fact in task["data"]["facts"]] == ["line.accepted:l1:1"]


def test_two_pictures_read_at_once_ask_for_a_person_too(hub: DecisionsHub) -> None:
    hub.told(1, announced=2, received=2, accepted=1)
    works = [hub.reader.read(work) for work in hub.ledger.claim_events("shop", 10, 60, "a")]
    hub.told(2, announced=2, received=2)
    works += [hub.reader.read(work) for work in hub.ledger.claim_events("shop", 10, 60, "a")]
    hub.reader.commit("a", works)
    assert [task["kind"] for task in hub.open_tasks()] == ["reversal"]


def test_a_decision_that_comes_back_is_not_acted_upon_again_and_says_so(hub: DecisionsHub) -> None:
    for version, accepted in enumerate([1, 0, 1, 0, 1], 1):
        hub.told(version, announced=2, received=2, accepted=accepted)
        hub.run()
    assert hub.paid() == ["line.accepted:l1:1"]
    assert [task["key"] for task in hub.open_tasks()] == [
        "reversal:line.reversed:l1:accepted:1>0",
        "again:line.accepted:l1:1",
    ]


def test_a_line_that_is_gone_after_it_was_paid_for_asks_for_a_person(hub: DecisionsHub) -> None:
    hub.told(1, announced=2, received=2, accepted=1)
    hub.run()
    hub.told(2)
    hub.run()
    assert [task["key"] for task in hub.open_tasks()] == ["reversal:line.removed:l1"]


def test_a_broken_law_asks_for_a_person_once_per_numbers(hub: DecisionsHub) -> None:
    for version, received in enumerate([2, 2, 3, 1, 2], 1):
        hub.told(version, announced=1, received=received)
        hub.run()
    assert [(task["kind"], task["key"], task["because"]) for task in hub.open_tasks()] == [
        ("law", "law:received:l1:2>1", "line l1: received 2 of 1 announced"),
        ("law", "law:received:l1:3>1", "line l1: received 3 of 1 announced"),
    ]


def test_a_picture_that_comes_late_asks_for_nobody(hub: DecisionsHub) -> None:
    hub.told(5, announced=1, received=1)
    hub.run()
    hub.told(4, announced=1, received=2)
    hub.run()
    assert hub.open_tasks() == []


def test_the_story_shows_a_task_until_it_is_closed(hub: DecisionsHub) -> None:
    hub.told(1, announced=1, received=2)
    hub.run()
    [task] = hub.open_tasks()
    for number in ("R-1", task["id"]):
        [story] = tell(hub.ledger, number)["stories"]
        assert [entry["title"] for entry in story["entries"] if entry["what"] == "task"] == [
            f"{task['id']}, for a person: line l1: received 2 of 1 announced"
        ]
        assert [(entry["id"], entry["todo"]) for entry in story["open"]] == [
            (task["id"], f"settle it, then `backhaul tasks close {task['id']}`")
        ]
    hub.ledger.close_task(task["id"], "me", "counted again")
    [story] = tell(hub.ledger, "R-1")["stories"]
    assert story["open"] == []
    assert [entry["title"] for entry in story["entries"] if entry["what"] == "act"] == [f"me: task close {task['id']}"]
