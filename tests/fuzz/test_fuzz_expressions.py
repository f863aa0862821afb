"""Any text and any expression: it is told as a fault of the file or of the message, or it gives JSON. Nothing else."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.expression_code import Code
from app.core.expression_values import KNOWN
from app.core.expressions import Environment, Where
from app.core.filters import EXAMPLE_TABLES, TESTS, all_filters
from app.core.template_text import TemplateFault, take_apart
from app.errors import ConfigError, DataError
from tests.fuzz.kit import TEXTS, ends, fuzz, json_values

WHERE = Where("mappings/x.yaml", 7)
ENVIRONMENT = Environment(EXAMPLE_TABLES, time.monotonic)
NAMES = ("x", "y", "return", "loop", "run", "left", "t1", "n1", "OMIT", "__builtins__")
#: Every filter and test there is, by its name; a new one is tried by itself.
FILTERS = sorted(all_filters(EXAMPLE_TABLES))
TEST_NAMES = sorted(test.name for test in TESTS)


def outcome(node: Any, names: dict[str, Any]) -> Any:
    """What a value gives; None when it is refused in one of the two ways in which it may be."""
    with ends():
        try:
            value = ENVIRONMENT.compile_value(node, where=WHERE, names=names.keys())
        except ConfigError as error:
            assert all(problem.what for problem in error.problems)
            return None
        try:
            made = value.render(names, "body")
        except DataError as error:
            assert error.what and error.path.startswith("body")
            return None
    closed(value.kept["code"])
    plain(made)
    return made


def plain(value: Any) -> None:
    """It is JSON to the last leaf: no object of Python came out."""
    if type(value) is dict:
        for key, item in value.items():
            assert type(key) is str
            plain(item)
    elif type(value) is list:
        for item in value:
            plain(item)
    else:
        assert value is None or type(value) in (str, int, bool, Decimal)


def closed(code: Code) -> None:
    """It reaches its own functions, constants, filters and the few names on the list; no module and no other class."""
    assert code.globals["__builtins__"] == {}
    for name, held in code.globals.items():
        if name in KNOWN:
            assert held is KNOWN[name]
        elif name != "__builtins__":
            assert MADE.fullmatch(name), name
            assert not isinstance(held, type | ModuleType)


MADE = re.compile("(c|t|value|each|part)[0-9]*")


# --- text that is no expression, or might be one ---------------------------------------------------

TOKENS = st.sampled_from(
    [
        *(
            "x",
            "y",
            "x.a",
            "return",
            "loop",
            "omit",
            "self",
            "super",
            "caller",
            "namespace",
            "cycler",
            "lipsum",
            "range",
        ),
        *("'a'", '"b"', "'", '"', "\\", "'\\ud800'", "'\\x00'", "'\\N{DIGIT ONE}'", "'{0.__class__}'", "'%99999d'"),
        *("0", "1", "-1", "1.5", "1e5", "0x10", "1_0", "9" * 50, "true", "none", "None", "True"),
        *("(", ")", "[", "]", "{", "}", "{{", "}}", "{%", "%}", "{#", "#}", ",", ":", ".", "|", "~", "=", "**", "*"),
        *("+", "-", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not", "in", "is", "if", "else"),
        *("for", "set", "import", "include", "macro", "lambda", "await", "__class__", ".__mro__", "|attr('a')", "\n"),
        *("é", "ｘ", "\u2028", "\ud800", "\0", "²", "@", "$", "`", "!", "?", ";", "#", "[1:2, 3]", "[::]", "[:1]"),
        *(f"| {name}" for name in FILTERS),
        *(f"is {name}" for name in TEST_NAMES),
        *("('a')", "(1, 2)", "(attribute='a')", "(*x)", "(**y)", "(scope=1)", "(value=1)", "(a=1, a=2)", "| _join"),
    ]
)


@fuzz
@given(st.lists(TOKENS, max_size=12).map(" ".join) | st.lists(TOKENS, max_size=12).map("".join) | TEXTS, json_values())
def test_any_text_between_the_braces_is_an_expression_or_a_fault(text: str, x: Any) -> None:
    outcome(f"{{{{ {text} }}}}", {"x": x, "y": {"a": x}, "return": x})


@fuzz
@given(st.lists(TOKENS, max_size=12).map("".join))
def test_any_text_is_taken_apart_or_is_a_fault(text: str) -> None:
    with ends():
        try:
            pieces = take_apart(text)
        except TemplateFault as fault:
            assert str(fault)
        else:
            assert all(piece.text for piece in pieces)
            if not any(piece.is_expression for piece in pieces):
                assert "".join(piece.text for piece in pieces) == text
    outcome(text, {"x": 1})


# --- expressions of the right form, with every filter and test there is ----------------------------

LEAVES = st.one_of(
    st.sampled_from(["x", "y", "x.a", "x['items']", "x[0]", "y.a.b", "return", "omit", "x[-1]", "run", "t1", "loop"]),
    st.sampled_from(
        ["0", "1", "-1", "7", "1000", "''", "'a'", "'items'", "'EUR'", "'1.50'", "true", "none", "[]", "{}"]
    ),
    st.sampled_from(
        ["'2026-11-22'", "'reasons'", "'gt'", "'upper'", "'map'", "'a.b'", "'-1d'", "9999999999999999999999"]
    ),
    TEXTS.map(lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("{{", "") + "'"),
)
SIGNS = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"]
)


def _more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    args = st.lists(inner, max_size=3)
    named = st.sampled_from(["attribute", "default", "reverse", "scope", "value", "self", "a"])
    return st.one_of(
        st.builds("({}) | {}({})".format, inner, st.sampled_from(FILTERS), args.map(", ".join)),
        st.builds("({}) | {}".format, inner, st.sampled_from(FILTERS)),
        st.builds("({}) | {}({}={})".format, inner, st.sampled_from(FILTERS), named, inner),
        st.builds("({}) | {}(*{}, **{})".format, inner, st.sampled_from(FILTERS), inner, inner),
        st.builds("({}) is {}({})".format, inner, st.sampled_from(TEST_NAMES), args.map(", ".join)),
        st.builds("({} {} {})".format, inner, SIGNS, inner),
        st.builds("({} < {} > {})".format, inner, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({}, {})".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({})[{}:{}:{}]".format, inner, inner, inner, inner),
        st.builds("({}).{}".format, inner, st.sampled_from(["a", "b", "items", "__class__", "format", "real"])),
    )


EXPRESSIONS = st.recursive(LEAVES, _more, max_leaves=10)
KEYS = st.sampled_from(["a", "b", "items", "id", "sku", "key"]) | TEXTS


@fuzz
@given(EXPRESSIONS, json_values(KEYS), json_values(KEYS))
def test_any_expression_gives_json_or_is_refused(text: str, x: Any, y: Any) -> None:
    outcome(f"{{{{ {text} }}}}", {"x": x, "y": y, "return": y, "run": x, "t1": y})


# --- whole values, with names and keys that try to be code -----------------------------------------

CODE = st.sampled_from(
    [
        *("a'b", 'a"b', "a\\", "a\nb", "a\rb", "a\0b", "\ud800", "\u2028", "a#b", "'''", '"""', "{t1}", "%(a)s"),
        *(
            "'] + __import__('os').system('true') + ['",
            "\\' + 1 #",
            "names",
            "run",
            "left",
            "made",
            "item",
            "i",
            "items",
        ),
        *(
            "class",
            "def",
            "None",
            "__builtins__",
            "ｅｘｅｃ",
            "exec",
            "é",
            "a" * 5000,
            "$$a",
            "x{",
            "\\N{BULLET}",
            "\x1a",
        ),
    ]
)
NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | CODE | EXPRESSIONS.map("{{{{ {} }}}}".format)
    | st.builds("<{}{{{{ {} }}}}>".format, CODE, LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(CODE, inner, max_size=3),
        st.fixed_dictionaries({"$if": inner, "$do": inner}),
        st.fixed_dictionaries({"$each": st.sampled_from(["{{ x }}", "{{ y }}", "{{ [x, y] }}"]) | inner,
                               "$as": st.sampled_from(["one", "two", "run", "t1", "item", "loop", "x", "é"]),
                               "$do": inner}),
        st.fixed_dictionaries({"$each": st.just("{{ x }}"), "$as": st.sampled_from(["one", "items", "made"]),
                               "$if": inner, "$do": inner}),
    ),
    max_leaves=8,
)  # fmt: skip


