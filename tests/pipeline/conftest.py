"""The hub in one process, once on each kind of ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from tests.pipeline.bridge_kit import Portal, Shop, process, site_of
from tests.pipeline.calls_kit import CallsHub
from tests.pipeline.kit import MiniHub
from tests.support import HandClock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast tests show the story on one ledger; that both ledgers do the same is what the contract suite shows."""
    for item in items:
        if "postgres" in item.name and Path(__file__).parent in item.path.parents:
            item.add_marker("slow")


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> MiniHub:
    """A hub whose shop shows one open return of one order, without a label."""
    hub = MiniHub(tmp_path / "site", ledger, clock)
    hub.shows()
    return hub


@pytest.fixture
def calls_hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> CallsHub:
    """A hub with a route of three calls; its shop shows one open return."""
    return CallsHub(tmp_path / "site", ledger, clock)


@pytest.fixture
def shop() -> Shop:
    """The shop that bridges ask."""
    return Shop()


@pytest.fixture
def portal(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None, shop: Shop) -> Iterator[Portal]:
    """The platform that asks a process of the hub."""
    with process(site_of(tmp_path), ledger, clock, shop) as found:
        yield found
