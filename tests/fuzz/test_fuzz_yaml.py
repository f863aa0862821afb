"""Any text as a file of the site: values with their places, or faults with theirs. Never anything else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.yamltext import MAX_DEPTH, parse_yaml
from tests.fuzz.kit import TEXTS, WORDS, ends, fuzz

PIECES = st.sampled_from(
    [
        *(
            "a",
            "b",
            "a: ",
            "- ",
            "? ",
            ": ",
            "\n",
            "\n  ",
            "\n    ",
            "\r\n",
            "\t",
            " ",
            ",",
            "[",
            "]",
            "{",
            "}",
            "'",
            '"',
        ),
        *(
            "|\n",
            ">\n",
            "|+9\n",
            "&a ",
            "*a",
            "<<: ",
            "<<",
            "!!python/object/apply:os.system ",
            "!t ",
            "!<x> ",
            "%YAML 9.9\n",
        ),
        *(
            "---\n",
            "...\n",
            "#",
            "# x\n",
            "~",
            "null",
            "true",
            "no",
            "0",
            "-0",
            "00123",
            "1_000",
            "4.10",
            "1e5",
            ".inf",
            "12:30",
        ),
        *(
            "2026-11-22",
            "\\",
            "\\x",
            '"\\ud800"',
            '"\\x00"',
            '"\\U0010ffff"',
            "{{ x }}",
            "$each: ",
            "${A}",
            "@",
            "`",
            "%",
        ),
        *(
            "\ufeff",
            "\u2028",
            "\x85",
            "\x00",
            "\x1b",
            "\ud800",
            "é",
            "🙂",
            "9" * 5000,
            "1." + "1" * 5000,
            "? [a]",
            "? {a: b}",
        ),
    ]
)


def read(text: str) -> None:
    with ends():
        source, problems = parse_yaml(text, "x.yaml")
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 2
    for problem in problems:
        assert problem.file == "x.yaml" and problem.what and problem.todo
        assert 1 <= problem.line <= lines and problem.column >= 1
    if not problems:
        known(source.value, 0)


def known(value: Any, depth: int) -> None:
    assert depth <= MAX_DEPTH + 1
    if type(value) is dict:
        for key, item in value.items():
            assert type(key) is str
            known(item, depth + 1)
    elif type(value) is list:
        for item in value:
            known(item, depth + 1)
    else:
        assert value is None or type(value) in (str, int, bool, Decimal)


@fuzz
@given(st.lists(PIECES | WORDS, max_size=25).map("".join))
def test_any_text_of_yaml_signs_is_read_or_told(text: str) -> None:
    read(text)


@fuzz
@given(st.text(max_size=60) | TEXTS)
def test_any_text_is_read_or_told(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    "sign", ["[", "{", "{a: ", "- ", "? ", "- - ", "[{", "a: {", "&a [", "!a [", "*", "[?", '"', "'", "|", "a:\n ", "%"]
)
def test_twenty_thousand_openings_end_at_the_limit(sign: str) -> None:
    read(sign * 20_000)


@pytest.mark.parametrize(
    "text", ["a: " + "x" * 900_000, "[" + "1, " * 10_000 + "1]", "a: 1\n" * 5_000, '"' + "\\x41" * 100_000 + '"']
)
def test_long_files_end(text: str) -> None:
    read(text)


def test_half_a_character_pair_is_told_at_its_line() -> None:
    _, problems = parse_yaml("a: 1\nb: \ud800\n", "x.yaml")
    assert [(problem.line, "character" in problem.what) for problem in problems] == [(2, True)]
