"""The hub in one process, once on each kind of ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from tests.pipeline.kit import MiniHub
from tests.support import HandClock


@pytest.fixture
def hub(tmp_path: Path, ledger: Ledger, clock: HandClock) -> MiniHub:
    """A hub whose shop shows one open return of one order, without a label."""
    hub = MiniHub(tmp_path / "site", ledger, clock)
    hub.shows()
    return hub
