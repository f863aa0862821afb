"""`check` finds each kind of mistake at its line, says what is wrong and what to do, and finds nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from app.adapters.files import check
from app.core.yamltext import parse_yaml
from tests.unit.site_kit import ASKED as FILES
from tests.unit.site_kit import ENV, write


@dataclass(frozen=True)
class Mistake:
    """One entry of mistakes.yaml, which says what the fields mean."""

    name: str
    file: str
    old: str
    new: str
    told: str
    todo: str = ""
    at: str = ""
    others: int = 0


def _mistakes() -> list[Mistake]:
    file = Path(__file__).with_name("mistakes.yaml")
    source, problems = parse_yaml(file.read_text(encoding="utf-8"), file.name)
    assert not problems, problems
    return [Mistake(**entry) for entry in source.value["mistakes"]]


MISTAKES = _mistakes()
pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site without mistakes, as each test leaves it."""
    return write(tmp_path_factory.mktemp("site"), FILES)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_found_at_its_line_with_what_to_do(mistake: Mistake, site: Path) -> None:
    assert mistake.old in FILES[mistake.file], "the mistake is made nowhere"
    files = {**FILES, mistake.file: FILES[mistake.file].replace(mistake.old, mistake.new, 1)}
    try:
        problems = check(write(site, {mistake.file: files[mistake.file]}), ENV)
    finally:
        write(site, {mistake.file: FILES[mistake.file]})
    shown = "\n".join(map(str, problems))
    found = [problem for problem in problems if mistake.told in problem.what]
    assert len(found) == 1, shown or "nothing was found"
    assert mistake.todo in found[0].todo, shown
    assert len(problems) == 1 + mistake.others, shown
    text, mark = files[found[0].file], mistake.at or mistake.new
    assert mark in text, f"told of {found[0].file}: {shown}"
    assert found[0].line == text[: text.index(mark)].count("\n") + 1, shown
    assert found[0].column >= 1


def test_there_are_many_kinds_of_them() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) > 80


def test_all_mistakes_of_a_site_are_told_at_once(tmp_path: Path) -> None:
    names = ("bad duration", "unknown connector", "unknown change", "unknown filter", "unknown table")
    kept = [mistake for mistake in MISTAKES if mistake.name in names]
    files = dict(FILES)
    for mistake in kept:
        files[mistake.file] = files[mistake.file].replace(mistake.old, mistake.new, 1)
    told = "\n".join(map(str, check(write(tmp_path, files), ENV)))
    assert len(kept) == len(names) and all(mistake.told in told for mistake in kept), told
