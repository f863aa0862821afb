"""Lists with a cursor and two odd shapes, and the poll that finds what no webhook told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.difference import differences
from connectors.fulfillmenttools.samples import build_job
from tests.connectors.fulfillmenttools_kit import Hub, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


def many(count: int, **more: Any) -> list[dict[str, Any]]:
    """Short forms of so many jobs, each with one item return a minute after the one before."""
    return [
        {
            "id": f"job-{number:04d}",
            "order": f"ORDER-{number:04d}",
            "articles": [{"sku": "MUG"}],
            "returns": [{"lines": [{"sku": "MUG", "status": "ACCEPTED"}]}],
            "modified": f"2026-11-22T{number // 60:02d}:{number % 60:02d}:00.000Z",
            **more,
        }
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (49, 1), (50, 2), (120, 3)])
def test_a_list_of_jobs_is_read_to_its_end(hub: Hub, count: int, pages: int) -> None:
    hub.jobs.seed({"build": many(count)})
    assert [job["id"] for job in hub.caller.pages("fft", "list_jobs", {})] == [f"job-{n:04d}" for n in range(count)]
    asked = [one.query for one in hub.fft.requests if one.operation == "list_jobs"]
    assert len(asked) == pages
    assert "startAfterId" not in asked[0]


def test_a_list_of_item_returns_is_read_newest_first_and_no_further_than_asked_for(hub: Hub) -> None:
    hub.jobs.seed({"build": many(180)})
    found = list(hub.caller.pages("fft", "list_returns", {}))
    assert len(found) == 180 and found[0]["lastModified"] == "2026-11-22T02:59:00.000Z"
    hub.fft.requests.clear()
    recent = list(hub.caller.pages("fft", "list_returns", {"changed_after": "2026-11-22T02:30:00Z"}))
    assert len(recent) == 50 and len(hub.fft.requests) == 1


def test_the_fixtures_have_the_simulators_shape(hub: Hub) -> None:
    hub.jobs.seed({"jobs": [build_job(many(1)[0])]})
    (job,) = hub.caller.pages("fft", "list_jobs", {"search": "ORDER-0000"})
    assert not list(differences(hub.jobs.jobs["job-0000"], job, subset=True))


# --- the poll ------------------------------------------------------------------------------------


def test_a_poll_finds_what_no_webhook_told(hub: Hub) -> None:
    hub.jobs.seed({"build": many(3)})
    hub.poll("changed_returns")
    assert [hub.facts(f"job-{number:04d}")[:1] for number in range(3)] == [["return.registered"]] * 3
    assert len([effect for effect in hub.effects() if "line.accepted" in effect]) == 3


def test_a_poll_after_the_webhook_changes_nothing(hub: Hub) -> None:
    (built,) = hub.jobs.seed({"build": many(1)})["built"]
    hub.tell({"event": "ITEM_RETURN_JOB_UPDATED", "payload": built, "eventId": "told"})
    before = hub.effects()
    hub.poll("changed_returns")
    hub.poll("changed_returns")
    assert hub.effects() == before


def test_a_poll_looks_again_only_at_what_changed(hub: Hub) -> None:
    hub.jobs.seed({"build": many(60)})
    hub.poll("changed_returns")
    hub.fft.requests.clear()
    hub.clock.move(3600)
    hub.poll("changed_returns")
    assert hub.calls() == ["list_returns"]


def test_a_poll_over_a_list_that_lags_finds_it_the_next_time(hub: Hub) -> None:
    hub.jobs.seed({"build": many(1, modified="2026-11-22T11:58:00.000Z"), "list_lag": 1})
    hub.poll("changed_returns")
    assert hub.document("job-0000") is None
    hub.clock.move(600)
    hub.poll("changed_returns")
    hub.later(times=2)
    assert hub.document("job-0000")["version"] == 1
