"""What is off until it is configured is found wherever it is called, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.files import check
from tests.unit.site_kit import ASKED, ENV, write

pytestmark = pytest.mark.usefixtures("alone")
WMS, CONNECTIONS = "connectors/acme_wms/connector.yaml", "config/connections.yaml"


def _files(operation: str, setting: str = "", spec: str = "{}") -> dict[str, str]:
    """The site where an operation needs the setting `desk`, which the connection gives as `setting`."""
    files = dict(ASKED)
    files[WMS] = (
        files[WMS]
        .replace("settings:\n", f"settings:\n  desk: {spec}\n", 1)
        .replace(f"  {operation}:\n", f"  {operation}:\n    needs: [desk]\n", 1)
    )
    given = "      base_url: ${WMS_URL}\n"
    files[CONNECTIONS] = files[CONNECTIONS].replace(given, given + setting)
    return files


def test_who_looks_something_up_probes_or_asks_a_bridge_is_found_too(tmp_path: Path) -> None:
    found = check(write(tmp_path, _files("find")), ENV)
    assert {problem.what for problem in found} == {"find of wms needs the setting desk"}
    assert [problem.file for problem in found] == [
        "config/bridges.yaml",
        "config/routes.yaml",  # the probe of the operation that it calls
        "mappings/references/order.yaml",
    ]


@pytest.mark.parametrize(
    "empty", ["", "      desk: ''\n", "      desk: []\n", "      desk: ' '\n", "      desk: ${DESK:-}\n"]
)
def test_a_setting_that_says_nothing_is_not_there(empty: str, tmp_path: Path) -> None:
    found = check(write(tmp_path, _files("announce", empty)), ENV)
    assert [problem.what for problem in found] == ["announce of wms needs the setting desk"]


@pytest.mark.parametrize("given", ["      desk: goods-in\n", "      desk: ${DESK:-}\n"])
def test_a_setting_that_is_given_is_enough(given: str, tmp_path: Path) -> None:
    assert check(write(tmp_path, _files("announce", given)), {**ENV, "DESK": "goods-in"}) == []


def test_a_default_is_enough(tmp_path: Path) -> None:
    assert check(write(tmp_path, _files("announce", spec="{default: goods-in}")), ENV) == []


def test_who_does_not_call_it_needs_no_setting(tmp_path: Path) -> None:
    files = _files("spare")
    files[WMS] += "  spare:\n    method: POST\n    path: /spare\n    needs: [desk]\n"
    assert check(write(tmp_path, files), ENV) == []


@pytest.mark.parametrize(
    ("when", "problems"),
    [
        ("{{ settings.desk | length > 0 }}", []),
        ("{{ settings.token != '' }}", ["announce of wms needs the setting desk"]),
    ],
)
def test_a_route_that_leaves_the_call_out_without_its_setting_is_no_mistake(
    when: str, problems: list[str], tmp_path: Path
) -> None:
    files = _files("announce", "      desk: ${DESK:-}\n")
    call = "{to: wms.announce, mapping: return.to_acme_wms"
    files["config/routes.yaml"] = files["config/routes.yaml"].replace(call, f'{call}, when: "{when}"')
    assert [problem.what for problem in check(write(tmp_path, files), ENV)] == problems


@pytest.mark.parametrize(
    ("when", "found"), [("settings.desk | default('')", 0), ("settings.desktop | default('')", 1), ("change.first", 1)]
)
def test_a_call_that_asks_for_the_setting_first_is_switched_off_by_it(when: str, found: int, tmp_path: Path) -> None:
    files = _files("announce")
    files[WMS] = files[WMS].replace("  desk: {}\n", "  desk: {}\n  desktop: {}\n", 1)
    told = "mapping: return.to_acme_wms}"
    files["config/routes.yaml"] = files["config/routes.yaml"].replace(told, f'{told[:-1]}, when: "{{{{ {when} }}}}"}}')
    problems = [problem.what for problem in check(write(tmp_path, files), ENV)]
    assert problems == ["announce of wms needs the setting desk"] * found
