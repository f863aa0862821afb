"""A ledger is put back from a backup: what was called since is not called twice, or waits for a person."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from app.adapters.ledger import Ledger, open_ledger
from app.adapters.ledger.engine import sqlite_module
from app.core.restores import Restore
from app.pipeline.restored import Restored
from tests.pipeline.kit import FILES, LABELLED, MiniHub
from tests.support import HandClock

WEEK_S = 7 * 86_400.0
#: The same operation with an idempotency key instead of a probe.
KEYED = ("connectors/acme_wms/connector.yaml", "    probe:\n", "    idempotency: {header: Key}\n    probe:\n")


class Twice:
    """A hub whose ledger can be put back to where it was."""

    def __init__(self, folder: Path, url: str, clock: HandClock, **files: str) -> None:
        self.folder, self.clock = folder, clock
        self.path = Path(url.removeprefix("sqlite:///"))
        self.ledger = open_ledger(url, clock=clock)
        self.hub = MiniHub(folder / "site", self.ledger, clock, **files)
        self.hub.shows(parcels=LABELLED)

    def backup(self) -> None:
        with (
            closing(sqlite_module().connect(self.path)) as source,
            closing(sqlite_module().connect(self.folder / "copy")) as target,
        ):
            source.backup(target)

    def restore(self, *, mark: bool = True) -> Ledger:
        """The ledger as it was at `backup`, a minute later."""
        self.ledger.close()
        self.clock.move(60)
        with (
            closing(sqlite_module().connect(self.folder / "copy")) as source,
            closing(sqlite_module().connect(self.path)) as target,
        ):
            source.backup(target)
        self.ledger = open_ledger(f"sqlite:///{self.path}", clock=self.clock)
        if mark:
            self.ledger.mark_restored("me", WEEK_S)
        self.hub.ledger = self.ledger
        self.hub.write({})
        return self.ledger

    def announced(self) -> int:
        return len([one for one in self.hub.targets.sent("/announcements") if one.method == "POST"])

    def looked(self) -> int:
        return len([one for one in self.hub.targets.sent("/announcements") if one.method == "GET"])


@pytest.fixture
def twice(tmp_path: Path, sqlite_ledger_url: str, clock: HandClock, alone: None) -> Twice:
    return Twice(tmp_path, sqlite_ledger_url, clock)


def found(twice: Twice, is_there: bool) -> None:
    twice.hub.targets.say("/announcements/R-1", {"found": is_there})


def test_a_delivery_that_was_open_is_looked_for_before_it_is_sent_again(twice: Twice) -> None:
    twice.hub.receive(**{"return": "R-1"})
    twice.hub.read()
    twice.backup()
    twice.hub.run()
    assert twice.announced() == 1
    found(twice, True)
    twice.restore()
    twice.hub.run()
    assert (twice.announced(), twice.looked()) == (1, 1)
    assert twice.hub.deliveries() == {"announce #1": "done"}


def test_a_delivery_that_was_not_made_since_is_made(twice: Twice) -> None:
    twice.hub.receive(**{"return": "R-1"})
    twice.hub.read()
    twice.backup()
    found(twice, False)
    twice.restore()
    twice.hub.run()
    assert twice.announced() == 1 and twice.hub.deliveries() == {"announce #1": "done"}


@pytest.mark.parametrize("known", [True, False])
def test_an_event_that_is_read_again_sends_nothing_twice_though_its_keys_are_new(
    tmp_path: Path, sqlite_ledger_url: str, clock: HandClock, alone: None, known: bool
) -> None:
    path, old, new = KEYED
    twice = Twice(tmp_path, sqlite_ledger_url, clock, **{path: FILES[path].replace(old, new)})
    if known:
        # It came before the backup and was read after it; else it comes again after the restore.
        twice.hub.receive(id="e-1", **{"return": "R-1"})
    twice.backup()
    if not known:
        twice.hub.receive(id="e-1", **{"return": "R-1"})
    twice.hub.run()
    first = twice.hub.targets.sent("/announcements")[0].idempotency_key
    found(twice, True)
    twice.restore()
    if not known:
        twice.hub.receive(id="e-1", **{"return": "R-1"})
    twice.hub.run()
    assert (twice.announced(), twice.looked()) == (1, 1)
    assert twice.hub.deliveries() == {"announce #1": "done"}
    assert first and twice.ledger.deliveries({}, 1)[0]["id"] not in first


def test_what_nothing_can_look_for_waits_for_a_person_who_is_believed(
    tmp_path: Path, sqlite_ledger_url: str, clock: HandClock, alone: None
) -> None:
    path = "connectors/acme_wms/connector.yaml"
    text = FILES[path]
    begin, end = text.index("    probe:"), text.index("  look:")
    twice = Twice(tmp_path, sqlite_ledger_url, clock, **{path: text[:begin] + text[end:]})
    twice.backup()
    twice.restore()
    twice.hub.receive(**{"return": "R-1"})
    twice.hub.run()
    (row,) = twice.ledger.deliveries({}, 10)
    assert row["state"] == "in_doubt" and "the ledger was put back" in row["because"]
    assert twice.announced() == 0
    assert twice.ledger.resolve(row["id"], "retry", "me")
    twice.hub.run()
    assert twice.announced() == 1 and twice.hub.deliveries() == {"announce #1": "done"}


def test_once_all_is_caught_up_nothing_is_looked_for_any_more(twice: Twice) -> None:
    twice.backup()
    twice.restore()
    assert twice.ledger.caught_up("me")
    twice.hub.later(11)
    twice.hub.receive(**{"return": "R-1"})
    twice.hub.run()
    assert (twice.announced(), twice.looked()) == (1, 0)


def test_workers_hear_within_seconds_that_all_is_caught_up_and_ask_no_more_than_they_must(clock: HandClock) -> None:
    class Told:
        said: ClassVar[list[Restore]] = []
        asked = 0

        def restores(self) -> list[Restore]:
            self.asked += 1
            return self.said

    told = Told()
    restored = Restored(told, clock)
    for _ in range(100):
        restored.ask()
        clock.move(60)
    assert told.asked == 1
    told.said.append(Restore(None, clock.now(), clock.now() + timedelta(hours=1)))
    restored = Restored(told, clock)
    for _ in range(100):
        restored.ask()
        clock.move(1)
    assert told.asked == 1 + 10


def test_without_the_mark_it_is_sent_twice(twice: Twice) -> None:
    """What the mark is for."""
    twice.hub.receive(**{"return": "R-1"})
    twice.backup()
    twice.hub.run()
    found(twice, True)
    twice.restore(mark=False)
    twice.hub.run()
    assert twice.announced() == 2


def test_a_later_call_of_an_open_delivery_is_doubted_too(
    tmp_path: Path, sqlite_ledger_url: str, clock: HandClock, alone: None
) -> None:
    routes = """
routes:
  - route: announce
    change: return.labelled
    calls:
      - {to: wms.track, mapping: return.to_acme_tracking}
      - {to: wms.announce, mapping: return.to_acme_wms}
"""
    twice = Twice(tmp_path, sqlite_ledger_url, clock, **{"config/routes.yaml": routes})
    twice.hub.targets.say("/announcements/R-1/", {})
    twice.hub.receive(**{"return": "R-1"})
    twice.hub.read()
    twice.backup()
    twice.hub.run()
    tracked = twice.hub.targets.sent("/parcels")
    twice.restore()
    found(twice, True)
    twice.hub.run()
    again = twice.hub.targets.sent("/parcels")
    # The first call has a key, and it is the same; the second is looked for.
    assert len(again) == 2 and {one.idempotency_key for one in again} == {tracked[0].idempotency_key}
    posts = [
        one for one in twice.hub.targets.sent("/announcements") if one.method == "POST" and "parcels" not in one.url
    ]
    assert len(posts) == 1 and twice.hub.deliveries() == {"announce #1": "done"}
