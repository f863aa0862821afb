"""Strict YAML: numbers of orders stay as they are written, nothing is given twice, every value knows its line."""

from __future__ import annotations

import string
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.core.yamltext import parse_yaml

_LOOKS_LIKE = [
    *("00123", "1_000", "12:30", "no", "on", "yes", "off", "No", "y", "2026-01-01", "1e5", "12E4", "0x10", "0o17"),
    *("0b1", "+5", ".5", "5.", "1.5e3", ".inf", "NaN", "True", "NULL", "Null", "1,000"),
]


@pytest.mark.parametrize("text", _LOOKS_LIKE)
def test_what_only_looks_like_something_else_stays_text(text: str) -> None:
    assert parse_yaml(f"a: {text}", "f.yaml")[0].value == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1001", 1001), ("-5", -5), ("0", 0), ("12345678901234567890", 12345678901234567890)],
        *[("true", True), ("false", False), ("null", None), ("~", None), ("", None)],
    ],
)
def test_plain_numbers_and_words_have_their_type(text: str, value: object) -> None:
    made = parse_yaml(f"a: {text}", "f.yaml")[0].value["a"]
    assert made == value and type(made) is type(value)


def test_an_unquoted_decimal_keeps_its_digits() -> None:
    made = parse_yaml("a: 4.10", "f.yaml")[0].value["a"]
    assert isinstance(made, Decimal) and str(made) == "4.10"


def test_keys_are_always_text() -> None:
    assert parse_yaml("on: 1\n1001: 2\nnull: 3\n", "f")[0].value == {"on": 1, "1001": 2, "null": 3}


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' is given twice"),
        ("x:\n  - {k: 1, k: 2}\n", 2, 12, "the key 'k' is given twice"),
        ("a: &x 1\n", 1, 4, "the anchor &x"),
        ("a: *x\n", 1, 4, "the alias *x"),
        ("a: !!str 1\n", 1, 4, "the tag"),
        ("a: !thing {b: 1}\n", 1, 4, "the tag"),
        ("<<: {a: 1}\n", 1, 1, "merging with <<"),
        ("? [a]\n: 1\n", 1, 3, "a key must be plain text"),
        ("---\na: 1\n---\nb: 1\n", 3, 1, "a second document"),
        ("a: b: c\n", 1, 5, "no YAML"),
        ("a: 'x\n", 2, 1, "no YAML"),
        ("a: 1\n\tb: 2\n", 2, 1, "no YAML"),
        ("a: \x01\n", 1, 1, "no YAML"),
        ("[" * 100, 1, 62, "nested deeper"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, line: int, column: int, what: str) -> None:
    problems = parse_yaml(text, "f.yaml")[1]
    assert [(p.file, p.line, p.column) for p in problems] == [("f.yaml", line, column)]
    assert what in problems[0].what and problems[0].todo


def test_every_fault_is_told_at_once() -> None:
    problems = parse_yaml("a: &x 1\na: 2\nb: *x\n", "f")[1]
    assert [problem.line for problem in problems] == [1, 2, 3]


def test_every_value_and_key_knows_its_place() -> None:
    source, _ = parse_yaml("a:\n  - b: 1\n    c: 2\n", "f")
    assert str(source.where(("a", 0, "c"))) == "f:3" and source.where(("a", 0, "c")).column == 8
    assert source.where_key(("a", 0, "c")).column == 5
    assert source.where(("a", 0, "nothing")).line == 2


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40))
def test_quoted_text_comes_out_as_it_is(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    source, problems = parse_yaml(f"a: {quoted}", "f")
    if not problems and not set(text) & set("\u2028\u2029\ufeff\x85"):
        assert source.value == {"a": text}


@given(st.text(alphabet=string.digits + string.ascii_letters + "_.:+#-", min_size=1, max_size=15))
def test_a_plain_scalar_is_never_damaged(text: str) -> None:
    try:
        yaml.load(f"[{text}]", Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError):
        return
    source, problems = parse_yaml(f"[ {text} ]", "f")
    if problems or not isinstance(source.value, list) or len(source.value) != 1 or isinstance(source.value[0], dict):
        return
    made = source.value[0]
    if made is None:
        assert text in ("null", "~")
    elif isinstance(made, bool):
        assert text in ("true", "false")
    else:
        assert str(made) == text or text.startswith("#")
