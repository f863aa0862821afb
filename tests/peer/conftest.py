"""One Tryton for all peer tests, put back to its filled state before each; a hub that is new for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.http import HttpSender
from app.adapters.ledger import open_ledger
from connectors.returnista.simulator import create_app
from connectors.simserve import running
from tests.peer.hub import PeerHub
from tests.peer.tryton import Tryton, serve
from tests.support import HandClock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder talks to a real ERP."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("peer")


@pytest.fixture(scope="session")
def tryton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    """A running Tryton; the first time ever it is installed and filled, which takes a minute or some."""
    with serve(tmp_path_factory.mktemp("tryton")) as server:
        yield server


@pytest.fixture
def tryton(tryton_server: Tryton) -> Tryton:
    """The running Tryton with the filled database as it was at first."""
    tryton_server.reset()
    return tryton_server


@pytest.fixture
def hub(tmp_path: Path, sqlite_ledger_url: str, clock: HandClock, tryton: Tryton) -> Iterator[PeerHub]:
    """A hub on the connector's example site, with a simulated returns platform and the real Tryton."""
    app, http, ledger = create_app(), HttpSender(), open_ledger(sqlite_ledger_url, clock=clock)
    try:
        with running(app) as platform_url:
            urls = {"RETURNISTA_URL": platform_url, "TRYTON_URL": tryton.url, "TRYTON_KEY": tryton.facts["keys"]["hub"]}
            yield PeerHub(tmp_path / "site", ledger, clock, http, app.test_client(), urls)
    finally:
        http.close()
        ledger.close()