@fuzz
@given(NODES, st.lists(json_values(KEYS), max_size=3) | json_values(KEYS), json_values(KEYS))
def test_any_value_gives_json_or_is_refused(node: Any, x: Any, y: Any) -> None:
    outcome(node, {"x": x, "y": y})


@fuzz
@given(CODE | TEXTS, CODE | TEXTS)
def test_what_stands_in_a_file_or_message_never_becomes_code(text: str, key: str) -> None:
    made = outcome(
        {"fixed": [text.replace("{", "(").replace("}", ")")], "found": "{{ x[y] }}"}, {"x": {key: text}, "y": key}
    )
    assert made is not None
    assert made["found"] == text and made["fixed"] == [text.replace("{", "(").replace("}", ")")]


# --- nesting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [20, 100, 190, 210, 400, 1000, 10_000])
@pytest.mark.parametrize(
    ("before", "middle", "after"),
    [
        ("(", "x", ")"),
        ("[", "x", "]"),
        ("{'a': ", "x", "}"),
        ("not ", "x", ""),
        ("-", "x", ""),
        ("", "x", ".a"),
        ("", "x", "[0]"),
        ("", "x", " + x"),
        ("", "x", " ~ x"),
        ("", "x", " < 1"),
        ("", "x", " | text"),
        ("x if x else ", "x", ""),
        ("x and ", "x", ""),
        ("x | default(", "x", ")"),
        ("x[", "0", "]"),
    ],
)
def test_what_is_nested_too_deeply_is_told_and_what_is_not_works(
    depth: int, before: str, middle: str, after: str
) -> None:
    outcome(f"{{{{ {before * depth}{middle}{after * depth} }}}}", {"x": 1})
