"""The YAML cases: what passes, what fails, and what a failure tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from app.adapters.case_files import CaseFiles
from app.adapters.files import load_site
from app.errors import ConfigError
from app.pipeline.cases import Case, run_cases
from tests.unit.site_kit import ENV, write

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = {
    "id": "R-1",
    "source": "shop",
    "orders": [{"number": "#7"}],
    "lines": [{"key": "l-1", "sku": "00123", "quantity": {"announced": 3}, "reasons": [{"code": "broken"}]}],
}
BODY = {"rma": "R-1", "order": "0000012E4", "lines": [{"sku": "00123", "quantity": 3, "reason": "DAMAGED"}]}
EVENT = {"id": "e-1", "topic": "label.printed", "return": "R-1"}
DETAIL = {"id": "R-1", "orders": ["#7"], "items": [{"id": "l-1", "sku": "00123", "count": 1, "reason": "broken"}]}


@pytest.fixture
def root(tmp_path: Path, alone: None) -> Path:
    site = write(tmp_path / "site")
    _put(site / "connectors/acme_wms/tests.yaml", {"cases": []})
    _set_tests(site / "mappings/return.to_acme_wms.yaml", [])
    for name, value in (("event", EVENT), ("detail", DETAIL)):
        _put(site / f"connectors/acme_shop/fixtures/{name}.json", value)
    return site


def _put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value) if path.suffix == ".json" else yaml.safe_dump(value))


def _set_tests(path: Path, tests: list[object]) -> None:
    text = path.read_text().split("tests:")[0]
    path.write_text(text + yaml.safe_dump({"tests": tests}))


def _run(root: Path) -> list[Case]:
    site = load_site(root, env=ENV)
    return [case for case in run_cases(site, CaseFiles(root, ROOT)) if "acme" in case.of]


def _mapping(root: Path, **expect: object) -> Case:
    given = {"document": DOCUMENT, "refs": {"sales_order": "0000012E4"}}
    _set_tests(root / "mappings/return.to_acme_wms.yaml", [{"name": "one", "given": given, "expect": expect}])
    [case] = _run(root)
    return case


def _connector(root: Path, name: str, case: dict[str, object]) -> Case:
    _put(root / f"connectors/{name}/tests.yaml", {"cases": [{"name": "one", **case}]})
    [found] = _run(root)
    return found


def test_a_mapping_that_makes_what_is_expected_passes(root: Path) -> None:
    case = _mapping(root, body=BODY)
    assert case.faults == ()
    assert (case.of, case.name) == ("mapping return.to_acme_wms", "one")


def test_a_difference_names_the_path_and_the_place_of_the_case(root: Path) -> None:
    case = _mapping(root, body={**BODY, "order": "120000.0"})
    assert case.faults == ('body.order: expected "120000.0", got "0000012E4"',)
    line = (root / case.where.file).read_text().splitlines()[case.where.line - 1]
    assert line.lstrip().startswith("-")


def test_an_expected_error_has_to_come(root: Path) -> None:
    case = _mapping(root, error="no entry for")
    assert case.faults == ("error: expected a text with 'no entry for', got 'no error'",)
    DOCUMENT_BAD = {**DOCUMENT, "lines": [{**DOCUMENT["lines"][0], "reasons": [{"code": "unheard_of"}]}]}  # type: ignore[dict-item,index]
    given = {"document": DOCUMENT_BAD, "refs": {"sales_order": "1"}}
    test = {"name": "one", "given": given, "expect": {"error": "unheard_of"}}
    _set_tests(root / "mappings/return.to_acme_wms.yaml", [test])
    assert _run(root)[0].faults == ()


def test_a_missing_reference_is_a_fault_of_the_case(root: Path) -> None:
    test = {"name": "one", "given": {"document": DOCUMENT}, "expect": {"body": BODY}}
    _set_tests(root / "mappings/return.to_acme_wms.yaml", [test])
    assert "given.refs lacks 'sales_order'" in _run(root)[0].faults[0]


def test_a_body_that_its_schema_refuses_fails_although_it_is_expected(root: Path) -> None:
    given = {
        "document": {
            **DOCUMENT,
            "lines": [{"key": "l", "sku": 7, "quantity": {"announced": 1}, "reasons": [{"code": "broken"}]}],
        }
    }
    test = {"name": "one", "given": {**given, "refs": {"sales_order": "1"}}, "expect": {"args": {}}}
    _set_tests(root / "mappings/return.to_acme_wms.yaml", [test])
    [fault] = _run(root)[0].faults
    assert fault.startswith("made, but not valid:") and "sku" in fault


def test_an_expected_file_is_compared_whole(root: Path) -> None:
    _put(root / "mappings/expected/acme.json", BODY)
    assert _mapping(root, file="expected/acme.json").faults == ()
    _put(root / "mappings/expected/acme.json", {**BODY, "more": 1})
    assert _mapping(root, file="expected/acme.json").faults == ("body.more: expected 1, got nothing",)


def test_an_event_is_read_to_a_document_and_its_changes(root: Path) -> None:
    expect = {
        "type": "label.printed",
        "state": "received",
        "event_id": "e-1",
        "document": {"lines": [{"sku": "00123", "quantity": {"announced": 1}}]},
        "changes": ["return.registered"],
    }
    case = {"event": "fixtures/event.json", "detail": "fixtures/detail.json", "expect": expect}
    assert _connector(root, "acme_shop", case).faults == ()
    wrong = {**case, "expect": {"state": "ignored", "changes": ["return.labelled"]}}
    assert _connector(root, "acme_shop", wrong).faults == (
        'state: expected "ignored", got "received"',
        'changes[0]: expected "return.labelled", got "return.registered"',
    )


def test_a_request_is_built_exactly_and_its_body_checked(root: Path) -> None:
    expect = {"method": "GET", "path": "/returns", "query": {"rma": "R 1/#7"}}
    case: dict[str, object] = {"operation": "find", "given": {"args": {"rma": "R 1/#7"}}, "expect": expect}
    assert _connector(root, "acme_wms", case).faults == ()
    bad = {"operation": "announce", "given": {"body": {"rma": 7, "lines": []}}}
    assert _connector(root, "acme_wms", {**bad, "expect": {"invalid": "rma"}}).faults == ()
    assert "the body is not valid" in _connector(root, "acme_wms", {**bad, "expect": {"method": "POST"}}).faults[0]


def test_an_answer_is_classified_and_what_it_tells_is_captured(root: Path) -> None:
    expect = {"outcome": "delivered", "because": "known already", "capture": {"return": "W-1"}}
    case: dict[str, object] = {
        "operation": "announce",
        "answer": {"status": 409, "body": {"number": "W-1"}},
        "expect": expect,
    }
    assert _connector(root, "acme_wms", case).faults == ()
    found: dict[str, object] = {
        "operation": "announce",
        "given": {"body": {"rma": "R-1"}},
        "answer": {"status": 200, "body": {"items": []}},
        "expect": {"found": True},
    }
    assert _connector(root, "acme_wms", found).faults == ("found: expected true, got false",)


def test_a_broken_tests_file_is_a_problem_of_the_files(root: Path) -> None:
    (root / "connectors/acme_wms/tests.yaml").write_text("cases: 7\n")
    with pytest.raises(ConfigError):
        _run(root)


def test_the_projects_own_cases_pass() -> None:
    site = load_site(ROOT, env={}, allow_missing_env=True)
    cases = list(run_cases(site, CaseFiles(ROOT, ROOT)))
    assert len(cases) > 30
    assert [(str(case.where), case.faults) for case in cases if case.faults] == []
