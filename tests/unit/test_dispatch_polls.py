"""A worker's engine on lanes of polls: what came is read at once, and a worker that ends leaves the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.ledger import open_ledger
from app.adapters.system import SystemClock
from app.pipeline.dispatch import Engine
from app.pipeline.gates import Gates
from app.pipeline.trades import polling, reading
from tests.pipeline.polls_kit import PollHub
from tests.unit.engine_kit import rng, until


class Polling:
    """A hub that polls, with an engine as a worker has it."""

    def __init__(self, folder: Path, url: str) -> None:
        clock = SystemClock()
        self.ledger = open_ledger(url, clock=clock)
        self.hub = PollHub(folder, self.ledger, clock)  # type: ignore[arg-type]
        self.gates: Gates = self.hub.poller._gates
        trades = {"poll": polling(self.ledger, self.hub.poller), "in": reading(self.ledger, self.hub.reader)}
        self.engine = Engine(self.hub.site, self.gates, trades, clock, self.hub.ids, None, rng())
        self.engine.start()


@pytest.fixture
def polling_(tmp_path: Path, sqlite_ledger_url: str, alone: None) -> Iterator[Polling]:
    made = Polling(tmp_path / "site", sqlite_ledger_url)
    yield made
    made.engine.stop(1.0)
    made.ledger.close()


def test_a_lane_of_polls_is_read_to_now_and_what_came_becomes_documents(polling_: Polling) -> None:
    hub = polling_.hub
    hub.club.change("R-1", ago=100_000)
    hub.club.change("R-2", ago=600)
    assert polling_.engine.kick("poll:club")
    assert until(lambda: len(hub.known()) == 2, 10)
    assert until(lambda: polling_.engine.in_hand == 0, 5)
    assert not hub.state.running
    assert hub.ledger.due_lanes() == []


def test_a_worker_that_ends_in_the_middle_of_a_list_gives_it_back(polling_: Polling) -> None:
    hub, reached, go_on = polling_.hub, threading.Event(), threading.Event()
    for number in range(9):
        hub.club.change(f"R-{number}", ago=600)

    def meanwhile(page: int) -> None:
        if page == 2:
            reached.set()
            go_on.wait(10)

    hub.club.meanwhile = meanwhile
    polling_.engine.kick("poll:club")
    assert reached.wait(10)
    stood = hub.state.cursor
    polling_.engine.pause_claims()
    go_on.set()
    assert polling_.engine.stop(10)
    assert (hub.state.cursor, hub.state.failures, hub.state.running) == (stood, 0, False)
    assert hub.ledger.due_lanes() == ["poll:club"]
    assert hub.events() == []
    assert len([one for one in hub.club.asked if one["page"] != "1"]) == 1, "no page more was asked for"
