"""Reading: fetching only what is wanted, asking the source which of two contents is right, numbers told on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from app.model import ReferenceKey
from app.pipeline.read import ReadResult
from tests.pipeline.kit import FILES, LABELLED, MiniHub
from tests.support import HandClock

Commit = Callable[[str, Sequence[ReadResult]], list[str]]
SHOP = "connectors/acme_shop/connector.yaml"
_READ = '  read: {operation: get_return, with: {id: "{{ return.id }}"}, as: detail}\n'
_CAPTURE = """\
  capture:
    - reference: order
      id: "{{ payload.erp_order | default(none) }}"
      system: erp
      from: "{{ payload.of | default(return.orders[0].number) }}"
    - {reference: rma, id: "{{ detail.rma | default(none) }}"}
"""
#: Nothing is fetched for messages that hold the whole return.
_WHEN = 'not_found: retry, when: "{{ payload.full is not defined }}"'


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> MiniHub:
    """A hub whose shop tells of whole returns with a version, and can be asked for one again."""
    shop = FILES[SHOP].replace("not_found: retry", _WHEN) + _READ + _CAPTURE
    mapping = FILES["mappings/acme_shop.to_return.yaml"].replace("detail.", "(detail | default(payload.full)).")
    files = {SHOP: shop, "mappings/acme_shop.to_return.yaml": mapping}
    hub = MiniHub(tmp_path / "site", ledger, clock, **files)
    hub.shows()
    return hub


def told(hub: MiniHub, *, read: bool = True, **full: object) -> str:
    """Let the shop tell of its return; the event's id."""
    whole = {"id": "R-1", "state": "open", "orders": ["#1"], "parcels": [], "version": 1, **full}
    event_id = hub.receive(full=whole)
    if read:
        hub.read()
    return event_id


def head(hub: MiniHub) -> dict[str, object]:
    """The newest picture of the return."""
    with hub.ledger.write() as tx:
        key = ("return", "shop", "R-1")
        found: dict[str, object] = tx.heads([key])[key].body
        return found


def test_what_holds_all_is_not_fetched(hub: MiniHub) -> None:
    event_id = told(hub)
    assert hub.event(event_id)["state"] == "done"
    assert hub.targets.requests == []
    hub.receive(**{"return": "R-1"})
    hub.read()
    assert len(hub.targets.sent("/returns/R-1")) == 1


def test_two_contents_of_one_version_are_settled_by_the_source(hub: MiniHub) -> None:
    told(hub, parcels=LABELLED)
    hub.shows(version=1, parcels=[{"id": "p1", "state": "delivered"}])
    event_id = told(hub, parcels=[])
    waiting = hub.event(event_id)
    assert (waiting["state"], waiting["waits_for"]) == ("waiting", "source")
    assert head(hub)["parcels"] == LABELLED, "nothing is written before the source said so"
    hub.read()
    event = hub.event(event_id)
    assert event["state"] == "done" and "asked again" in event["because"]
    assert [row["kind"] for row in event["attempt_rows"]] == ["fetch"]
    assert head(hub)["parcels"] == [{"id": "p1", "state": "delivered"}]


def test_in_one_batch_too_the_source_settles_it_and_a_repetition_needs_no_asking(hub: MiniHub) -> None:
    told(hub, read=False)
    told(hub, read=False)
    told(hub, read=False, parcels=LABELLED)
    hub.shows(version=1, parcels=LABELLED)
    hub.run()
    assert {row["state"] for row in hub.ledger.events({}, 10)} == {"done"}
    assert len(hub.targets.sent("/returns/R-1")) == 1
    assert head(hub)["parcels"] == LABELLED


@pytest.mark.parametrize("version", [{"version": None}, {"version": 1}])
def test_what_was_told_by_a_clock_that_went_an_hour_behind_is_asked_for_and_not_taken_for_old(
    hub: MiniHub, clock: HandClock, version: dict[str, object]
) -> None:
    told(hub, **version)
    hub.shows(**version, parcels=LABELLED)
    clock.move(-3600)
    event_id = told(hub, read=False, parcels=LABELLED, **version)
    clock.move(3600)
    hub.run()
    assert hub.event(event_id)["state"] == "done" and head(hub)["parcels"] == LABELLED


