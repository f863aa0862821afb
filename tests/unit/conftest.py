"""Fixtures that several unit suites share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.dispatch_kit import Hub


@pytest.fixture
def hub(ledger_url: str) -> Iterator[Hub]:
    made = Hub(ledger_url)
    yield made
    made.close()
