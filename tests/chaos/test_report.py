"""The verdict is told as it is, work resumes in time or is called late, and the command says what it cannot do."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from app.cli import main
from chaos.fault_kit import Fault
from chaos.plan import Options, Recorded, Try, Violation
from chaos.report import as_json, lines
from chaos.resume import MOST_S, resumes
from chaos.run import Result, plans
from chaos.stage import Stage

OPTIONS = Options(seed=3, events=20, seconds=9.0, faults=("kill_web",), postgres=False)


class Blow(Fault):
    """A fault that was."""

    name, about = "blow", "for tests"

    def __init__(self, began: float, ended: float) -> None:
        super().__init__({})
        self.began_at, self.ended_at = began, ended

    def _break(self, stage: Stage) -> None:
        """It was long ago."""


def effect(at: float, effect: str = "announced") -> Recorded:
    return Recorded("warehouse", 1, at, at, "announce_return", "/returns", {}, {}, 201, effect)


def sent(at: float) -> Try:
    return Try("shop", "R-1", "e-1", at, 0.1, 200)


def measured(faults: list[Fault], effects: list[float], until: float = 1_000.0) -> Any:
    return resumes(faults, [sent(until)], [effect(at) for at in effects], until)


def test_the_time_counts_from_the_end_of_a_fault_to_the_next_effect() -> None:
    found = measured([Blow(10, 20)], [5, 19, 23.5])
    assert found.longest_s == 3.5 and list(found.after.values()) == [3.5] and not found.violations


def test_what_overlaps_counts_from_the_end_of_all() -> None:
    found = measured([Blow(10, 20), Blow(15, 60), Blow(59, 61)], [62])
    assert sorted(found.after.values()) == [1, 1, 1] and not found.violations


def test_the_time_of_faults_that_begin_before_anything_took_effect_does_not_count() -> None:
    found = measured([Blow(10, 20), Blow(22, 50), Blow(45, 60)], [61])
    assert list(found.after.values()) == [3, 1, 1] and not found.violations
    [violation] = measured([Blow(10, 20), Blow(200, 210)], [20 + MOST_S + 1, 211]).violations
    assert violation.kind == "resume"


def test_work_that_does_not_go_on_is_a_violation() -> None:
    late, never = measured([Blow(10, 20)], [20 + MOST_S + 1]), measured([Blow(10, 20)], [1])
    for found in (late, never):
        assert [one.kind for one in found.violations] == ["resume"] and "blow" in found.violations[0].what


def test_nothing_is_demanded_where_nobody_sends_any_more() -> None:
    assert not measured([Blow(10, 20)], [], until=15).after
    assert not resumes([Blow(10, 20)], [sent(12)], [], 100).after


def test_a_verdict_names_what_is_wrong_and_a_program_can_read_it() -> None:
    bad = Result(OPTIONS, violations=[Violation("lost", f"effect {n} is missing", "R-1", "e-1") for n in range(30)])
    told = list(lines(bad))
    assert told[-1].endswith("FAILED: 30 violations") and any("30 x lost" in line for line in told)
    assert sum("is missing (R-1, e-1)" in line for line in told) == 10
    read = json.loads(json.dumps(as_json([Result(OPTIONS), bad])))
    assert [run["passed"] for run in read["runs"]] == [True, False] and not read["passed"]
    assert len(read["runs"][1]["violations"]) == 30 and read["runs"][1]["violations"][0]["event"] == "e-1"
    assert list(lines(Result(OPTIONS)))[-1].endswith("passed")


def test_a_seed_makes_the_same_messages_of_every_source() -> None:
    first, again = ([(m.event_id, m.body, m.at_s) for p in plans(OPTIONS) for m in p.messages] for _ in range(2))
    assert first == again and len(first) >= 20
    other = plans(Options(4, 20, 9.0, (), False))
    assert [m.event_id for p in other for m in p.messages] != [one[0] for one in first]


def test_the_command_lists_the_faults_and_knows_no_others() -> None:
    listed = CliRunner().invoke(main, ["chaos", "--list"])
    assert listed.exit_code == 0 and "kill_web" in listed.output and "clock_back" in listed.output
    unknown = CliRunner().invoke(main, ["chaos", "--faults", "earthquake"])
    assert unknown.exit_code == 2 and "earthquake" in unknown.output and "--list" in unknown.output
