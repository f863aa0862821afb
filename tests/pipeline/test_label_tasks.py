"""A label that could not be made asks for a person, until the return gets another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.adapters.ledger import Ledger
from tests.pipeline.kit import MiniHub
from tests.support import HandClock


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> MiniHub:
    """A hub without routes of its own for labels that failed."""
    return MiniHub(tmp_path / "site", ledger, clock)


def told(hub: MiniHub, version: int, **parcels: str | dict[str, Any]) -> None:
    """The shop shows its return with these parcels, each by its state, and says so."""
    shown = [{"id": key, **({"state": one} if isinstance(one, str) else one)} for key, one in parcels.items()]
    hub.shows(version=version, parcels=shown)
    hub.receive(**{"return": "R-1"})
    hub.run()


def tasks(hub: MiniHub, state: str = "open") -> list[str]:
    """The keys of the tasks in a state, oldest first."""
    return [row["key"] for row in hub.ledger.tasks({"state": state})[::-1]]


def test_a_label_that_failed_asks_for_a_person_once_per_parcel(hub: MiniHub) -> None:
    for version, error in enumerate(["ADDRESS_REJECTED", "ADDRESS_REJECTED", "CARRIER_DOWN"], 1):
        told(hub, version, p1={"state": "failed", "error": error}, p2="created")
    [task] = hub.ledger.tasks({"state": "open"})
    assert (task["kind"], task["key"]) == ("label", "label:p1")
    assert task["because"] == "no label could be made for parcel p1: ADDRESS_REJECTED"
    told(hub, 4, p1="failed", p2="failed")
    assert tasks(hub) == ["label:p1", "label:p2"]


def test_what_a_carrier_says_in_words_is_not_repeated_where_it_would_be_logged(hub: MiniHub) -> None:
    told(hub, 1, p1={"state": "failed", "error": "Ann Example, 5 High Street is unknown"})
    [task] = hub.ledger.tasks({"state": "open"})
    assert task["because"] == "no label could be made for parcel p1"
    assert task["data"]["error"] == "Ann Example, 5 High Street is unknown"


def test_the_same_parcel_gets_its_label_after_all(hub: MiniHub) -> None:
    told(hub, 1, p1="failed")
    told(hub, 2, p1="labelled")
    [task] = hub.ledger.tasks({"state": "closed"})
    assert (task["closed_by"], task["note"]) == ("backhaul", "parcel p1 has a label")
    assert [act["act"] for act in hub.ledger.acts(task["id"])] == ["task close"]


@pytest.mark.parametrize("between", [None, "created"])
def test_a_parcel_that_took_its_place_settles_it(hub: MiniHub, between: str | None) -> None:
    told(hub, 1, p1="failed")
    if between:
        told(hub, 2, p1="failed", p2=between)
    told(hub, 3, p1="failed", p2="labelled")
    assert (tasks(hub), tasks(hub, "closed")) == ([], ["label:p1"])


def test_the_label_of_another_parcel_settles_nothing(hub: MiniHub) -> None:
    told(hub, 1, p1="created", p2="failed")
    told(hub, 2, p1="labelled", p2="failed")
    assert tasks(hub) == ["label:p2"]


def test_one_label_settles_one_of_two_that_failed(hub: MiniHub) -> None:
    told(hub, 1, p1="failed", p2="failed")
    told(hub, 2, p1="failed", p2="failed", p3="labelled")
    assert (tasks(hub), tasks(hub, "closed")) == (["label:p2"], ["label:p1"])
    told(hub, 3, p1="failed", p2="failed", p3="labelled", p4="delivered")
    assert tasks(hub) == []


def test_a_picture_that_comes_late_neither_raises_nor_settles(hub: MiniHub) -> None:
    told(hub, 5, p1="failed")
    told(hub, 4, p1="labelled")
    told(hub, 3, p2="failed")
    assert tasks(hub) == ["label:p1"]


def test_what_a_person_settled_stays_as_they_left_it(hub: MiniHub) -> None:
    told(hub, 1, p1="failed")
    [task] = hub.ledger.tasks({"state": "open"})
    hub.ledger.close_task(task["id"], "me", "sent a label by mail")
    told(hub, 2, p1="labelled")
    [task] = hub.ledger.tasks()
    assert (task["closed_by"], task["note"]) == ("me", "sent a label by mail")
