"""Routes of several calls as `try` prints them and as YAML cases hold them fast: answers are given, nothing is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.adapters.case_files import CaseFiles
from app.adapters.files import load_site
from app.pipeline.cases import run_cases
from tests.unit.conftest import Run
from tests.unit.site_kit import ENV, FILES, write

DOCUMENT = {
    "id": "R-1",
    "source": "shop",
    "market": "EU",
    "orders": [{"number": "#9"}],
    "parcels": [{"id": "p-1", "state": "labelled"}],
    "lines": [{"key": "l-1", "sku": "00123", "quantity": {"announced": 3}, "reasons": [{"code": "broken"}]}],
}
CHECK = """
mapping: return.to_acme_check
args: {rma: "{{ return.id }}"}
"""
UPDATE = """
mapping: return.to_acme_update
body: {rma: "{{ answers[0].items[0].number }}", order: "{{ delivery.key }}", lines: []}
"""
ROUTES = """
routes:
  - route: announce
    change: return.labelled
    source: shop
    confirm: true
    calls:
      - {to: wms.find, mapping: return.to_acme_check}
      - {to: wms.announce, mapping: return.to_acme_update, when: "{{ answers[0].items | length > 0 }}"}
      - {to: wms.announce, mapping: return.to_acme_wms, when: "{{ answers[1] is none }}"}
"""
SHOP = FILES["connectors/acme_shop/connector.yaml"] + '  read: {operation: get_return, with: {id: "{{ return.id }}"}}\n'
WMS = FILES["connectors/acme_wms/connector.yaml"].replace('length > 0 }}"}', 'length > 0 }}", before: true}')


@pytest.fixture
def site(tmp_path: Path, alone: None) -> Path:
    """A site whose route looks first and then updates or announces."""
    files = {
        **FILES,
        "config/routes.yaml": ROUTES,
        "connectors/acme_shop/connector.yaml": SHOP,
        "connectors/acme_wms/connector.yaml": WMS,
        "mappings/return.to_acme_check.yaml": CHECK,
        "mappings/return.to_acme_update.yaml": UPDATE,
        "document.json": json.dumps(DOCUMENT),
        "connectors/acme_wms/fixtures/find__one.json": '{"items": [{"number": "W-1"}]}',
        "connectors/acme_wms/fixtures/find__none.json": '{"items": []}',
    }
    return write(tmp_path / "site", files)


def test_try_shows_every_call_with_the_answers_that_are_given(run: Run, site: Path) -> None:
    text = run("try", "announce", "--fixture", "document.json", "--answer", "find__one").output
    assert "GET https://wms.example/api/returns?rma=R-1" in text
    assert '"rma": "W-1"' in text and '"order": "dlv_rehearsed.1"' in text
    assert "note: shop.get_return is asked first whether return.labelled still holds" in text
    assert "note: find looks first whether it is there already" in text
    assert text.rstrip().endswith("note: left out, because its `when` does not hold")


def test_try_leaves_out_what_is_not_wanted(run: Run, site: Path) -> None:
    text = run("try", "announce", "--fixture", "document.json", "--answer", "find__none").output
    assert "return.to_acme_update\nnote: left out" in text
    assert '"rma": "R-1"' in text


def test_try_says_that_it_needs_an_answer(run: Run, site: Path) -> None:
    text = run("try", "announce", "--fixture", "document.json", status=1).output
    assert "GET https://wms.example/api/returns?rma=R-1" in text
    assert "say what the calls before it are answered" in text


def test_try_refuses_more_answers_than_there_are_calls(run: Run, site: Path) -> None:
    given = ["--answer", "find__none"] * 4
    assert "makes 3 calls" in run("try", "announce", "--fixture", "document.json", *given, status=2).output


def case(site: Path, given: dict[str, Any], expect: dict[str, Any]) -> list[tuple[str, ...]]:
    """The faults of the only case beside the route."""
    routes = yaml.safe_load(ROUTES)
    test = {"name": "one", "given": {"document": "document.json", **given}, "expect": expect}
    routes["routes"][0]["tests"] = [test]
    (site / "config/routes.yaml").write_text(yaml.safe_dump(routes))
    made = load_site(site, env=ENV)
    return [one.faults for one in run_cases(made, CaseFiles(site, site)) if one.of == "route announce"]


def test_a_case_holds_all_calls_of_a_route(site: Path) -> None:
    expect = {
        "calls": [
            {"to": "wms.find", "method": "GET", "path": "/returns?rma=R-1"},
            {"to": "wms.announce", "body": {"rma": "W-1", "order": "dlv_rehearsed.1", "lines": []}},
            {"to": "wms.announce", "skipped": True},
        ]
    }
    answers = [{"items": [{"number": "W-1"}]}]
    assert case(site, {"answers": answers}, expect) == [()]
    assert case(site, {"answers": ["connectors/acme_wms/fixtures/find__one.json"]}, expect) == [()]
    [(first, second)] = case(site, {"answers": [{"items": []}], "refs": {"order": "7"}}, expect)
    assert first.startswith("calls[1].body: expected") and second == "calls[2].skipped: expected true, got false"


def test_a_case_tells_of_a_call_that_is_missing_or_too_many(site: Path) -> None:
    [faults] = case(site, {"answers": [{"items": []}], "refs": {"order": "7"}}, {"calls": [{"to": "wms.find"}]})
    assert any("calls[1]" in fault for fault in faults)


def test_a_case_may_expect_an_error(site: Path) -> None:
    assert case(site, {}, {"error": "say what the calls before it are answered"}) == [()]
    assert case(site, {"source": "wms"}, {"error": "wants no change of this document"}) == [()]
    [(fault,)] = case(site, {"answers": [{"items": []}], "refs": {"order": "7"}}, {"error": "anything"})
    assert fault == "error: expected a text with 'anything', got 'no error'"


def test_a_case_says_where_a_body_does_not_fit(site: Path) -> None:
    [faults] = case(site, {"answers": [{"items": [{"number": 7}]}]}, {})
    assert faults == ("wms.announce: rma: is the number 7, must be text",)


def test_a_case_starts_from_what_was_known_before(site: Path) -> None:
    assert case(site, {"before": DOCUMENT}, {"error": "it has none"}) == [()]


def probe_case(site: Path, body: Any, expect: dict[str, Any]) -> list[tuple[str, ...]]:
    """The faults of a case of an answer that a probe looks at."""
    text = WMS.replace("before: true}", 'unclear: "{{ body.items | length > 1 }}", answer: "{{ body.items[0] }}"}')
    paging = '    paging: {items: "{{ body.items }}", next: "{{ none }}", param: page}\n'
    write(site, {"connectors/acme_wms/connector.yaml": text.rstrip() + "\n" + paging})
    one = {"name": "one", "operation": "find", "answer": {"status": 200, "body": body}, "expect": expect}
    write(site, {"connectors/acme_wms/tests.yaml": yaml.safe_dump({"cases": [one]})})
    made = load_site(site, env=ENV)
    return [one.faults for one in run_cases(made, CaseFiles(site, site)) if one.of == "connector acme_wms"]


def test_a_connectors_case_shows_what_a_probe_makes_of_an_answer(site: Path) -> None:
    one, two = {"number": "W-1", "more": 1}, {"number": "W-2"}
    assert probe_case(site, {"items": [one]}, {"found": True, "unclear": False, "answer": {"number": "W-1"}}) == [()]
    assert probe_case(site, {"items": [one, two]}, {"found": False, "unclear": True}) == [()]
    assert probe_case(site, {"items": []}, {"found": True}) == [("found: expected true, got false",)]
