"""`backhaul tasks` on a small site with a real ledger."""

from __future__ import annotations

import json

import pytest

from app.adapters.ledger import Ledger
from app.core.tasks import NewTask
from tests.contract.making import document, received
from tests.support import HandClock
from tests.unit.conftest import Run


@pytest.fixture
def ledger(site_ledger: Ledger, clock: HandClock) -> Ledger:
    """The ledger that the command uses, with one open task."""
    picture = document(clock, received(site_ledger, clock))
    with site_ledger.write() as tx:
        tx.add_documents([picture])
        tx.add_tasks(picture, [NewTask("tsk_1", "law", "law:1", "line 1: received 2 of 1 announced")])
    return site_ledger


def test_what_waits_for_a_person_is_listed_until_it_is_closed(run: Run, ledger: Ledger) -> None:
    assert "received 2 of 1 announced" in run("tasks").output
    assert [row["id"] for row in json.loads(run("tasks", "--json").stdout)] == ["tsk_1"]
    assert "tsk_1 is closed" in run("tasks", "close", "tsk_1", "--note", "counted again").output
    assert "no open tasks" in run("tasks").output
    assert "counted again" in run("tasks", "--all").output
    [row] = json.loads(run("tasks", "--all", "--json").stdout)
    assert (row["state"], row["note"]) == ("closed", "counted again")
    assert row["closed_by"].startswith("cli")


def test_a_task_is_not_closed_twice_and_one_that_there_is_not_is_told(run: Run, ledger: Ledger) -> None:
    run("tasks", "close", "tsk_1")
    assert "closed already, since" in run("tasks", "close", "tsk_1", status=1).output
    assert "no task tsk_9" in run("tasks", "close", "tsk_9", status=1).output
