"""Bridges and logins on the command line: what `try` prints, what cases hold fast, what a person can settle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.adapters.case_files import CaseFiles
from app.adapters.files import load_site
from app.adapters.ledger import Ledger, migrate, open_ledger
from app.adapters.system import SystemClock
from app.core.bridges import BridgeFinish, Question
from app.model import Attempt, Identifier, Outcome
from app.pipeline.cases import run_cases
from tests.pipeline.token_kit import House, standing
from tests.unit.conftest import Run
from tests.unit.site_kit import ASKED, ENV, write


@pytest.fixture
def site(tmp_path: Path, alone: None) -> Path:
    """A site with a bridge, and a question and an answer to try it with."""
    files = {
        **ASKED,
        "connectors/acme_portal/fixtures/find-return__one.json": '{"rma": "R 1"}',
        "connectors/acme_wms/fixtures/find__one.json": '{"items": [{"number": "W-1"}]}',
    }
    return write(tmp_path / "site", files)


@pytest.fixture
def ledger(site: Path) -> Any:
    url = f"sqlite:///{site}/var/backhaul.db"
    (site / "var").mkdir()
    migrate(url)
    opened = open_ledger(url, clock=SystemClock())
    yield opened
    opened.close()


def test_try_prints_the_requests_of_a_bridge(run: Run, site: Path) -> None:
    text = run("try", "find_return", "--fixture", "find-return__one").output
    assert "find_return: POST /bridge/portal/find-return" in text
    assert "wms.find by mapping question.to_acme_wms\nGET https://wms.example/api/returns?rma=R%201" in text
    assert "say with --answer what the calls are answered" in text


def test_try_prints_the_answer_when_the_calls_answers_are_given(run: Run, site: Path) -> None:
    text = run(
        "try", "find_return", "--fixture", "find-return__one", "--answer", "find__one", "--set", "rma=R-2"
    ).output
    assert "?rma=R-2" in text
    assert text.rstrip().endswith('the answer, by mapping question.from_acme_wms\n\n{\n  "number": "W-1"\n}')


def cases(site: Path, text: str, mapping: str = "") -> dict[str, tuple[str, ...]]:
    """What became of each case of a bridge's and its mappings' own."""
    (site / "config/bridges.yaml").write_text(ASKED["config/bridges.yaml"] + text)
    if mapping:
        with (site / "mappings/question.from_acme_wms.yaml").open("a") as file:
            file.write(mapping)
    loaded = load_site(site, env=ENV)
    found = run_cases(loaded, CaseFiles(site, site))
    return {one.name: one.faults for one in found if one.of.startswith(("bridge", "mapping question"))}


def test_a_case_holds_the_calls_and_the_answer_of_a_bridge(site: Path) -> None:
    tests = [
        {
            "name": "found",
            "given": {"request": {"rma": "R-1"}, "answers": [{"items": [{"number": "W-1"}]}]},
            "expect": {"calls": [{"to": "wms.find", "path": "/returns?rma=R-1"}], "answer": {"number": "W-1"}},
        },
        {
            "name": "another answer",
            "given": {"request": {"rma": "R-1"}, "answers": [{"items": [{"number": "W-1"}]}]},
            "expect": {"calls": [{"to": "wms.find", "path": "/returns?rma=R-2"}], "answer": {"number": "W-2"}},
        },
        {"name": "nothing asked", "given": {"request": {}}, "expect": {"error": "request.rma"}},
        {"name": "no answers", "given": {"request": {"rma": "1"}}, "expect": {"answer": {}}},
    ]
    told = cases(
        site, "    tests:\n" + "".join(f"    - {yaml.safe_dump(one, default_flow_style=True)}" for one in tests)
    )
    assert told["found"] == told["nothing asked"] == ()
    assert len(told["another answer"]) == 2
    assert told["no answers"] == ("answer: given.answers lacks what the last calls are answered",)


def test_a_case_of_a_mapping_may_give_a_question(site: Path) -> None:
    told = cases(
        site,
        "",
        """tests:
  - name: an answer
    given: {request: {rma: "1"}, answers: [{items: [{number: "W-9"}]}]}
    expect: {body: {number: "W-9"}}
""",
    )
    assert told == {"an answer": ()}


def asked(ledger: Ledger, state: Any) -> None:
    """A question that came as far as this."""
    ledger.claim_bridge(Question("brq_1", "find_return", "portal", "k-1", {"rma": "R-1"}), "tok", 60)
    attempt = Attempt(
        attempt_id="att_1",
        kind="call",
        at=datetime.now(UTC),
        connection="wms",
        operation="announce",
        number=1,
        request={"method": "POST", "url": "https://wms.example/api/returns", "headers": {}, "body": {"rma": "R-1"}},
        response={"error": "timeout", "what": "no answer", "sent": True},
        outcome=Outcome("in_doubt", "no answer", "remote"),
        took_ms=3,
        delivery_id="brq_1",
    )
    finish = BridgeFinish(
        "brq_1", state, "nobody knows", sent=True, attempts=(attempt,), identifiers=(Identifier("R-1", "asked"),)
    )
    assert ledger.finish_bridge("tok", finish)


def test_trace_tells_of_a_question(run: Run, ledger: Ledger) -> None:
    asked(ledger, "in_doubt")
    text = run("trace", "R-1").output
    assert "Bridge brq_1 from portal" in text
    assert "asked      find_return asked by portal: in doubt, nobody knows" in text
    assert "called     wms.announce: in doubt, no answer" in text
    assert "`backhaul resolve brq_1 delivered|retry`" in text


def test_a_person_settles_a_question_in_doubt(run: Run, ledger: Ledger) -> None:
    asked(ledger, "in_doubt")
    listed = run("questions").output
    assert "brq_1" in listed and "in_doubt" in listed and "nobody knows" in listed
    assert '"calls"' not in run("questions", "--json").output
    assert ("question", "portal", "in_doubt", 1) in [row[:4] for row in ledger.waiting()]
    assert "cannot be given up" in run("resolve", "brq_1", "dead", status=1).output
    assert "brq_1 is settled: retry" in run("resolve", "brq_1", "retry").output
    assert "not in doubt" in run("resolve", "brq_1", "retry", status=1).output
    row = ledger.bridge("brq_1")
    assert row is not None and (row["state"], row["sent"]) == ("waiting", False)


@pytest.fixture
def house() -> Any:
    with standing() as found:
        yield found


@pytest.mark.parametrize(
    ("says", "level", "words"), [(None, "ok", "works, its token"), (400, "fail", "login refused, 400")]
)
def test_doctor_tells_whether_a_login_works(
    run: Run, site: Path, ledger: Ledger, house: tuple[House, str, str], says: int | None, level: str, words: str
) -> None:
    vendor, _, door = house
    if says:
        vendor.says["/login"].append((says, {"message": "tok-2 is wrong"}))
    path = site / "connectors/acme_portal/connector.yaml"
    text = path.read_text().replace('/token"\n    json', '/login"\n    json').replace("access_token", "idToken")
    path.write_text(
        text.replace("body.refresh_token", "body.refreshToken").replace("body.expires_in", "body.expiresIn")
    )
    settings = site / "config/connections.yaml"
    allowed = settings.read_text().replace("connector: acme_portal", "connector: acme_portal\n    allow: [127.0.0.1]")
    settings.write_text(allowed.replace("https://login.example", door))
    before = run("doctor", status=1).output
    assert vendor.asked == [] and "login of portal" not in before
    (line,) = [one for one in run("doctor", "--login", status=1).output.splitlines() if "login of portal" in one]
    assert line.startswith(level) and words in line
    assert "tok-2" not in line
