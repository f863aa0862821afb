"""Expressions: types are kept, texts are exact, what is missing is named, and nothing can get out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.expressions import Environment, Where, compile_value
from app.core.filters import EXAMPLE_TABLES
from app.errors import ConfigError, DataError, UnknownWord

WHERE = Where("mappings/x.yaml", 7)
RETURN: dict[str, Any] = {
    "number": "12E4",
    "orders": [{"number": "0000012E4"}],
    "customer": None,
    "lines": [{"sku": "A", "quantity": 1, "price": Decimal("4.10")}, {"quantity": 2}],
    "values": ["kept"],
    "items": "mine",
    "keys": {"get": 1},
}
ENVIRONMENT = Environment(EXAMPLE_TABLES)


def render(node: Any, **names: Any) -> Any:
    context = {"return": RETURN, **names}
    return ENVIRONMENT.compile_value(node, where=WHERE, names=context.keys()).render(context, "body")


def error(node: Any, **names: Any) -> str:
    with pytest.raises(DataError) as caught:
        render(node, **names)
    return str(caught.value)


def refused(node: Any, *names: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compile_value(node, where=WHERE, names=["return", *names])
    return str(caught.value)


ODD = [
    "12E4",
    "1_000",
    "0x10",
    "00123",
    "None",
    " 5 ",
    "1e5",
    "no",
    "true",
    "[]",
    "{{ x }}",
    "'a'",
    "4.10",
    "#1004800",
    "",
]


@pytest.mark.parametrize("text", ODD)
def test_odd_numbers_come_out_byte_exact(text: str) -> None:
    assert render("{{ x }}", x=text) == text
    assert render("a{{ x }}b", x=text) == f"a{text}b"


@given(st.text())
def test_any_text_comes_out_byte_exact_alone_within_text_and_in_lists(text: str) -> None:
    made = render(
        {
            "alone": "{{ x }}",
            "mixed": "<{{ x }}>",
            "joined": "{{ '' ~ x }}",
            "all": {"$each": "{{ [x] }}", "$as": "y", "$do": "{{ y }}"},
        },
        x=text,
    )
    assert made == {"alone": text, "mixed": f"<{text}>", "joined": text, "all": [text]}


@given(st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False, places=4), st.booleans(), st.none()))
def test_a_value_that_is_one_expression_keeps_its_type(value: Any) -> None:
    made = render("{{ x }}", x=value)
    assert made == value and type(made) is type(value)


def test_numbers_within_text_are_written_exactly() -> None:
    assert render("{{ a }} {{ b }} {{ c }}", a=10**20, b=Decimal("4.10"), c=True) == f"{10**20} 4.10 true"


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ("{{ 1 + 2 * 3 }}", 7),
        ("{{ 10 / 4 }}", Decimal("2.5")),
        ("{{ 10 / 5 }}", 2),
        ("{{ 7 // 2 }}", 3),
        ("{{ 7 % 4 }}", 3),
        ("{{ -return.lines[0].quantity }}", -1),
        ("{{ return.lines[0].price * 3 }}", Decimal("12.30")),
        ("{{ 'a' ~ 1 ~ return.lines[0].price }}", "a14.10"),
        ("{{ [1] + [2] }}", [1, 2]),
        ("{{ (1, 'a') }}", [1, "a"]),
        ("{{ {'a': 1} }}", {"a": 1}),
        ("{{ 'x' if return.number == '12E4' else omit }}", "x"),
        ("{{ return.number in ['12E4'] and not false }}", True),
        ("{{ return.number[:2] }}", "12"),
        ("{{ '}}' ~ '{{' }}", "}}{{"),
        ("{{ none }}", None),
    ],
)
def test_an_expression_gives_what_it_says(node: str, value: Any) -> None:
    made = render(node)
    assert made == value and type(made) is type(value)


def test_a_key_of_the_data_wins_over_any_method() -> None:
    assert render("{{ return.values[0] }}") == "kept"
    assert render("{{ return.items }}") == "mine"
    assert render("{{ return.keys.get }}") == 1


# --- what is missing -----------------------------------------------------------------------------


def test_a_missing_field_is_named_with_path_place_and_advice() -> None:
    node = {"lines": {"$each": "{{ return.lines }}", "$as": "line", "$do": {"sku": "{{ line.sku }}"}}}
    assert error(node) == (
        "body.lines[1].sku: return.lines[1].sku is missing (mappings/x.yaml:7); "
        "correct its source, or give a default: {{ … | default(…) }}"
    )


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ("{{ return.nothing }}", "return.nothing is missing"),
        ("{{ return.nothing.at.all }}", "return.nothing is missing"),
        ("{{ return.customer.email }}", "return.customer is null"),
        ("{{ return.lines[9].sku }}", "return.lines[9] is missing"),
        ("{{ return.nothing == 1 }}", "return.nothing is missing"),
        ("{{ return.nothing ~ 'a' }}", "return.nothing is missing"),
        ("{{ return.nothing | upper }}", "return.nothing is missing"),
        ("{{ 'a' | replace('a', return.nothing) }}", "return.nothing is missing"),
        ("{{ [return.nothing] }}", "return.nothing is missing"),
        ("{{ {'a': return.nothing} }}", "return.nothing is missing"),
        ("{{ 1 if return.nothing else 2 }}", "return.nothing is missing"),
        ("{{ return.nothing + 1 }}", "return.nothing is missing"),
        ("{{ return.nothing is none }}", "return.nothing is missing"),
        ("{{ return.lines | map(attribute='sku') }}", "'sku' is missing in an item"),
        ("a {{ return.nothing }}", "return.nothing is missing"),
        ("{{ [] | first }}", "the list is empty"),
    ],
)
def test_whatever_uses_what_is_missing_says_so(node: str, told: str) -> None:
    assert told in error(node)


def test_default_sees_through_missing_and_null_parents() -> None:
    assert render("{{ return.customer.address.city | default('?') }}") == "?"
    assert render("{{ return.nothing.at.all | default('?') }}") == "?"
    assert render("{{ return.lines[9].sku | default('?') }}") == "?"
    assert render("{{ return.number | default('?') }}") == "12E4"


def test_omit_leaves_fields_and_items_out_and_null_stays() -> None:
    node = {"a": "{{ return.nothing | default(omit) }}", "b": None, "c": ["{{ omit }}", 1], "d": "{{ [omit, 2] }}"}
    assert render(node) == {"b": None, "c": [1], "d": [2]}
    assert render("{{ omit }}") is None
    assert "omit within a text" in error("a {{ omit }}")


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_what_is_no_text_cannot_stand_within_one(value: Any) -> None:
    assert "cannot be written as text" in error("a {{ x }}", x=value)


# --- reserved words ------------------------------------------------------------------------------


def test_each_makes_one_value_for_each_item_and_if_chooses() -> None:
    node = {
        "$each": "{{ return.lines }}",
        "$as": "line",
        "$if": "{{ line.quantity > 1 }}",
        "$do": {"n": "{{ line.quantity }}", "of": "{{ loop.index }}/{{ loop.length }}"},
    }
    assert render(node) == [{"n": 2, "of": "2/2"}]


def test_each_in_each_names_the_whole_way() -> None:
    node = {"$each": "{{ x.a }}", "$as": "a", "$do": {"$each": "{{ a.b }}", "$as": "b", "$do": "{{ b.c }}"}}
    assert "body[1][0]: x.a[1].b[0].c is missing" in error(node, x={"a": [{"b": []}, {"b": [{}]}]})


def test_if_chooses_a_value_or_an_object() -> None:
    assert render({"a": {"$if": "{{ 1 > 2 }}", "$do": "x"}, "b": {"$if": "{{ true }}", "c": 1}}) == {"b": {"c": 1}}
    assert "is text, a condition is true or false" in error({"$if": "{{ 'false' }}", "$do": 1})


def test_each_over_something_else_says_so() -> None:
    assert "body.$each: text is no list" in error({"$each": "{{ return.number }}", "$as": "a", "$do": 1})


def test_a_doubled_dollar_is_a_key_with_one() -> None:
    assert render({"$$type": "x"}) == {"$type": "x"}


# --- what is refused before it runs --------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ("{{ retrun.number }}", "unknown name 'retrun', did you mean 'return'?"),
        ("{{ return.number | uper }}", "unknown filter 'uper', did you mean 'upper'?"),
        ("{{ return.number is strin }}", "unknown test 'is strin', did you mean 'string'?"),
        ("{{ return.lines | map('uper') }}", "unknown filter 'uper' in map(…), did you mean 'upper'?"),
        ("{{ return.lines | select('definde') }}", "unknown test 'definde' in select(…)"),
        ("{{ 'a' | table('reasons') }}", "unknown table 'reasons'"),
        (
            "{{ return.number.upper() }}",
            "upper(…) calls something, and nothing can be called, use the filter: x | upper",
        ),
        ("{{ return.number.startswith('#') }}", "write `x is startswith('…')`"),
        ("{{ range(10) }}", "range(…) calls something"),
        ("{{ ''.__class__.__mro__ }}", ""),
        ("{{ 1.5 }}", "1.5 would be inexact"),
        ("{{ 2 ** 8 }}", "** is not part of the language"),
        ("{{ 1 if true }}", "an inline if needs an else"),
        ("{{ }}", "{{ }} is empty"),
        ("{{ return.number", "{{ is not closed"),
        ("{{ 'a }}", "a quote in {{ is not closed"),
        ("return.number }}", "}} closes nothing"),
        ("{{- return.number }}", "{{- and -}} are not part"),
        ("{% for x in y %}", "{% … %} is not part of the language"),
        ("{# note #}", "write a YAML comment"),
        ("{{ 1 + }}", "is no expression"),
        ("{{ 1 2 }}", "is no expression"),
        ({"$eech": "{{ return.lines }}"}, "unknown word '$eech', did you mean '$each'?"),
        ({"$each": "{{ return.lines }}", "$do": 1}, "'$each' needs $as"),
        ({"$each": "{{ return.lines }}", "$as": "x"}, "'$each' needs $do"),
        ({"$each": "{{ return.lines }}", "$as": "return", "$do": 1}, "the name 'return' is taken"),
        ({"$each": "{{ return.lines }}", "$as": "Line", "$do": 1}, "'$as' takes a name"),
        ({"$each": "{{ return.lines }}", "$as": "x", "$do": 1, "y": 2}, "'y' cannot stand beside $each"),
        ({"$do": 1}, "'$do' needs $each or $if"),
        ({"$as": "x"}, "'$as' needs $each"),
        ({"{{ return.number }}": 1}, "a key cannot be an expression"),
    ],
)
def test_a_faulty_expression_is_refused_when_compiled(node: Any, told: str) -> None:
    if told:
        assert told in refused(node)
    else:
        assert "is missing" in error(node)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_value({"a": "{{ x }}", "b": ["{{ y }}", "{{ 1 | z }}"]}, where=WHERE, names=())
    assert len(caught.value.problems) == 3


# --- tables and sharing ---------------------------------------------------------------------------


def test_a_word_that_a_table_lacks_is_its_own_kind_of_error() -> None:
    with pytest.raises(UnknownWord) as caught:
        render({"reason": "{{ 'ugly' | table('reasons') }}"})
    assert caught.value.path == "body.reason" and caught.value.where == "mappings/x.yaml:7"
    assert "'reasons'" in caught.value.what and "'ugly'" in caught.value.what


def test_a_rendered_value_shares_nothing_that_changes_the_next_one() -> None:
    value = ENVIRONMENT.compile_value({"a": [1, "{{ x }}"]}, where=WHERE, names=["x"])
    first = value.render({"x": 1})
    first["a"].append(9)
    assert value.render({"x": 2}) == {"a": [1, 2]}


def test_the_line_break_of_a_block_scalar_does_not_make_text_of_an_expression() -> None:
    assert render("{{ x }}\n", x=[1]) == [1]
    assert render("a {{ x }}\n", x=1) == "a 1\n"


def test_a_number_too_big_to_be_written_out_is_refused() -> None:
    for node in ("a{{ x }}", "{{ x | text }}", "{{ x | money }}", "{{ x | int }}", "{{ [x] | sum }}", "{{ x + 1 }}"):
        assert "too big" in error(node, x=Decimal("1e999999999"))
