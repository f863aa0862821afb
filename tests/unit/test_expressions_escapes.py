"""Known ways out of template sandboxes, and known ways to make one work for ever: each is refused, and soon."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.core import expression_values, filters_lists
from app.core.expressions import Environment, Where
from app.core.filter_kit import _steps_of
from app.errors import ConfigError, DataError
from tests.fuzz.kit import ends

WHERE = Where("mappings/x.yaml", 7)
NAMES = {"x": "text", "data": {"a": 1}, "many": list(range(3000)), "long": "a" * 400_000}


def render(node: Any, **more: Any) -> Any:
    names = {**NAMES, **more}
    environment = Environment(monotonic=time.monotonic)
    return environment.compile_value(node, where=WHERE, names=names.keys()).render(names, "body")


OUT = [
    # attributes
    "x.__class__.__mro__[1].__subclasses__()",
    "''.__class__.__base__",
    "x['__cl' ~ 'ass__']",
    "data['__init__']['__globals__']",
    "data.__getitem__",
    "(1).real",
    "(1).__class__",
    "[].append",
    "{}.keys",
    "true.__class__",
    "none.__class__",
    "x | attr('__class__')",
    "[x] | map('attr', '__class__')",
    "[x] | map(attribute='__class__.__mro__')",
    "[x] | selectattr('__class__') | first",
    "[x] | sort('__class__')",
    "[x] | unique('__class__')",
    "[data] | sum_by('a', '__class__.x')",
    "omit.__class__",
    "omit.__init__.__globals__",
    "x.a.b.__class__",
    "nothing.__class__",
    # calls and Jinja's own names
    "x.format(x)",
    "'{0.__class__}'.format(x)",
    "'{0.__class__}' | format(x)",
    "'%s' | format(x)",
    "x()",
    "range(10)",
    "lipsum()",
    "lipsum.__globals__",
    "cycler('a')",
    "cycler.__init__.__globals__.os",
    "joiner()",
    "namespace(a=1)",
    "dict(a=1)",
    "self",
    "self.__init__",
    "super()",
    "caller()",
    "varargs",
    "kwargs",
    "config",
    "request",
    "_",
    "__builtins__",
    "__import__('os')",
    "loop",
    "run",
    "environment",
    "x | map('map', 'attr', '__class__')",
    "x | eval",
    "x | safe",
    "x | xmlattr",
    "x | tojson",
    "x | pprint",
    "x | do",
    "x | _join",
    "[x] | _join",
    "x is callable",
    "x is filter",
    "[x] | select('callable') | first",
    # names of the code that an expression becomes
    "run.environment",
    "OMIT",
    "Missing",
    "NOT_THERE",
    "settle",
    "left",
    "t1",
    "c1",
    "value1",
    # arguments that Python would take by another name
    "x | upper(scope=1)",
    "x | upper(value=1)",
    "x | upper(self=1)",
    "x | replace(**{'old': 'a', 1: 'b'})",
    "x | upper(*[1, 2])",
    # statements
    "x }} {% include 'a' %} {{ x",
    "x }}{# {{ x",
    "import os",
    "x; import os",
    "lambda: x",
    "x := 1",
    "[a for a in x]",
    "await x",
    "x if",
    "f'{x}'",
    "x\\",
    "x[1:2, 3]",
]


@pytest.mark.parametrize("expression", OUT)
def test_no_way_out_is_open(expression: str) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        render(f"{{{{ {expression} }}}}")
    assert "<class" not in str(caught.value) and " object at 0x" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{% for x in many %}a{% endfor %}", "{% import 'os' as os %}", "{%set x=1%}", "{#a#}"]
)
def test_statements_are_no_part_of_the_language(text: str) -> None:
    with pytest.raises(ConfigError, match="not part of the language"):
        render(text)


HEAVY: list[Any] = [
    "{{ 'x' * 10**9 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ 2 << 10000000 }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ 'x' | indent(1000000000) }}",
    "{{ 'x' | wordwrap(1) }}",
    "{{ range(1000000000) | list }}",
    "{{ lipsum(1000000) }}",
    "{{ 'x' | zero_pad(1000000000) }}",
    "{{ 'x' | regex_replace('(a+)+$', '') }}",
    "{{ 1 | round(1000000000) }}",
    "{{ 1 | share(1000000000) }}",
    "{{ 1 | from_minor_units(999999999) }}",
    "{{ '1E+999999999' | decimal }}",
    "{{ 1E+999999999 }}",
    "{{ " + "9" * 5000 + " }}",
    "{{ 1000000000 | split_quantity(1) }}",
    "{{ [{'quantity': 1000000000}] | per_unit }}",
    "{{ [long, long, long] | join(long) }}",
    "{{ long | replace('a', long) }}",
    "{{ [many, many] | map('join', long) }}",
    # what is made on the way counts, although little of it is left at the end
    "{{ (" + "long + " * 150 + "'') | length }}",
    "{{ [" + "long[1:], " * 190 + "] | length }}",
    "{{ (" + "many + " * 190 + "[]) | length + 1 / 0 }}",
    "{{ (" + "long ~ " * 100 + "'') | length }}",
    "{{ [" + "long | upper, " * 100 + "] | length }}",
    # nothing is copied before it is known to be small enough
    "{{ (" + "long, " * 190 + ") }}",
    "{{ [omit, " + "long, " * 190 + "] }}",
    "{{ [" + "(" * 20 + "many" + ", )" * 20 + ", " + "many, " * 190 + "1 / 0] }}",
    {"$each": "{{ many }}", "$as": "a", "$do": {"$each": "{{ many }}", "$as": "b", "$do": 1}},
    {"$each": "{{ many }}", "$as": "a", "$if": "{{ many | sort | first > 0 }}", "$do": "{{ many }}"},
    {"$each": "{{ many }}", "$as": "a", "$do": "{{ many | map('text') | map('zero_pad', 1000) | first }}"},
]


@pytest.mark.parametrize("node", HEAVY, ids=lambda node: str(node)[:50])
def test_nothing_heavy_is_lifted(node: Any) -> None:
    with ends(), pytest.raises((ConfigError, DataError)):
        render(node)


@pytest.mark.parametrize("expression", ["(long, long, long)", "[omit, long, long, long]", "[(1, ), long, long, long]"])
def test_what_is_too_big_is_refused_before_it_is_copied(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[Any] = []
    monkeypatch.setattr(expression_values, "plain_json", copied.append)
    with pytest.raises(DataError, match="larger than"):
        render(f"{{{{ {expression} }}}}")
    assert copied == []


def test_what_is_looked_for_is_made_comparable_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(filters_lists, "key_of", lambda value: asked.append(value) or str(value))
    assert render("{{ rows | where('a', wanted) | length }}", rows=[{"a": 1}] * 50, wanted=[7]) == 0
    assert asked.count([7]) == 1


def test_comparisons_in_a_row_are_counted_before_python_cannot_take_them() -> None:
    assert render("{{ 1" + " < 2" * 0 + " < 2 < 3 < 4 < 5 < 6 < 7 < 8 < 9 < 10 < 11 }}") is True
    with pytest.raises(ConfigError, match="more than 10 comparisons in a row"):
        render("{{ 1" + " < 2" * 11 + " }}")


@pytest.mark.parametrize(
    ("expression", "gives"),
    [
        ("[1000000000000000000000000000000, 1] | sum", 10**30 + 1),
        ("(0 - 1000000000000000000000000000001) | abs", 10**30 + 1),
        ("['-1000000000000000000000000000000.1' | decimal] | map('abs') | first | text", "1" + "0" * 30 + ".1"),
        ("[{'k': 1, 'n': '1000000000000000000000000000000'}, {'k': 1, 'n': 1}] | sum_by('k', 'n') | join('', 'n')",
         "1" + "0" * 29 + "1"),
    ],
)  # fmt: skip
def test_sums_are_exact_however_many_digits_they_have(expression: str, gives: Any) -> None:
    assert render(f"{{{{ {expression} }}}}") == gives


@pytest.mark.parametrize("step", ["²", "\u0661", "9" * 5000, "-1", "1_0"])
def test_a_step_of_a_path_that_only_looks_like_a_number_leads_nowhere(step: str) -> None:
    assert render("{{ rows | map(attribute=step, default='-') }}", rows=[[1, 2]], step=step) == ["-"]


def test_a_path_from_a_message_is_not_remembered_for_ever() -> None:
    _steps_of.cache_clear()
    render("{{ rows | map(attribute=step, default='-') }}", rows=[{}], step="a." * 10_000)
    assert _steps_of.cache_info().currsize == 0