def test_what_the_source_said_by_a_clock_that_went_an_hour_behind_is_asked_for_again(
    hub: MiniHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(hub)
    hub.shows(version=1, parcels=LABELLED)
    event_id = told(hub, parcels=[{"id": "p2", "state": "delivered"}])
    with monkeypatch.context() as patch:
        patch.setattr(hub.reader, "commit", _by_a_clock_behind(hub.reader.commit))
        hub.read()
    assert hub.event(event_id)["state"] == "waiting"
    hub.later(1)
    assert hub.event(event_id)["state"] == "done" and head(hub)["parcels"] == LABELLED


def _by_a_clock_behind(commit: Commit) -> Commit:
    """As if the clock had been put right between the answer and the commit."""

    def late(token: str, results: Sequence[ReadResult]) -> list[str]:
        read = [(one, one.document) for one in results if one.document]
        hour = timedelta(hours=1)
        return commit(
            token, [replace(one, document=replace(seen, observed_at=seen.observed_at - hour)) for one, seen in read]
        )

    return late


def test_a_source_that_does_not_answer_is_asked_again_later(hub: MiniHub) -> None:
    told(hub)
    hub.targets.say("/returns/", 503, {"id": "R-1", "state": "gone", "orders": ["#1"], "parcels": [], "version": 1})
    event_id = told(hub, parcels=LABELLED)
    hub.run()
    assert hub.event(event_id)["state"] == "waiting"
    hub.later(60)
    assert hub.event(event_id)["state"] == "done"
    assert head(hub)["state"] == "cancelled"


def test_what_is_gone_at_its_source_is_as_the_later_message_says(hub: MiniHub) -> None:
    told(hub)
    hub.targets.say("/returns/", 404)
    event_id = told(hub, parcels=LABELLED)
    hub.run()
    assert hub.event(event_id)["state"] == "done"
    assert head(hub)["parcels"] == LABELLED


def test_a_paused_source_is_waited_for(hub: MiniHub) -> None:
    told(hub)
    hub.ledger.pause("shop", "key expired", "test")
    event_id = told(hub, parcels=LABELLED)
    hub.run()
    assert hub.event(event_id)["waits_for"] == "connection:shop"
    hub.shows(version=1, parcels=LABELLED)
    hub.ledger.resume("shop", "test")
    hub.later(1)
    assert head(hub)["parcels"] == LABELLED


def test_a_source_that_answers_with_another_object_writes_nothing(hub: MiniHub) -> None:
    told(hub)
    hub.shows(id="R-2", version=1)
    event_id = told(hub, parcels=LABELLED)
    hub.run()
    assert hub.event(event_id)["state"] == "dead"
    assert "answered with 'R-2'" in hub.event(event_id)["because"]


def test_without_read_the_later_message_counts(hub: MiniHub) -> None:
    text = (hub.folder / SHOP).read_text()
    hub.write({SHOP: text.replace(_READ, "")})
    told(hub)
    assert hub.event(told(hub, parcels=LABELLED))["state"] == "done"
    assert head(hub)["parcels"] == LABELLED


def test_a_number_told_by_a_message_releases_what_waits_for_it(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": []})
    hub.targets.say("/announcements", {"number": "W-1"})
    told(hub, parcels=LABELLED)
    hub.run()
    assert hub.deliveries() == {"announce #1": "parked"}
    event_id = hub.receive(
        full={"id": "R-1", "state": "open", "orders": ["#1"], "version": 2, "parcels": LABELLED}, erp_order="E-7"
    )
    hub.run()
    assert hub.deliveries() == {"announce #1": "done"}
    assert [request.body["order"] for request in hub.targets.sent("/announcements")] == ["E-7"]
    reference = hub.ledger.find_reference(ReferenceKey("order", "store", "erp", "#1"))
    assert reference is not None
    assert (reference.to_id, reference.origin, reference.evidence) == ("E-7", "event", {"event": event_id})
    assert ("return", "shop", "R-1") in hub.ledger.find("E-7")


def test_what_an_old_message_tells_is_not_news(hub: MiniHub) -> None:
    told(hub, version=5)
    hub.receive(full={"id": "R-1", "state": "open", "orders": ["#1"], "version": 4, "parcels": []}, erp_order="E-old")
    hub.read()
    assert hub.ledger.find_reference(ReferenceKey("order", "store", "erp", "#1")) is None


def test_a_number_that_names_nothing_to_translate_ends_the_event(hub: MiniHub) -> None:
    event_id = hub.receive(full={"id": "R-1", "state": "open", "orders": ["#1"], "parcels": []}, erp_order="E-1", of="")
    hub.read()
    assert hub.event(event_id)["state"] == "dead"
    assert "capture[0].from" in hub.event(event_id)["because"]
