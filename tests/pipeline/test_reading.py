"""From an event to a document, its changes and its deliveries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline.kit import LABELLED, MiniHub


def changes(hub: MiniHub, object_id: str = "R-1") -> list[str]:
    """The changes of a return, in order."""
    return [row["name"] for row in hub.ledger.story([("return", "shop", object_id)]).changes]


def test_an_event_becomes_a_document_with_its_changes(hub: MiniHub) -> None:
    event = hub.receive(**{"return": "R-1"})
    hub.run()
    assert hub.event(event)["state"] == "done"
    assert changes(hub) == ["return.registered"]


def test_what_is_not_there_yet_is_fetched_again_and_given_up_after_an_hour(hub: MiniHub) -> None:
    hub.targets.say("/returns/", 404)
    event = hub.receive(**{"return": "R-1"})
    hub.run()
    assert hub.event(event)["state"] == "waiting"
    for _ in range(20):
        hub.later(600)
    assert hub.event(event)["state"] == "dead"
    assert "gave up after an hour" in hub.event(event)["because"]


def test_a_fetch_that_works_the_second_time_gives_one_set_of_changes(hub: MiniHub) -> None:
    hub.shows(parcels=LABELLED)
    body = hub.targets._answers["/returns/"][0]
    hub.targets.say("/returns/", 404, 503, body)
    hub.receive(**{"return": "R-1"})
    for _ in range(3):
        hub.later(60)
    assert changes(hub) == ["return.registered", "return.labelled", "parcel.labelled"]
    assert len(hub.targets.sent("/announcements")) == 1


def test_an_unknown_word_parks_the_event_until_the_table_knows_it(hub: MiniHub) -> None:
    hub.shows(state="frozen")
    event = hub.receive(**{"return": "R-1"})
    hub.run()
    row = hub.event(event)
    assert row["state"] == "parked" and "'frozen'" in row["because"] and row["due_at"]
    hub.write({"mappings/tables/acme_states.csv": "from,to\nopen,requested\nfrozen,requested\n"})
    hub.ledger.retry([event], "test")
    hub.run()
    assert hub.event(event)["state"] == "done"


def test_a_type_that_nobody_knows_is_kept_and_read_once_it_is_known(hub: MiniHub) -> None:
    event = hub.receive(type="noise")
    hub.run()
    assert hub.event(event)["state"] == "unknown"
    old = "ignore: [ping]"
    path = hub.folder / "connectors/acme_shop/connector.yaml"
    hub.write({"connectors/acme_shop/connector.yaml": path.read_text().replace(old, "ignore: [ping, noise]")})
    hub.ledger.retry([event], "test")
    hub.run()
    assert hub.event(event)["state"] == "ignored"


def test_a_message_to_be_skipped_is_kept_as_ignored_with_the_reason(hub: MiniHub) -> None:
    event = hub.receive(test=True)
    hub.run()
    assert (hub.event(event)["state"], hub.event(event)["because"]) == ("ignored", "a test message")


def test_refused_credentials_pause_the_source_and_resume_reads_on(hub: MiniHub) -> None:
    hub.targets.say("/returns/", 401)
    event = hub.receive(**{"return": "R-1"})
    hub.run()
    assert hub.event(event)["state"] == "waiting"
    assert hub.ledger.lane_state("shop").paused
    hub.later(3600)
    assert len(hub.targets.sent("/returns/")) == 1
    hub.shows()
    hub.ledger.resume("shop", "test")
    # A process looks again at whether a connection is paused every few seconds.
    hub.later(5)
    assert hub.event(event)["state"] == "done"


def test_a_document_that_does_not_fit_is_dead_with_its_path(hub: MiniHub) -> None:
    hub.shows(parcels=[{"state": "labelled"}])
    event = hub.receive(**{"return": "R-1"})
    hub.run()
    row = hub.event(event)
    assert row["state"] == "dead" and "parcels[0]" in row["because"]


def test_two_labels_announce_once_and_update_the_tracking(hub: MiniHub) -> None:
    hub.shows(parcels=LABELLED, version=1)
    hub.receive(**{"return": "R-1"})
    hub.run()
    hub.shows(parcels=[*LABELLED, {"id": "p2", "state": "labelled"}], version=2)
    hub.receive(**{"return": "R-1"})
    hub.run()
    paths = [request.url.split(".example")[1] for request in hub.targets.requests if "/announcements" in request.url]
    assert paths == ["/announcements", "/announcements/R-1%2F%231/parcels"]


def picture(version: int) -> dict[str, Any]:
    """The return as it stood at a version: one more parcel has its label each time."""
    parcels = [{"id": f"p{n}", "state": "labelled" if n < version else "created"} for n in range(4)]
    return {"version": version, "parcels": parcels}


@pytest.mark.parametrize("newest", [4])
@given(order=st.lists(st.integers(0, 4), max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_order_pictures_come_in_the_facts_and_calls_are_the_same(
    hub: MiniHub, newest: int, order: list[int]
) -> None:
    object_id = f"R-{hub.ids.new('x')}"
    before = len(hub.targets.sent("/announcements"))
    for version in [*order, newest, *order]:
        hub.shows(id=object_id, **picture(version))
        hub.receive(**{"return": object_id})
        hub.run()
    found = changes(hub, object_id)
    assert sorted(found) == ["parcel.labelled"] * newest + ["return.labelled", "return.registered"]
    announced = [r for r in hub.targets.sent("/announcements")[before:] if r.url.endswith("/announcements")]
    assert len(announced) == 1


def test_what_another_worker_wrote_between_the_foresight_and_the_commit_is_compared_with(
    hub: MiniHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read the same return; the first to commit tells its registration, the second only what is new to that."""
    first, second = hub.receive(**{"return": "R-1"}), hub.receive(**{"return": "R-1"})
    works = {work.event_id: work for work in hub.ledger.claim_events("shop", 10, 60.0, "t1")}
    early = hub.reader.read(works[first])
    hub.shows(parcels=LABELLED)
    late = hub.reader.read(works[second])
    write, tries = hub.reader._write, list[int]()

    def overtaken(tx: Any, results: Any, tally: Any) -> set[str]:
        found = write(tx, results, tally)
        tries.append(len(results))
        if len(tries) == 1:
            with ThreadPoolExecutor(1) as other:
                other.submit(hub.reader.commit, "t1", [early]).result(10)
        return found

    monkeypatch.setattr(hub.reader, "_write", overtaken)
    if hub.ledger._db.dialect == "postgresql":
        pytest.skip("there the second would wait for the first")
    hub.reader.commit("t1", [late])
    assert changes(hub) == ["return.registered", "return.labelled", "parcel.labelled"]
    assert tries == [1, 1, 1] and hub.event(first)["state"] == hub.event(second)["state"] == "done"
