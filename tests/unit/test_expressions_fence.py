"""The fence around expressions: nothing of Python can be reached, nothing huge can be made, nothing runs for ever."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.core.expressions import Environment, Where
from app.errors import ConfigError, DataError

WHERE = Where("mappings/x.yaml", 7)


def render(node: Any, **names: Any) -> Any:
    return (
        Environment(monotonic=time.monotonic).compile_value(node, where=WHERE, names=names.keys()).render(names, "body")
    )


@pytest.mark.parametrize(
    "node",
    [
        "{{ x.__class__ }}",
        "{{ x['__class__'] }}",
        "{{ data.__init__.__globals__ }}",
        "{{ omit.__class__ }}",
        "{{ loop }}",
        "{{ x | map(attribute='__class__') | first }}",
        "{{ [x] | map(attribute='__class__') }}",
        "{{ [x] | sum('__class__.__mro__') }}",
        "{{ x.upper }}",
        "{{ x.format }}",
    ],
)
def test_no_attribute_of_an_object_can_be_reached(node: str) -> None:
    with pytest.raises((DataError, ConfigError)):
        render(node, x="text", data={"a": 1})


@pytest.mark.parametrize(
    "node",
    [
        "{{ 'a' * 10 }}",
        "{{ [1] * 10 }}",
        "{{ '%099999d' % 1 }}",
        "{{ 'a' | zero_pad(999999999) }}",
        "{{ 'a' | cut(-1) }}",
        "{{ x | replace('a', x) }}",
        "{{ [x, x] | join(x) }}",
        "{{ [x, x, x] }}",
        "{{ {'a': x, 'b': x, 'c': x} }}",
        "{{ x ~ x ~ x }}",
        "{{ x + x + x }}",
        "{{ 1 / 0 }}",
        "{{ n * n }}",
        "{{ (big | sum) * (big | sum) }}",
        {"$each": "{{ many }}", "$as": "a", "$do": {"$each": "{{ many }}", "$as": "b", "$do": "{{ a }}"}},
        {"$each": "{{ many }}", "$as": "a", "$do": "{{ many }}"},
    ],
)
def test_nothing_huge_is_made(node: Any) -> None:
    started = time.monotonic()
    with pytest.raises(DataError):
        render(node, x="a" * 400_000, many=list(range(3000)), n=10**600, big=[10**600])
    assert time.monotonic() - started < 5


def test_rendering_ends_at_its_deadline() -> None:
    ticks = iter(range(10_000_000))
    environment = Environment(monotonic=lambda: next(ticks) * 0.1)
    node = {"$each": "{{ x }}", "$as": "a", "$do": "{{ a }}"}
    value = environment.compile_value(node, where=WHERE, names=["x"])
    with pytest.raises(DataError, match="took longer than 2 s"):
        value.render({"x": list(range(10_000))})
