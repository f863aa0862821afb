"""Differences between JSON values, as a failing case shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.core.difference import differences


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": "1"}, {"a": 1}, ['a: expected "1", got 1']),
        ({"a": 1}, {"a": True}, ["a: expected 1, got true"]),
        ({"a": Decimal("10.50")}, {"a": Decimal("10.5")}, []),
        ({"a": 1}, {}, ["a: expected 1, got nothing"]),
        ({}, {"a": None}, ["a: not expected, got null"]),
        ({"a": None}, {"a": ""}, ['a: expected null, got ""']),
        ([1, 2], [1], ["[1]: expected 2, got nothing"]),
        ([1], [1, {"b": 2}], ['[1]: not expected, got {"b":2}']),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["a[0].b: expected 1, got 2"]),
        ("x", "y", ['it: expected "x", got "y"']),
    ],
)
def test_each_difference_names_its_path(expected: Any, actual: Any, said: list[str]) -> None:
    assert list(differences(expected, actual)) == said


def test_a_part_of_an_object_may_be_all_that_is_expected() -> None:
    actual = {"id": "1", "lines": [{"sku": "A", "quantity": 3}]}
    assert list(differences({"lines": [{"sku": "A"}]}, actual, subset=True)) == []
    assert list(differences({"lines": []}, actual, subset=True)) == [
        'lines[0]: not expected, got {"sku":"A","quantity":3}'
    ]


def test_a_long_value_is_cut() -> None:
    [said] = differences("x", "y" * 5000)
    assert len(said) < 300
