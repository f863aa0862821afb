"""Every filter and test does what its examples say; the reference prints the same examples."""

from __future__ import annotations

import pytest

from app.core.exact import Refused, decimal_of, round_half_up
from app.core.expressions import Environment, Where
from app.core.filter_kit import Example
from app.core.filters import EXAMPLE_TABLES, TESTS, all_filters
from app.errors import ConfigError, DataError

SPECS = [*all_filters(EXAMPLE_TABLES).values(), *TESTS]
EXAMPLES = [(spec.name, example) for spec in SPECS for example in spec.examples]
ENVIRONMENT = Environment(EXAMPLE_TABLES)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda value: getattr(value, "expression", value))
def test_the_example_gives_what_it_says(name: str, example: Example) -> None:
    def run() -> object:
        node = "{{ " + example.expression + " }}"
        value = ENVIRONMENT.compile_value(node, where=Where("x.yaml", 1), names=example.given.keys())
        return value.render(example.given)

    if example.fails:
        with pytest.raises((DataError, ConfigError)) as caught:
            run()
        assert example.fails in str(caught.value)
    else:
        made = run()
        assert made == example.gives and type(made) is type(example.gives)


def test_every_filter_and_test_has_an_example() -> None:
    assert all(spec.examples and spec.does for spec in SPECS)


@pytest.mark.parametrize(
    "text", ["1e5", "0x10", "1_000", "", "-", "٣", "NaN", "inf", "1.2.3", "--1", "1-", True, None, []]
)
def test_what_only_looks_like_a_number_is_none(text: object) -> None:
    with pytest.raises(Refused):
        decimal_of(text)


@pytest.mark.parametrize(
    ("number", "rounded"), [("2.675", "2.68"), ("-2.675", "-2.68"), ("0.005", "0.01"), ("1", "1.00")]
)
def test_halves_are_rounded_away_from_zero(number: str, rounded: str) -> None:
    assert str(round_half_up(decimal_of(number), 2)) == rounded


def test_a_filter_with_wrong_arguments_says_how_it_is_written() -> None:
    value = ENVIRONMENT.compile_value("{{ 'a' | zero_pad }}", where=Where("x.yaml", 1), names=())
    with pytest.raises(DataError, match=r"it is written zero_pad\(width\)"):
        value.render({})


def test_sum_by_keeps_the_members_and_leaves_the_lines_as_they_were() -> None:
    lines = [{"sku": "A", "quantity": {"announced": 1}}, {"sku": "A", "quantity": {"announced": 2}}]
    value = ENVIRONMENT.compile_value(
        "{{ lines | sum_by(['sku', 'reason'], 'quantity.announced') }}", where=Where("x", 1), names=["lines"]
    )
    made = value.render({"lines": lines})
    assert made[0]["quantity"] == {"announced": 3} and len(made[0]["members"]) == 2
    assert lines[0] == {"sku": "A", "quantity": {"announced": 1}}
