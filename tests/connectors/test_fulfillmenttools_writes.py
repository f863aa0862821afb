"""What is told to the platform: decisions and refunds, with the version that was read, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.fulfillmenttools.samples import build_job
from tests.connectors.fulfillmenttools_kit import Hub, running_hub, snapshots
from tests.connectors.fulfillmenttools_site import DECISIONS, REFUNDS
from tests.support import HandClock
from tests.unit.door_kit import opened

WAITING = {"sku": "MUG", "status": "WAITING_FOR_INPUT"}
JOB = build_job({"order": "1004800", "version": 2, "articles": [{"sku": "MUG", "delivered": 3, "price": 12.5}],
                 "returns": [{"lines": [WAITING, WAITING, WAITING]}]})  # fmt: skip
OTHER = build_job({"order": "10048001", "articles": [{"sku": "MUG"}], "returns": [{"lines": [WAITING]}]})
ONE = build_job({"order": "1004801", "version": 2, "articles": [{"sku": "MUG", "price": 12.5}],
                 "returns": [{"lines": [WAITING]}]})  # fmt: skip
RETURN, LINE = (part["id"] for part in (ONE["itemReturns"][0], ONE["itemReturns"][0]["returnedLineItems"][0]))


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


def states(hub: Hub, job: Any = JOB) -> list[str]:
    """The states of a job's lines at the platform."""
    return [line["status"] for one in hub.jobs.jobs[job["id"]]["itemReturns"] for line in one["returnedLineItems"]]


def patches(hub: Hub) -> list[int]:
    """The answers to all patches."""
    return [one.status for one in hub.fft.requests if one.operation == "patch_line"]


# --- decisions of a warehouse --------------------------------------------------------------------


@pytest.fixture
def grading(hub: Hub) -> Hub:
    """A hub that tells the platform what somebody else decided."""
    hub.jobs.seed({"jobs": [OTHER, JOB]})
    hub.use(DECISIONS)
    return hub


def test_two_accepted_and_one_rejected_unit_are_three_lines(grading: Hub) -> None:
    grading.grade(order="#1004800", sku="MUG", quantity={"received": 3, "accepted": 2, "rejected": 1})
    grading.later(times=4)
    assert sorted(states(grading)) == ["ACCEPTED", "ACCEPTED", "REJECTED"]
    assert states(grading, OTHER) == ["WAITING_FOR_INPUT"]
    assert patches(grading).count(200) == 3


def test_a_further_unit_is_one_more_line(grading: Hub) -> None:
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 1})
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 3}, version=2)
    grading.later(times=4)
    assert states(grading) == ["ACCEPTED"] * 3
    assert patches(grading).count(200) == 3


def test_units_that_are_decided_already_are_left_alone(grading: Hub) -> None:
    line = JOB["itemReturns"][0]["returnedLineItems"][0]["id"]
    grading.jobs.change(
        JOB["id"], lambda job: [one.update(status="REJECTED") for one in job["itemReturns"][0]["returnedLineItems"]]
    )
    grading.grade(order="1004800", sku="MUG", quantity={"received": 1, "accepted": 1})
    assert states(grading) == ["REJECTED"] * 3, line
    assert patches(grading) == []


def test_11_a_version_that_was_overtaken_is_read_again_and_sent_again(grading: Hub) -> None:
    grading.jobs.seed({"quirks": {"overtaken": 2}})
    grading.grade(order="1004800", sku="MUG", quantity={"received": 1, "accepted": 1})
    grading.later(120, times=6)
    assert sorted(states(grading)) == ["ACCEPTED", "WAITING_FOR_INPUT", "WAITING_FOR_INPUT"]
    assert patches(grading) == [409, 409, 200]
    sent = [one.body["itemReturnJobVersion"] for one in grading.fft.requests if one.operation == "patch_line"]
    assert len(set(sent)) == 3


def test_11_a_version_that_is_always_overtaken_ends_as_a_dead_letter(grading: Hub) -> None:
    grading.use(DECISIONS, **{"config/hub.yaml": "hub: {retry: {first: 5s, longest: 1m, give_up_after: 10m}}\n"})
    grading.jobs.seed({"quirks": {"overtaken": 10_000}})
    grading.grade(order="1004800", sku="MUG", quantity={"received": 1, "accepted": 1})
    grading.later(120, times=30)
    assert [row["state"] for row in grading.deliveries()] == ["dead"]
    assert set(patches(grading)) == {409} and len(patches(grading)) < 30


def test_an_acceptance_whose_answer_was_lost_is_found_and_not_sent_again(grading: Hub) -> None:
    grading.fft.misbehave("patch_line", "drop")
    grading.grade(order="1004800", sku="MUG", quantity={"received": 1, "accepted": 1})
    grading.later(times=3)
    assert sorted(states(grading)) == ["ACCEPTED", "WAITING_FOR_INPUT", "WAITING_FOR_INPUT"]
    assert len(patches(grading)) == 1
    assert [row["state"] for row in grading.deliveries()] == ["done"]


# --- refunds -------------------------------------------------------------------------------------


@pytest.fixture
def paying(hub: Hub) -> Hub:
    """A hub that pays accepted lines back elsewhere, and then tells the platform."""
    hub.jobs.seed({"jobs": [ONE]})
    hub.jobs.change(ONE["id"], lambda job: line_of(job).update(status="ACCEPTED"))
    hub.use(REFUNDS)
    return hub


def line_of(job: Any) -> Any:
    """The line of the job `ONE`."""
    return job["itemReturns"][0]["returnedLineItems"][0]


