"""The commands that look at files only: `try`, `test` and `new`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.unit.conftest import Run
from tests.unit.site_kit import FILES, write


def _document(site: Path, **more: Any) -> str:
    line = {"key": "l-1", "sku": "00123", "quantity": {"announced": 3}, "reasons": [{"code": "broken"}]}
    orders = [{"number": "#9"}]
    parcels = [{"id": "p-1", "state": "labelled", "tracking_number": "T-1"}]
    document = {
        "id": "R-1",
        "source": "shop",
        "market": "EU",
        "orders": orders,
        "parcels": parcels,
        "lines": [line],
        **more,
    }
    (site / "document.json").write_text(json.dumps(document))
    return "document.json"


def test_try_prints_the_exact_request_and_sends_nothing(run: Run, site: Path) -> None:
    text = run("try", "announce", "--fixture", _document(site), "--ref", "order=0000012E4").output
    assert "POST https://wms.example/api/returns" in text
    assert '"order": "0000012E4"' in text and '"quantity": 3' in text
    assert "tok-2" not in text


def test_try_says_what_would_be_asked_and_uses_tables(run: Run, site: Path) -> None:
    text = run("try", "announce", "--fixture", _document(site)).output
    assert '"order": "0000000009"' in text
    text = run("try", "announce", "--fixture", "document.json", "--set", "orders[0].number=#1").output
    assert '"order": "0001"' in text


def test_a_word_that_is_in_no_table_is_told_with_the_tables_file(run: Run, site: Path) -> None:
    fixture = _document(site)
    text = run("try", "announce", "--fixture", fixture, "--set", "lines[0].reasons[0].code=smells", status=1).output
    assert "add 'smells' to mappings/tables/acme_reasons.yaml, then retry" in text


def test_try_refuses_a_number_of_a_kind_that_nobody_translates(run: Run, site: Path) -> None:
    fixture = _document(site)
    for given in ("odrer=1", "odrer:#9=1", "sales_order:#9=1"):
        text = run("try", "announce", "--fixture", fixture, "--ref", given, status=2).output
        assert "known kinds: order" in text
    assert '"order": "7"' in run("try", "announce", "--fixture", fixture, "--ref", "sales_order=7").output
    assert '"order": "8"' in run("try", "announce", "--fixture", fixture, "--ref", "order:#9=8").output


def test_try_says_the_change_once_and_what_completed_the_message(run: Run, site: Path) -> None:
    folder = site / "connectors/acme_shop/fixtures"
    answer = {"id": "R-1", "market": "EU", "orders": ["#9"], "parcels": [], "items": []}
    write(folder, {"label.printed__one.json": '{"id": "1", "topic": "label.printed", "return": "R-1"}'})
    write(folder, {"get_return__one.json": json.dumps(answer), "get_return__two.json": json.dumps(answer)})
    text = FILES["config/routes.yaml"].replace("return.labelled", "return.registered")
    (site / "config/routes.yaml").write_text(text)
    lines = run("try", "announce", "--fixture", "label.printed__one").output.splitlines()
    assert lines[0].startswith("shop.get_return answers as in ") and lines[0].endswith("get_return__one.json")
    assert lines[1] == "announce: return.registered from shop"
    said = run("try", "announce", "--fixture", "label.printed__on", status=2).output
    assert "label.printed__one.json" in said and "get_return" not in said
    said = run("try", "announce", "--fixture", "label.printed__one", "--detail", "get_return__twoo", status=2).output
    assert said.index("get_return__two.json") < said.index("get_return__one.json") and "label" not in said


def test_try_says_why_a_route_wants_nothing(run: Run, site: Path) -> None:
    text = run("try", "announce", "--fixture", _document(site, market="US"), status=1).output
    assert "the route wants no change of this document" in text
    assert "there are announce" in run("try", "anounce", "--fixture", "document.json", status=2).output


def test_try_shows_a_body_that_would_be_refused(run: Run, site: Path) -> None:
    fixture = _document(site)
    text = run("try", "announce", "--fixture", fixture, "--set", "lines[0].sku:=7", status=1).output
    assert "fault: " in text and "sku" in text


def test_test_runs_the_cases_and_fails_with_their_places(run: Run) -> None:
    text = run("test", "return.to_acme_wms", status=1).output
    assert "mappings/return.to_acme_wms.yaml:" in text and "1 failed" in text


def test_a_new_connector_passes_check_and_test(run: Run, site: Path) -> None:
    (site / "mappings/return.to_acme_wms.yaml").write_text(FILES["mappings/return.to_acme_wms.yaml"].split("tests:")[0])
    assert "connectors/robin_wms/connector.yaml" in run("new", "connector", "robin_wms").output
    assert "no problems" in run("check").output
    assert "6 passed" in run("test", "robin_wms").output
    assert "is there already" in run("new", "connector", "robin_wms", status=1).output
    assert "small letters" in run("new", "connector", "Robin-WMS", status=2).output


def test_a_new_connector_passes_its_test_in_a_folder_without_anything_else(run: Run, site: Path) -> None:
    shutil.rmtree(site)
    site.mkdir()
    said = run("new", "connector", "robin_wms").output
    assert "       connections:\n         robin_wms:" in said and "       routes:\n         - route: " in said
    assert "6 passed" in run("test", "robin_wms").output
    assert "config/connections.yaml:1:1 there is no such file" in run("check", status=2).output
