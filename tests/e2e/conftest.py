"""One stack for the tests that leave it as they found it; a fresh one for those that break it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def hub_ledger_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").create("hub"))
    return f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db"


@pytest.fixture(scope="session")
def stack(hub_ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running hub that all tests of one kind of ledger share: each uses a return of its own."""
    with running_stack(tmp_path_factory.mktemp("stack"), hub_ledger_url) as running:
        yield running


@pytest.fixture
def fresh_stack(tmp_path: Path) -> Iterator[Stack]:
    """A running hub for one test, on SQLite."""
    with running_stack(tmp_path) as running:
        yield running
