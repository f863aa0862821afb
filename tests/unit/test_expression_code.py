"""The Python that values become: it gives what a slow reading gives, and no text of a file can be more than a text."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.core.expression_code import Code
from app.core.expression_compiler import _tree
from app.core.expression_faults import FAULTS
from app.core.expressions import Environment, Value, Where
from app.core.filters import EXAMPLE_TABLES
from app.errors import ConfigError, DataError
from tests.unit.slow_expressions import read

WHERE = Where("mappings/x.yaml", 7)
ENVIRONMENT = Environment(EXAMPLE_TABLES)
NAMES = ("x", "y", "z")


def compiled(node: Any, names: Any = NAMES) -> Value:
    return ENVIRONMENT.compile_value(node, where=WHERE, names=names)


# --- the same as a slow reading ------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "items"])
SCALARS = st.sampled_from([None, True, False, 0, 1, -3, 10**20, "", "a", "1", "4.10", "x y", Decimal("4.10"), "a.b"])
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
STEPS = st.sampled_from([".a", ".b", ".items", "['a']", "[0]", "[1]", "[-1]", "[true]", "[none]"])
LOOK_UPS = st.builds(lambda name, steps: name + "".join(steps), st.sampled_from(NAMES), st.lists(STEPS, max_size=3))
CONSTANTS = st.sampled_from(["0", "1", "2", "'a'", "''", "'1'", "'items'", "true", "none", "omit", "[]", "'reasons'"])
FILTERS = st.sampled_from(
    [
        *("default", "default", "default", "text", "upper", "decimal", "sum", "first", "length", "unique", "sort"),
        *("where", "flatten", "money", "table", "zero_pad", "replace", "split", "items", "abs", "reverse", "join"),
    ]
)
SIGNS = st.sampled_from(
    ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/", "//", "%", "~", "and", "or"]
)
TESTS = st.sampled_from(["defined", "undefined", "none", "string", "number", "mapping", "list", "boolean"])


def _more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    args = st.lists(inner | CONSTANTS, max_size=2).map(", ".join)
    return st.one_of(
        st.builds("({}) | {}({})".format, inner, FILTERS, args),
        st.builds("({}) | map(attribute='{}', default={})".format, inner, KEYS, inner),
        st.builds("({}) | {}('{}')".format, inner, st.sampled_from(["select", "reject"]), TESTS),
        st.builds("({} {} {})".format, inner, SIGNS, inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({}) is {}".format, inner, TESTS),
        st.builds("(not {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({}, {})".format, inner, inner),
        st.builds("{{{}: {}, 'b': {}}}".format, inner, inner, inner),
        st.builds("({}).a".format, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({})[{}:2]".format, inner, inner),
    )


EXPRESSIONS = st.recursive(LOOK_UPS | CONSTANTS, _more, max_leaves=8)


# No limit of time: what else the machine does decides how long an example takes.
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(EXPRESSIONS, DATA, DATA)
def test_an_expression_gives_what_the_slow_reading_gives_and_fails_where_that_fails(text: str, x: Any, y: Any) -> None:
    names = {"x": x, "y": y}  # z is a name that there might be
    try:
        value = compiled({"a": f"{{{{ {text} }}}}"})
    except ConfigError:
        assume(False)
    tree = _tree(text)
    try:
        expected = read(tree, names, value.sandbox)
    except FAULTS:
        with pytest.raises(DataError) as caught:
            value.render(names, "body")
        assert (caught.value.path, caught.value.where) == ("body.a", "mappings/x.yaml:7")
    else:
        made = value.render(names, "body")
        assert repr(made) == repr({} if type(expected).__name__ == "Omit" else {"a": expected})


# --- no text of a file is more than a text -------------------------------------------------------

HOSTILE = [
    "'] + __import__('os').system('true') + ['",
    '"""); import os; ("""',
    "a\nimport os\n",
    "\\' + 1 #",
    "{t1}",
    "OMIT",
    "run",
    "__builtins__",
    "\u2028x\x00\x0c\ud800",
    "%s",
    "'",
    "\\",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_texts_keys_and_names_come_out_as_they_are(text: str) -> None:
    written = "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    node = {
        f"k{text}": text.replace("{", "").replace("}", ""),
        "look": f"{{{{ x[{written}] }}}}",
        "seen": f"{{{{ x[{written}].a | default({written}) }}}}",
        "made": f"{{{{ {{{written}: 1}} }}}}",
        "mixed": f"<{{{{ {written} | replace({written}, 'b') }}}}>",
    }
    made = compiled(node).render({"x": {text: "found"}})
    assert made == {
        f"k{text}": text.replace("{", "").replace("}", ""),
        "look": "found",
        "seen": text,
        "made": {text: 1},
        "mixed": "<b>",
    }


@pytest.mark.parametrize("name", ["run", "left", "look", "t1", "n1", "OMIT", "type", "made", "i", "items", "é"])
def test_a_name_of_the_context_is_never_a_name_of_the_code(name: str) -> None:
    node = {
        "a": f"{{{{ {name} }}}}",
        "b": {"$each": "{{ x }}", "$as": "one", "$do": f"{{{{ {name} ~ one ~ loop.index }}}}"},
        "c": f"{{{{ {name} | default('-') }}}}",
    }
    assert compiled(node, ["x", name]).render({name: "v", "x": ["1"]}) == {"a": "v", "b": ["v11"], "c": "v"}


def test_the_code_reaches_no_builtin_and_no_module() -> None:
    value = compiled({"a": "{{ x | upper }}"})
    code = Code.of(value.root, value.sandbox)
    assert code.globals["__builtins__"] == {}
    assert not any(type(held).__name__ == "module" for held in code.globals.values())


# --- what the code must bear ---------------------------------------------------------------------


def test_nesting_of_any_usual_depth_is_no_trouble() -> None:
    choice = "0"
    for number in range(60):
        choice = f"{number} if x == {number} else ({choice})"
    each: Any = "{{ i29 }}"
    for number in reversed(range(30)):
        each = {"$each": f"{{{{ {f'i{number - 1}' if number else 'y'} }}}}", "$as": f"i{number}", "$do": each}
    chosen: Any = "{{ x }}"
    for _ in range(60):
        chosen = {"$if": "{{ x > 1 }}", "$do": chosen}
    deep: Any = 7
    for _ in range(30):
        deep = [deep]
    value = compiled({"choice": f"{{{{ {choice} }}}}", "each": each, "chosen": chosen})
    assert value.render({"x": 33, "y": deep}) == {"choice": 33, "each": deep, "chosen": 33}
    with pytest.raises(DataError) as caught:
        compiled({"a": [choice.join(["{{ ", " }}"]).replace("59 if", "x.no if")]}).render({"x": 59}, "body")
    assert caught.value.path == "body.a[0]" and "x.no is missing" in caught.value.what


def test_constants_where_nobody_would_write_them_warn_nobody() -> None:
    node = ["{{ 'a'[0] }}", "{{ 'a' if 'b' else 1 }}", "{{ omit }}", 1, "{{ 1 | default(omit) }}", "{{ not 'a' }}"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(node).render({}) == ["a", "a", 1, 1, False]


def test_a_fault_is_told_with_every_loop_around_it() -> None:
    inner = {"$each": "{{ a.b }}", "$as": "b", "$if": "{{ b.c is defined }}", "$do": {"d": ["{{ b.c | upper }}"]}}
    value = compiled({"all": {"$each": "{{ x }}", "$as": "a", "$do": inner}})
    with pytest.raises(DataError) as caught:
        value.render({"x": [{"b": []}, {"b": [{}, {"c": [1]}]}]}, "body")
    assert caught.value.path == "body.all[1][1].d[0]"
    assert "a list cannot be written as text in {{ b.c | upper }}" in caught.value.what
    with pytest.raises(DataError, match=r"x\[0\]\.b is missing"):
        value.render({"x": [{}]}, "body")


def test_what_two_threads_render_at_once_shares_nothing() -> None:
    value = compiled({"$each": "{{ x }}", "$as": "a", "$do": {"n": "{{ a }}", "of": "{{ loop.length }}"}})
    first, second = value.render({"x": [1]}), value.render({"x": [2, 3]})
    assert (first, second) == ([{"n": 1, "of": 1}], [{"n": 2, "of": 2}, {"n": 3, "of": 2}])
