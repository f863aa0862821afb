"""REFUND_TRIGGERED feeds the same facts as the job's own event: in any order, with and without the job's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.fulfillmenttools_kit import Hub, fixture, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

JOB = "0f27dc34-1a5d-450d-8736-ad6b426ae360"
LINE = "0e3db3de-100b-49dc-b63d-c4a9e99ba5f5/7e08e8d3-3e56-4cb4-8ccd-7314172b96e0"
UPDATED = fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund")
TRIGGERED = fixture("REFUND_TRIGGERED__order_3333")
AS_ITEM_RETURN = fixture("REFUND_TRIGGERED__as_item_return")


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


@pytest.fixture(autouse=True)
def tenant(hub: Hub) -> None:
    """The tenant holds the refunded job, and another order's job with the same item return's id."""
    hub.jobs.seed({"jobs": [fixture("list_jobs__same_item_return_id_in_two_jobs")["itemReturnJobsWithSearchPaths"][0]]})
    hub.jobs.seed({"jobs": [fixture("get_job__order_3333_v6")]})


@pytest.mark.parametrize("events", [[TRIGGERED, UPDATED], [UPDATED, TRIGGERED], [TRIGGERED], [AS_ITEM_RETURN]])
def test_a_refund_is_told_once_whichever_event_came_first(hub: Hub, events: list[Any]) -> None:
    hub.tell(*events)
    assert [row["state"] for row in hub.events()] == ["done"] * len(events)
    assert hub.effects(JOB).count(f"refund.started {LINE}") == 1
    assert hub.effects(JOB).count(f"refund.closed {LINE}") == 1
    assert hub.document(JOB)["version"] == 6


def test_a_job_event_needs_no_call(hub: Hub) -> None:
    hub.tell(UPDATED)
    assert not hub.fft.requests


def test_a_refund_that_names_its_job_reads_it_by_id(hub: Hub) -> None:
    hub.tell(TRIGGERED)
    assert hub.calls() == ["get_job"]


def test_a_refund_without_its_job_finds_the_one_of_its_order(hub: Hub) -> None:
    hub.tell(AS_ITEM_RETURN)
    assert hub.calls() == ["list_jobs", "get_job"]
    assert hub.document(JOB) and not hub.document(hub.jobs.listed()[0]["id"])


def test_a_list_in_the_guides_bare_shape_is_read_too(hub: Hub) -> None:
    hub.jobs.seed({"quirks": {"bare_list": True}})
    hub.tell(AS_ITEM_RETURN)
    assert hub.document(JOB)["version"] == 6


def test_a_list_that_lags_is_waited_for(hub: Hub) -> None:
    del hub.jobs.jobs[JOB]
    hub.jobs.seed({"jobs": [fixture("get_job__order_3333_v6")], "list_lag": 2})
    hub.tell(AS_ITEM_RETURN)
    assert hub.document(JOB) is None
    hub.later(times=3)
    assert hub.document(JOB)["version"] == 6


def test_a_job_that_is_behind_its_refund_is_read_again(hub: Hub) -> None:
    old = {**fixture("get_job__order_3333_v6"), "version": 5}
    hub.jobs.seed({"jobs": [old]})
    hub.tell(TRIGGERED)
    assert hub.document(JOB) is None
    hub.jobs.seed({"jobs": [fixture("get_job__order_3333_v6")]})
    hub.later()
    assert hub.document(JOB)["version"] == 6


@pytest.mark.parametrize("retry_after", [None, 120])
def test_a_fetch_that_is_told_to_wait_comes_back(hub: Hub, retry_after: int | None) -> None:
    hub.fft.misbehave("get_job", "429", retry_after=retry_after)
    hub.tell(TRIGGERED)
    assert hub.document(JOB) is None
    if retry_after:
        hub.later(100)
        assert hub.document(JOB) is None
    hub.later(100)
    assert hub.document(JOB)["version"] == 6
