"""The hub in one process, once on each kind of ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from tests.pipeline.kit import MiniHub
from tests.support import HandClock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast tests show the story on one ledger; that both ledgers do the same is what the contract suite shows."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "postgres" in item.name:
            item.add_marker("slow")


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> MiniHub:
    """A hub whose shop shows one open return of one order, without a label."""
    hub = MiniHub(tmp_path / "site", ledger, clock)
    hub.shows()
    return hub
