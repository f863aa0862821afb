"""The how-tos work, word for word, for somebody who begins with an empty folder."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.howto import Reader, _missing, free_ports, steps
from tests.e2e.stack import ROOT

PAGES = ("add-a-connector.md", "add-a-route.md", "answer-a-shop.md", "connect-your-erp.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_how_to_works_word_for_word(page: str, tmp_path: Path) -> None:
    ports = free_ports(ROOT / "docs" / page)
    todo = list(steps(ROOT / "docs" / page, ports))
    assert {step.kind for step in todo} == {"file", "commands", "output"}
    with ExitStack() as processes:
        reader = Reader(tmp_path, ports, processes)
        for step in todo:
            reader.do(step)


def test_a_how_to_that_promises_something_else_is_noticed() -> None:
    said = "12:00 called   acme: delivered, 201 (5 ms)\n12:01 result  done"
    assert _missing("…called acme: delivered, …\n… done\n", said) == ""
    assert _missing("… called acme: refused\n", said) == "… called acme: refused"
