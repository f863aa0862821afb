"""Values in paths: one is one segment, a list is several, and nothing leaves the path."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.expressions import compile_value
from app.core.paths import escaped
from app.core.source import Where
from app.errors import DataError

HERE = Where("connector.yaml", 1, 1)


def path(template: str, **args: Any) -> str:
    value = compile_value(template, where=HERE, names=frozenset({"args"}))
    return str(escaped(value, HERE).render({"args": args}, "path"))


def test_a_value_is_one_segment_whatever_is_in_it() -> None:
    assert path("/a/{{ args.id }}/b", id="#1/2 ü") == "/a/%231%2F2%20%C3%BC/b"


def test_a_list_is_as_many_segments_each_escaped() -> None:
    assert path("/a/{{ args.way }}", way=["returns", "1/2", 7]) == "/a/returns/1%2F2/7"
    assert path("{{ args.way }}", way=["returns", "x"]) == "returns/x"


@pytest.mark.parametrize("way", [[], [""], ["a", ""], ["a", ".."], ["..", "a"], ["."], [None], [["a"]], "", "..", {}])
def test_nothing_empty_and_no_dots_stand_in_a_path(way: Any) -> None:
    with pytest.raises(DataError):
        path("/a/{{ args.way }}", way=way)
