"""The page about polls, played: its files make a site without a fault, and its list becomes documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.adapters.files import check
from app.adapters.ledger import Ledger
from app.core.connectors import Connection
from app.core.yamltext import parse_yaml
from app.model import NoResponse, ReferenceKey, Request, Response
from tests.e2e.howto import steps
from tests.pipeline import kit
from tests.pipeline.polls_kit import Club, PollHub
from tests.support import HandClock

PAGE = Path(__file__).parents[2] / "docs/poll-a-source.md"
ENV = {"ACME_URL": "https://club.example", "ACME_KEY": "practice-key"}


class AcmeShop(Club):
    """The kit's vendor in the words of the page."""

    def send(
        self, connection: Connection, request: Request, timeout_s: float, credentials: Any = None, /
    ) -> Response | NoResponse:
        """Stands where HTTP would."""
        url = request.url.replace("changedAfter=", "after=").replace("changedBefore=", "before=")
        answer = super().send(connection, replace(request, url=url), timeout_s)
        assert isinstance(answer, Response)
        shown = [{**one, "changedAt": one["updated"]} for one in answer.body["records"]]
        return replace(answer, body={"returns": shown, "total": answer.body["total"], "nextPage": None})


def files() -> dict[str, str]:
    """The files of the page."""
    return {step.path: step.text for step in steps(PAGE, {}) if step.kind == "file"}


def test_the_files_of_the_page_have_no_fault(tmp_path: Path, alone: None) -> None:
    for name, text in files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert check(tmp_path, ENV) == []


def test_every_block_of_the_page_is_yaml() -> None:
    blocks = PAGE.read_text().split("```yaml\n")[1:]
    assert len(blocks) == 4
    for block in blocks:
        _, faults = parse_yaml(block.partition("```")[0], "block.yaml")
        assert faults == []


def test_what_the_list_shows_becomes_returns_and_references(
    tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None
) -> None:
    hub = PollHub(tmp_path / "site", ledger, clock)
    hub.club = AcmeShop(clock)
    given = files()
    for name, value in ENV.items():
        given["config/connections.yaml"] = given["config/connections.yaml"].replace(f"{name}}}", f"{name}:-{value}}}")
    # Beside those of the kit's connections that need no connector of this name.
    others = [line for line in kit.FILES["config/connections.yaml"].splitlines() if "acme_shop" not in line]
    given["config/connections.yaml"] = "\n".join(others) + given["config/connections.yaml"].removeprefix("connections:")
    given["config/connections.yaml"] = given["config/connections.yaml"].replace("  acme:", "  club:")
    hub.write(given)
    for number in range(5):
        hub.club.change(f"R-{number}", ago=900 - number, orderNumber=f"#{number}", erpOrder=f"E-{number}")
    hub.run()
    assert sorted(hub.known()) == [f"R-{number}" for number in range(5)]
    found = hub.ledger.find_reference(ReferenceKey("order", "club", "erp", "#3"))
    assert found is not None and found.to_id == "E-3"


@pytest.mark.parametrize("word", ["overlap", "behind", "longest", "start", "whole", "where", "items", "payload"])
def test_every_key_of_a_poll_is_explained(word: str) -> None:
    assert word in PAGE.read_text()
