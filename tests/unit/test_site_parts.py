"""A process that lives long holds of the project only what its site names; what is wrong is told all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.files import load_site
from app.errors import ConfigError

ENV = {"T": "a-token", "S": "c2VjcmV0"}
CONNECTIONS = """\
connections:
  wms: {connector: generic_wms, settings: {base_url: "http://127.0.0.1:1", token: "${T}", webhook_secrets: ["${S}"]}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "connections.yaml").write_text(CONNECTIONS)
    return tmp_path


def test_what_the_site_does_not_name_is_left_out(folder: Path) -> None:
    whole, used = load_site(folder, env=ENV), load_site(folder, env=ENV, whole=False)
    assert set(used.connectors) == {"generic_wms"} < set(whole.connectors)
    assert set(used.mappings) < set(whole.mappings)
    assert (used.stamp, used.connections.keys()) == (whole.stamp, whole.connections.keys())


def test_what_is_used_by_what_the_site_names_is_there(folder: Path) -> None:
    used = load_site(folder, env=ENV, whole=False)
    for connector in used.connectors.values():
        if connector.inbound is not None:
            assert connector.inbound.mapping in used.mappings


def test_a_misspelt_connector_is_told_with_all_that_there_are(folder: Path) -> None:
    (folder / "config" / "connections.yaml").write_text(CONNECTIONS.replace("generic_wms", "generic_erq"))
    told = []
    for whole in (True, False):
        with pytest.raises(ConfigError) as raised:
            load_site(folder, env=ENV, whole=whole)
        told.append([str(problem) for problem in raised.value.problems])
    assert told[0] == told[1] and "generic_erp" in told[0][0]


def test_the_project_itself_uses_all_of_its_files() -> None:
    project = Path(__file__).parents[2]
    whole = load_site(project, env={}, allow_missing_env=True)
    used = load_site(project, env={}, allow_missing_env=True, whole=False)
    assert used.connectors.keys() == whole.connectors.keys() and used.mappings.keys() == whole.mappings.keys()