def test_an_accepted_line_is_refunded_with_its_price(paying: Hub) -> None:
    paying.tell(paying.jobs.events[-1])
    assert line_of(paying.jobs.jobs[ONE["id"]])["refund"] == {
        "status": "CLOSED",
        "price": {"value": 12.5, "currency": "EUR"},
    }
    assert paying.effects() == [f"{ONE['id']} line.accepted {RETURN}/{LINE}"]


def test_what_our_refund_brings_back_as_events_pays_nothing_again(paying: Hub) -> None:
    paying.tell(paying.jobs.events[-1])
    paying.tell(*paying.jobs.events, *reversed(paying.jobs.events))
    assert len(paying.effects()) == 1
    assert patches(paying) == [200]
    assert {"refund.started", "refund.closed"} <= set(paying.facts(ONE["id"]))


def test_11_a_line_that_carries_the_refund_already_is_not_patched(paying: Hub) -> None:
    paying.jobs.change(ONE["id"], lambda job: line_of(job).update(refund={"status": "OPEN", "percent": 100}))
    paying.tell(paying.jobs.events[0])
    assert patches(paying) == []
    assert [row["state"] for row in paying.deliveries()] == ["done"]


def test_11_a_line_that_was_rejected_meanwhile_is_not_refunded(paying: Hub) -> None:
    paying.jobs.change(ONE["id"], lambda job: line_of(job).update(status="REJECTED"))
    paying.tell(paying.jobs.events[0])
    assert patches(paying) == []
    assert "refund" not in line_of(paying.jobs.jobs[ONE["id"]])


def test_11_an_overtaken_refund_is_looked_at_again_and_sent_with_the_new_version(paying: Hub) -> None:
    paying.jobs.seed({"quirks": {"overtaken": 1}})
    paying.tell(paying.jobs.events[0])
    paying.later(times=2)
    assert patches(paying) == [409, 200]
    assert len(paying.effects()) == 1
    assert line_of(paying.jobs.jobs[ONE["id"]])["refund"]["status"] == "CLOSED"


def test_11_a_refund_whose_answer_was_lost_is_found_and_not_sent_again(paying: Hub) -> None:
    paying.fft.misbehave("patch_line", "drop")
    paying.tell(paying.jobs.events[0])
    paying.later(times=3)
    assert len(patches(paying)) == 1
    assert [row["state"] for row in paying.deliveries()] == ["done"]


def test_a_tenant_that_refunds_nowhere_is_told_to_a_person(paying: Hub) -> None:
    paying.jobs.seed({"quirks": {"refunds_disabled": True}})
    paying.tell(paying.jobs.events[0])
    (row,) = paying.deliveries()
    assert row["state"] != "done" and "Refunds are disabled" in row["because"]


# --- tokens --------------------------------------------------------------------------------------


def tokens(hub: Hub) -> tuple[int, int]:
    """How many logins and refreshes there were."""
    return hub.fft.identity.logins, hub.fft.identity.refreshes


def test_11_a_token_that_ends_in_the_middle_costs_one_login_and_nothing_else(grading: Hub) -> None:
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 1})
    assert tokens(grading) == (1, 0)
    grading.fft.identity.expire()
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 3}, version=2)
    grading.later(times=4)
    assert states(grading) == ["ACCEPTED"] * 3
    assert sum(tokens(grading)) == 2


def test_a_token_is_renewed_before_it_ends_and_its_life_is_told_as_text(grading: Hub) -> None:
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 1})
    grading.clock.move(3545)
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 2}, version=2)
    assert tokens(grading) == (1, 1)
    assert 401 not in [one.status for one in grading.fft.requests]


def test_a_refresh_that_is_refused_is_a_login(grading: Hub) -> None:
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 1})
    grading.fft.identity.expire(refresh=True)
    grading.clock.move(3600)
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 2}, version=2)
    assert tokens(grading) == (2, 0)
    assert states(grading).count("ACCEPTED") == 2


def test_a_wrong_password_pauses_the_connection_and_is_not_tried_again(grading: Hub) -> None:
    grading.fft.identity.password = "another"
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 1})
    grading.later(600, times=5)
    assert grading.ledger.lane_state("fft").paused
    assert len([one for one in grading.fft.requests if one.operation == "login"]) == 1


def test_no_token_is_in_what_was_kept(grading: Hub, tmp_path: Path) -> None:
    grading.grade(order="1004800", sku="MUG", quantity={"received": 3, "accepted": 1})
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("door.db*"))
    assert b"sim-id-token" not in kept and b"sim-refresh-token" not in kept and b"sim-password" not in kept


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("retry_after", [None, 120])
def test_a_patch_that_is_told_to_wait_is_sent_again(grading: Hub, retry_after: int | None) -> None:
    grading.fft.misbehave("patch_line", "429", retry_after=retry_after)
    grading.grade(order="1004800", sku="MUG", quantity={"received": 1, "accepted": 1})
    grading.later(200)
    assert patches(grading) == [429, 200]


def test_a_gateway_that_broke_on_the_way_is_looked_into(grading: Hub) -> None:
    grading.fft.misbehave("patch_line", "html502")
    grading.grade(order="1004800", sku="MUG", quantity={"received": 1, "accepted": 1})
    grading.later(times=3)
    assert patches(grading) == [502, 200]


def test_snapshots_of_a_decided_job_are_read_like_any_other(grading: Hub) -> None:
    grading.grade(order="1004800", sku="MUG", quantity={"received": 1, "accepted": 1})
    grading.tell(*grading.jobs.events)
    lines = grading.document(JOB["id"])["lines"]
    assert sorted(line["state"] for line in lines) == ["accepted", "in_review", "in_review"]
    assert snapshots(ONE, (3, {"status": "ACCEPTED"}))
