"""`backhaul erase` shows what it would touch, asks, and names nobody."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.ledger import Ledger, open_ledger
from tests.contract.test_erasing import EMAIL, NAME, person
from tests.support import HandClock
from tests.unit.conftest import Run


@pytest.fixture
def ledger(site: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Ledger]:
    """The ledger that the command uses, with one return of a person."""
    (site / "var").mkdir()
    path = shutil.copy(migrated_sqlite, site / "var/backhaul.db")
    opened = open_ledger(f"sqlite:///{path}", clock=clock)
    person(opened, clock)
    yield opened
    opened.close()


def test_a_dry_run_shows_and_touches_nothing(run: Run, ledger: Ledger, site: Path) -> None:
    said = run("erase", "--order", "oR-1", "--dry-run").output
    assert "documents 2" in said and "oR-1" in said and EMAIL not in said and NAME not in said
    found = json.loads(run("erase", "--email", EMAIL, "--dry-run", "--json").stdout)
    assert found["erased"] is False and found["found"]["documents"] == 2 and EMAIL not in str(found)
    assert ledger.acts() == ledger.acts() and not [one for one in ledger.acts() if one["act"] == "erase"]
    assert EMAIL.encode() in _bytes(site)


def test_no_list_shows_an_address(run: Run, ledger: Ledger) -> None:
    ledger.pause("wms", f"as {EMAIL} said", "anna")
    for command in (("audit",), ("audit", "--json"), ("refs", "show", "--json"), ("trace", "R-1", "--json")):
        assert EMAIL not in run(*command).output


def test_without_a_yes_nothing_is_erased(run: Run, ledger: Ledger, site: Path) -> None:
    assert "Erase this for good?" in run("erase", "--return", "R-1", status=1).output
    assert EMAIL.encode() in _bytes(site)


def test_whoever_is_erased_by_an_address_is_kept_in_the_audit_by_its_digest_only(
    run: Run, ledger: Ledger, site: Path
) -> None:
    told = json.loads(run("erase", "--email", EMAIL, "--yes", "--json", "--because", f"{EMAIL} asked").stdout)
    assert told["erased"] is True and told["file_clean"] is True
    (act,) = json.loads(run("audit", "--json", "--limit", "1").stdout)
    digest = hashlib.sha256(EMAIL.casefold().encode()).hexdigest()
    assert (act["act"], act["target"]) == ("erase", f"email:sha256:{digest}") and act["who"].startswith("cli")
    assert act["after"] == {"because": "*** asked", "given up": []}
    assert EMAIL.encode() not in _bytes(site) and NAME.encode() not in _bytes(site)
    assert "content erased on" in run("trace", "R-1").output
    assert "sound" in run("ledger", "verify").output


def test_what_nobody_has_and_what_is_no_address_is_told(run: Run, ledger: Ledger) -> None:
    assert "nothing has that order number" in run("erase", "--order", "none", "--yes", status=1).output
    assert "whole address" in run("erase", "--email", "ann", status=2).output
    assert "say whom" in run("erase", status=2).output
    assert "say whom" in run("erase", "--order", "a", "--return", "b", status=2).output


def _bytes(site: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (site / "var").glob("backhaul.db*"))
