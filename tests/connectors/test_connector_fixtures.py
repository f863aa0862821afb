"""No connector without recorded examples: each event type has one, and each is what its name says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.core.site import Site
from tests.connectors.example_site import ROOT

CONNECTORS = sorted(path.name for path in (ROOT / "connectors").iterdir() if (path / "connector.yaml").is_file())
FIXTURES = sorted((ROOT / "connectors").glob("*/fixtures/*.json"))


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_declared_event_type_has_a_fixture(site: Site, name: str) -> None:
    inbound = site.connectors[name].inbound
    recorded = {path.name.rpartition("__")[0] for path in (ROOT / "connectors" / name / "fixtures").glob("*.json")}
    missing = (set(inbound.types) | inbound.ignore) - recorded if inbound else set()
    assert not missing, (
        f"connectors/{name}/fixtures lacks {', '.join(sorted(missing))}: record one, <type>__<variant>.json"
    )


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_fixture_is_named_after_an_event_type_or_an_operation(site: Site, name: str) -> None:
    connector = site.connectors[name]
    known = set(connector.operations)
    if connector.inbound:
        known |= set(connector.inbound.types) | connector.inbound.ignore
    known |= {one.path for one in site.bridges if site.connections[one.source].connector is connector}
    for path in (ROOT / "connectors" / name / "fixtures").glob("*.json"):
        assert path.name.rpartition("__")[0] in known, f"{path}: no event type, operation or question of {name}"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_fixture_names_no_real_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    hosts = set(re.findall(r"https?://([^/\"]+)", text)) | set(re.findall(r"@([\w.-]+)", text))
    assert all(host.endswith("example.com") for host in hosts), hosts


def test_a_fixture_of_an_event_says_the_type_of_its_name(site: Site) -> None:
    inbound = site.connectors["returnista"].inbound
    assert inbound
    for path in (ROOT / "connectors" / "returnista" / "fixtures").glob("*.json"):
        event: Any = json.loads(path.read_text(encoding="utf-8"))
        if "event" in event:
            assert path.name.startswith(f"{event['event']}__")


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_connector_tells_its_operations_and_what_is_assumed(site: Site, name: str) -> None:
    readme = (ROOT / "connectors" / name / "README.md").read_text(encoding="utf-8")
    inbound = site.connectors[name].inbound
    words = [*(inbound.types if inbound else site.connectors[name].operations)]
    assert all(word.split(".")[-1] in readme for word in words)
