"""Polls: nothing that changed at the vendor's is missed, each change comes in once, nobody is asked too often."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from app.core import counting
from tests.pipeline.kit import MiniHub
from tests.pipeline.polls_kit import CONNECTOR, PollHub, at
from tests.support import HandClock


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> PollHub:
    """A hub that polls a vendor which has nothing yet."""
    return PollHub(tmp_path / "site", ledger, clock)


def test_what_changed_comes_in_and_is_read_like_a_message(hub: PollHub) -> None:
    hub.club.change("R-1", "R-2", "R-3", ago=600)
    hub.run()
    assert hub.known() == {"R-1": "requested", "R-2": "requested", "R-3": "requested"}
    assert {event["type"] for event in hub.events()} == {"polled"}
    event = hub.event(hub.events()[0]["id"])
    assert event["headers"] == {":poll": "changed"}
    assert hub.state.found == hub.state.new == 3


def test_the_first_look_goes_back_in_pieces_and_the_next_ones_overlap(hub: PollHub, clock: HandClock) -> None:
    now = clock.now()
    hub.run()
    two, one, end = now - timedelta(days=2), now - timedelta(days=1), now - timedelta(seconds=60)
    assert hub.club.spans == [(at(two), at(one)), (at(one - timedelta(seconds=1)), at(end))]
    assert hub.state.cursor == end
    hub.club.asked.clear()
    hub.later(600)
    later = end + timedelta(seconds=600)
    assert hub.club.spans == [(at(end - timedelta(seconds=300)), at(later))]


def test_what_the_overlap_brings_again_is_kept_once(hub: PollHub) -> None:
    hub.club.change("R-1", ago=120)
    hub.run()
    for _ in range(3):
        hub.later(600)
    assert len(hub.events()) == 1
    hub.club.change("R-1", state="approved")
    hub.later(600)
    assert [event["vendor_id"].split(":")[1] for event in hub.events()] == ["R-1", "R-1"]
    assert hub.known() == {"R-1": "approved"}


def test_a_list_that_takes_long_is_not_read_without_end(hub: PollHub, clock: HandClock) -> None:
    hub.run()
    hub.club.meanwhile = lambda page: clock.move(7)
    hub.later(600)
    asked = len(hub.club.asked)
    hub.later(300)
    assert len(hub.club.asked) == asked


def test_a_list_that_lags_hides_nothing(hub: PollHub) -> None:
    hub.club.lags = 200
    hub.run()
    for number in range(30):
        hub.club.change(f"R-{number}")
        hub.later(97)
    hub.later(600)
    hub.later(600)
    assert len(hub.known()) == 30


def test_records_that_move_while_pages_are_read_are_not_missed(hub: PollHub, clock: HandClock) -> None:
    for number in range(8):
        hub.club.change(f"R-{number}", ago=900 - number)
    moved = iter(["R-0", "R-1", "R-2"])

    def meanwhile(page: int) -> None:
        # Whatever changes goes to the end of the vendor's list, and out of the span that is read.
        if page > 1 and (name := next(moved, None)):
            hub.club.change(name, state="approved")

    hub.run()
    hub.clock.move(3600)
    for number in range(8):
        hub.club.change(f"R-{number}", ago=1800 - number, state="rejected")
    hub.club.meanwhile = meanwhile
    hub.look()
    hub.read()
    assert {name for name, state in hub.known().items() if state == "rejected"} >= {"R-3", "R-4", "R-5", "R-6", "R-7"}
    hub.later(600)
    assert [hub.known()[f"R-{number}"] for number in range(3)] == ["approved"] * 3


def test_a_list_that_is_not_whole_is_read_in_halves(hub: PollHub) -> None:
    hub.edit("start: 2d}", 'start: 1h, whole: "{{ items | length >= body.total }}"}')
    hub.club.shows_most = 3
    for number in range(20):
        hub.club.change(f"R-{number:02}", ago=3000 - number * 100)
    hub.run()
    assert len(hub.known()) == 20
    assert len(hub.club.spans) > 8


def test_more_than_fits_in_one_second_is_taken_as_it_is_and_the_next_goes_on(hub: PollHub) -> None:
    hub.edit("start: 2d}", 'start: 1h, whole: "{{ items | length >= body.total }}"}')
    hub.club.shows_most = 3
    for number in range(6):
        hub.club.change(f"R-{number:02}", ago=1800)
    hub.club.change("R-late", ago=300)
    hub.run()
    assert len(hub.known()) == 4
    assert hub.state.cursor == hub.clock.now() - timedelta(seconds=60)


def test_a_list_that_is_never_whole_is_a_failure_that_says_so_and_does_not_hammer(hub: PollHub) -> None:
    hub.edit("start: 2d}", 'start: 1h, whole: "{{ false }}"}')
    hub.look()
    assert "not even one second" in hub.state.because
    assert hub.state.fault == "config"
    assert len(hub.club.asked) < 64


def test_a_filter_that_the_vendor_ignores_is_made_up_for_by_where(hub: PollHub) -> None:
    hub.edit(
        "    payload: {event",
        """    where: "{{ item.updated >= window.from and item.state != 'draft' }}"\n    payload: {event""",
    )
    hub.club.filters = False
    hub.club.change("R-old", ago=90 * 86_400)
    hub.club.change("R-draft", ago=600, state="draft")
    hub.club.change("R-new", ago=600)
    hub.run()
    hub.later(600)
    assert list(hub.known()) == ["R-new"]


def test_types_that_are_ignored_and_records_that_are_skipped_end_so(hub: PollHub) -> None:
    hub.edit("{event: polled,", "{event: \"{{ item.event | default('polled') }}\",")
    hub.club.change("R-1", ago=600, event="closed")
    hub.club.change("R-2", ago=600, test=True)
    hub.club.change("R-3", ago=600, event="invented")
    hub.run()
    assert sorted(event["state"] for event in hub.events()) == ["ignored", "ignored", "unknown"]


def test_a_record_that_cannot_be_made_an_event_is_kept_and_shown_and_holds_up_nothing(hub: PollHub) -> None:
    hub.edit('at: "{{ item.updated }}"', 'at: "{{ item.version }}"')
    hub.club.change("R-1", ago=600, version="1")
    hub.club.change("R-2", ago=600)
    hub.run()
    hub.later(600)
    assert sorted(event["state"] for event in hub.events()) == ["done", "unreadable"]
    [odd] = [event for event in hub.events() if event["state"] == "unreadable"]
    assert "item.version is missing" in odd["because"]


def test_a_change_that_no_message_told_counts_as_healed(hub: PollHub) -> None:
    hub.club.change("R-1", "R-2", ago=600)
    hub.told(data=hub.club.records["R-1"])
    hub.read()
    hub.run()
    assert hub.counted(counting.HEALED, connection="club", poll="changed") == 1
    hub.later(600)
    assert hub.counted(counting.HEALED) == 1
    assert hub.counted(counting.POLLS, poll="changed", outcome="good") == 3


def test_where_polls_bring_everything_nothing_counts_as_healed(hub: PollHub) -> None:
    hub.edit("  verify: {scheme: none}\n", "  webhooks: false\n")
    hub.club.change("R-1", ago=600)
    hub.run()
    assert hub.known() == {"R-1": "requested"}
    assert hub.counted(counting.HEALED) == 0


def test_a_list_without_windows_and_without_pages_is_read_as_it_is(hub: PollHub) -> None:
    hub.club.filters = False
    text = CONNECTOR.replace(
        '    with: {after: "{{ window.from }}", before: "{{ window.to }}"}\n', "    with: {after: '', before: ''}\n"
    )
    text = text.replace(
        "    window: {overlap: 5m, behind: 60s, longest: 1d, start: 2d}\n", '    items: "{{ body.records }}"\n'
    )
    begin, end = text.index("    paging:"), text.index("  get_return:")
    hub.write({"connectors/acme_club/connector.yaml": text[:begin] + text[end:]})
    hub.club.change("R-1", "R-2", "R-3", ago=40 * 86_400)
    hub.run()
    assert len(hub.known()) == 3
    hub.later(600)
    assert len(hub.club.asked) == 2


def test_what_is_not_polled_is_in_no_lane(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> None:
    MiniHub(tmp_path / "site", ledger, clock)
    assert ledger.due_lanes() == []
