"""Polls in trouble: crashes, outages and refusals lose nothing, bring nothing twice, and move no cursor too far."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.ledger import Ledger
from app.core import counting
from app.errors import LedgerUnavailable
from tests.pipeline.polls_kit import PollHub, at
from tests.support import HandClock


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> PollHub:
    """A hub that polls a vendor which has nothing yet."""
    return PollHub(tmp_path / "site", ledger, clock)


def test_a_crash_between_items_and_cursor_brings_the_items_once(hub: PollHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.club.change("R-1", "R-2", ago=600)
    token = hub.ids.new("tok")
    [work] = hub.poller.claim("club", 5, 60, token)
    polled = hub.poller.poll(work)

    def killed(*_: object) -> None:
        raise LedgerUnavailable("killed")

    with monkeypatch.context() as moment:
        moment.setattr("app.adapters.ledger.Transaction.finish_polls", killed)
        with pytest.raises(LedgerUnavailable):
            hub.poller.commit(token, [polled])
    assert hub.state.cursor is None
    hub.later(61)
    assert len(hub.events()) == 2
    assert hub.state.cursor == hub.clock.now() - timedelta(seconds=60)


def test_a_worker_killed_in_mid_poll_leaves_it_to_the_next_one(hub: PollHub) -> None:
    hub.club.change("R-1", ago=600)
    [work] = hub.poller.claim("club", 5, 60, "tok_dead")
    hub.poller.poll(work)
    hub.run()
    assert hub.known() == {}, "its lease has not ended"
    hub.later(61)
    assert hub.known() == {"R-1": "requested"}


def test_two_workers_do_not_poll_the_same_and_a_late_one_moves_no_cursor(hub: PollHub) -> None:
    hub.club.change("R-1", ago=600)
    other, _ = hub.worker()
    [work] = hub.poller.claim("club", 5, 60, "tok_slow")
    assert other.claim("club", 5, 60, "tok_2") == []
    slow = hub.poller.poll(work)
    hub.later(61)
    stood = hub.state
    hub.clock.move(5)
    assert hub.poller.commit("tok_slow", [slow]) == []
    assert hub.state == stood
    assert len(hub.events()) == 1
    assert hub.counted(counting.FENCED, connection="club") == 1


def test_a_vendor_that_is_down_is_asked_again_on_the_hubs_schedule_and_nothing_is_lost(hub: PollHub) -> None:
    hub.run()
    stood = hub.state.cursor
    hub.club.down = 500
    hub.club.change("R-1")
    hub.later(600)
    assert (hub.state.failures, hub.state.cursor) == (1, stood)
    assert "500" in hub.state.because
    hub.later(7)
    assert hub.state.failures == 2
    hub.club.down = 0
    hub.later(3600)
    assert hub.state.failures == 0
    assert hub.state.because == ""
    assert hub.known() == {"R-1": "requested"}


def test_an_outage_of_days_is_read_in_pieces_when_it_is_over(hub: PollHub) -> None:
    hub.run()
    hub.club.down = "lost"
    for day in range(3):
        hub.club.change(f"R-{day}")
        hub.later(86_400)
    hub.club.down = 0
    hub.club.asked.clear()
    hub.later(3600)
    assert len(hub.known()) == 3
    assert len(hub.club.spans) == 4


def test_a_vendor_that_fails_is_left_alone_by_its_breaker(hub: PollHub) -> None:
    hub.club.down = 503
    for _ in range(8):
        hub.later(1200)
    asked = len(hub.club.asked)
    hub.look()
    assert len(hub.club.asked) == asked
    assert hub.ledger.lane_state("club").opened_times > 0


def test_refused_credentials_pause_the_connection_and_resume_polls_at_once(hub: PollHub) -> None:
    hub.club.change("R-1", ago=600)
    hub.club.down = 401
    hub.look()
    assert hub.ledger.lane_state("club").paused
    asked = len(hub.club.asked)
    hub.later(7200)
    assert len(hub.club.asked) == asked
    hub.club.down = 0
    hub.ledger.resume("club", "test")
    hub.later(2)
    assert hub.known() == {"R-1": "requested"}


def test_the_cursor_survives_a_restart_with_other_files(hub: PollHub) -> None:
    hub.run()
    stood = hub.state.cursor
    hub.edit("every: 1h", "every: 2h")
    hub.run()
    assert hub.state.cursor == stood
    hub.club.asked.clear()
    hub.later(600)
    assert hub.club.spans[0][0] == at(stood - timedelta(seconds=300)), "no change of it may get lost"


def test_a_poll_that_is_turned_off_asks_no_more(hub: PollHub) -> None:
    hub.run()
    hub.edit(", poll: {changed: 10m}", "", "config/connections.yaml")
    asked = len(hub.club.asked)
    hub.later(7200)
    assert len(hub.club.asked) == asked
    assert not hub.state.on


@pytest.mark.slow
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["change", "down", "up", "dies", "more files"]), st.integers(0, 5), st.integers(1, 4000)
        ),
        max_size=25,
    ),
    shows_most=st.sampled_from([3, 1_000_000]),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_in_between_the_hub_ends_up_knowing_all(
    tmp_path_factory: pytest.TempPathFactory,
    ledger: Ledger,
    clock: HandClock,
    alone: None,
    steps: list[tuple[str, int, int]],
    shows_most: int,
) -> None:
    hub = PollHub(tmp_path_factory.mktemp("site"), ledger, clock)
    hub.edit("start: 2d}", 'start: 2d, whole: "{{ items | length >= body.total }}"}')
    hub.club.shows_most = shows_most
    mark = hub.ids.new("R")
    for number, (what, which, wait) in enumerate(steps):
        if what == "change":
            hub.club.change(f"{mark}-{which}", state="approved" if number % 2 else "rejected")
        elif what == "dies":
            for work in hub.poller.claim("club", 5, 60, hub.ids.new("tok")):
                hub.poller.poll(work)
        elif what == "more files":
            hub.write({})
        else:
            hub.club.down = 500 if what == "down" else 0
        hub.later(wait)
    hub.club.down = 0
    hub.ledger.resume("club", "test")
    for _ in range(4):
        hub.later(4000)
    assert hub.known() == {name: one["state"] for name, one in sorted(hub.club.records.items())}
