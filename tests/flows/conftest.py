"""The example site between simulators that hold nothing, on an empty ledger."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.ledger import Ledger, open_ledger
from tests.flows.kit import Flows, NowClock
from tests.support import empty_sqlite


@pytest.fixture
def flows(migrated_sqlite: Path, open_ledgers: dict[str, Ledger]) -> Iterator[Flows]:
    """The hub of the example site; what one is made of costs more than most tests, so they share the ledger's file."""
    path, clock = migrated_sqlite.with_name("flows.db"), NowClock()
    if not path.exists():
        shutil.copy(migrated_sqlite, path)
    empty_sqlite(path)
    url = f"sqlite:///{path}"
    if url not in open_ledgers:
        open_ledgers[url] = open_ledger(url, clock=clock)
    open_ledgers[url]._clock = clock
    hub = Flows(open_ledgers[url], clock)
    try:
        yield hub
    finally:
        hub.close()


#: Quick enough to be run at every change: every flow once, by its demo, and one return through four systems.
_FAST = {"test_demos", "test_forecast", "test_four_numbers"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What plays every vendor over the network takes a minute in all: it runs with the slow suites."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.stem not in _FAST:
            item.add_marker("slow")
