"""`--set` on the command line: what stands in a fixture is changed, and text stays text."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest

from app.cli.payload import find_fixture, read_with, set_value


@pytest.mark.parametrize(
    ("before", "setting", "after"),
    [
        ({"a": "1"}, "a=2", {"a": "2"}),
        ({"a": 1}, "a=2", {"a": 2}),
        ({"a": 1}, "a=1e5x", {"a": "1e5x"}),
        ({"a": Decimal("1.0")}, "a=2.50", {"a": Decimal("2.50")}),
        ({"a": True}, "a=false", {"a": False}),
        ({}, "a=0012", {"a": "0012"}),
        ({}, "a=1e5", {"a": "1e5"}),
        ({"a": None}, "a=1", {"a": "1"}),
        ({}, "a:=1", {"a": 1}),
        ({}, "a:=[1,2]", {"a": [1, 2]}),
        ({}, "a.b.c=x", {"a": {"b": {"c": "x"}}}),
        ({"a": [{"b": 1}]}, "a[0].b=2", {"a": [{"b": 2}]}),
        ({}, "a[0].b=x", {"a": [{"b": "x"}]}),
        ({"a": ["x"]}, "a[1]=y", {"a": ["x", "y"]}),
        ({"a": "x=y"}, "a=p=q", {"a": "p=q"}),
    ],
)
def test_a_path_is_set(before: Any, setting: str, after: Any) -> None:
    set_value(before, setting)
    assert before == after


@pytest.mark.parametrize("setting", ["a", "=x", "a..b=x", "a[x]=1", "a[7]=x", "a:={"])
def test_what_makes_no_sense_is_refused(setting: str) -> None:
    with pytest.raises((click.BadParameter, Exception)):
        set_value({"a": []}, setting)


def test_a_fixture_that_is_not_changed_is_sent_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'{ "a":  1.0 }\n')
    assert read_with(path, ()) == b'{ "a":  1.0 }\n'
    assert read_with(path, ("b=2",)) == b'{"a":1.0,"b":"2"}'


def test_a_missing_fixture_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match="no fixture 'nothing'"):
        find_fixture("nothing", None, tmp_path)
