"""JSON in and out without damage."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.jsontext import dumps, loads
from app.errors import DataError

scalars = st.none() | st.booleans() | st.integers() | st.text() | st.decimals(-(10**12), 10**12, places=4)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    assert loads(dumps(value)) == value


@pytest.mark.parametrize("number", ["12.10", "0.1", "1.0", "123456789012345678901234567890", "-0.00", "1E+2"])
def test_numbers_keep_every_digit(number: str) -> None:
    assert loads(number) == Decimal(number)
    assert str(loads(dumps(Decimal("12.10")))) == "12.10"


@pytest.mark.parametrize("text", ["1e999999999", "1E-999999999", "9" * 5000, "NaN", "Infinity", "{", "", '{"a":1}x'])
def test_what_is_no_json_or_would_fill_the_memory_is_refused_in_words(text: str) -> None:
    with pytest.raises(DataError):
        loads(text)


def test_deep_nesting_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="nested too deeply"):
        loads("[" * 100_000)


def test_broken_utf8_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="not UTF-8: byte 1"):
        loads(b'"\xff"')


@settings(deadline=None)
@given(
    st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20), st.data()
)
def test_a_damaged_text_is_read_like_the_standard_library_reads_it_or_refused(value: Any, data: st.DataObject) -> None:
    text = bytearray(dumps(value))
    for _ in range(data.draw(st.integers(0, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(
            st.sampled_from(b'0123456789.eE+-"\\,:[]{} ntfu\xc3\xff')
        )
    try:
        expected = json.loads(text.decode(), parse_float=Decimal, parse_constant=int)
    except ValueError:
        with pytest.raises(DataError):
            loads(bytes(text))
    else:
        try:
            assert repr(loads(bytes(text))) == repr(expected)
        except DataError as error:
            assert "out of all bounds" in str(error)


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\u0000"', '{"a":1,"a":2}', "18446744073709551616", "-" + "9" * 400, "-0"]
)
def test_what_libraries_differ_in_is_read_as_ever(text: str) -> None:
    assert loads(text) == loads(text.encode()) == json.loads(text)
