"""Fixtures that several unit suites share."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from flask import Flask

from app.adapters.http import HttpSender
from app.adapters.ledger import Ledger, open_ledger
from app.adapters.system import SystemClock
from app.cli import main
from app.web.app import CLOSE, create_app
from tests.support import HandClock
from tests.unit.dispatch_kit import Hub
from tests.unit.door_kit import Services, make_site, opened
from tests.unit.http_kit import Sender, SenderInStrand
from tests.unit.site_kit import ENV, write

Run = Callable[..., Result]


@pytest.fixture
def hub(ledger_url: str) -> Iterator[Hub]:
    made = Hub(ledger_url)
    yield made
    made.close()


@pytest.fixture(params=[Sender, SenderInStrand], ids=["thread", "strand"])
def sender(request: pytest.FixtureRequest) -> Iterator[HttpSender]:
    """What makes calls, in a thread of its own and in a strand: nobody can tell the difference."""
    made: HttpSender = request.param()
    yield made
    made.close()


@pytest.fixture
def _own_log() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.fixture
def site(tmp_path: Path, alone: None) -> Path:
    return write(tmp_path / "site")


@pytest.fixture
def run(site: Path, _own_log: None) -> Run:
    """Runs `backhaul --site … ARGUMENTS` and checks its exit status."""

    def call(*arguments: str, status: int = 0, env: dict[str, str] | None = None) -> Result:
        clean = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "BACKHAUL_SITE", "BACKHAUL_VAR", "PORT"))
        runner = CliRunner(env={**clean, **ENV, **(env or {})})
        result = runner.invoke(main, ["--site", str(site), *arguments])
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture
def site_ledger(site: Path, migrated_sqlite: Path) -> Iterator[Ledger]:
    """The ledger that the commands use, with the machine's clock."""
    (site / "var").mkdir()
    path = shutil.copy(migrated_sqlite, site / "var/backhaul.db")
    made = open_ledger(f"sqlite:///{path}", clock=SystemClock())
    yield made
    made.close()


@pytest.fixture
def services(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Services]:
    clock = HandClock()
    with opened(migrated_sqlite, tmp_path, clock) as ledger:
        yield Services(make_site(), ledger, clock)


@pytest.fixture
def app(services: Services) -> Iterator[Flask]:
    made = create_app(services)
    yield made
    made.extensions[CLOSE]()
