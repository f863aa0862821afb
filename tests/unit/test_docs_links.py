"""The documentation holds no dead links, no command and no metric that is not there, and no place of work of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.cli import main
from app.core import counting
from app.web import metrics

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("", "docs", "docs/decisions", "connectors/*", "mappings", "config", "tests", "bench", "app/**")
PAGES = sorted({page for folder in FOLDERS for page in ROOT.glob(f"{folder}/*.md".lstrip("/"))})
HOW_TOS = [page for page in PAGES if page.parent == ROOT / "docs"] + [ROOT / "README.md"]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:`|^|&& |/bin/|sh: |: |; )backhaul ((?:--\w+ \S+ )*[a-z]+(?: [a-z]+)?)", re.MULTILINE)
_METRIC = re.compile(r"\bbackhaul_[a-z_]+\b")


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have, as the usual renderers make them."""
    headings = re.findall(r"^#+ +(.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(dead_links(page)) == []


def unknown_command(words: str) -> str:
    """What is wrong with the words after `backhaul`; "" when they name a command."""
    command: click.Command = main
    context = click.Context(main)
    for word in re.sub(r"--\w+ \S+ ", "", words).split():
        if not isinstance(command, click.Group):
            return ""
        found = command.get_command(context, word)
        if found is None:
            return words
        command = found
    return ""


@pytest.mark.parametrize("page", HOW_TOS, ids=ids)
def test_every_command_named_is_one_of_the_hub(page: Path) -> None:
    named = set(_COMMAND.findall(page.read_text(encoding="utf-8")))
    assert sorted(filter(None, map(unknown_command, named))) == []


def test_a_command_that_is_not_there_is_noticed() -> None:
    assert _COMMAND.findall("then `backhaul --site DIR fly R-1`") == ["--site DIR fly"]
    assert unknown_command("--site DIR fly") == "--site DIR fly"
    assert unknown_command("refs burn") == "refs burn"
    assert unknown_command("refs set") == unknown_command("trace r") == ""


def test_every_metric_named_is_one_of_the_hub() -> None:
    text = (ROOT / "docs" / "run-in-production.md").read_text(encoding="utf-8")
    named = set(_METRIC.findall(text))
    known = {name for name in vars(counting).values() if isinstance(name, str) and name.startswith("backhaul_")}
    known |= set(re.findall(r'"(backhaul_[a-z_]+)"', Path(metrics.__file__).read_text(encoding="utf-8")))
    assert named and named <= known
