"""What is different between two JSON values, path by path, for people who read test results."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.core.jsontext import dump_text
from app.model import Json

_SHOWN = 200
_MISSING = object()


def differences(expected: Json, actual: Json, *, subset: bool = False, path: str = "") -> Iterator[str]:
    """Each difference as "path: expected this, got that".

    With `subset`, keys that `expected` does not name may hold anything; lists are compared whole. Kinds count: the
    text "1" is not the number 1, and true is not 1.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            yield from _pair(value, actual.get(key, _MISSING), subset, f"{path}.{key}" if path else str(key))
        if not subset:
            for key in actual.keys() - expected.keys():
                yield f"{path}.{key}: not expected, got {_text(actual[key])}".removeprefix(".")
    elif isinstance(expected, list) and isinstance(actual, list):
        for index, value in enumerate(expected):
            got = actual[index] if index < len(actual) else _MISSING
            yield from _pair(value, got, subset, f"{path}[{index}]")
        for index in range(len(expected), len(actual)):
            yield f"{path}[{index}]: not expected, got {_text(actual[index])}"
    elif not _same(expected, actual):
        yield f"{path or 'it'}: expected {_text(expected)}, got {_text(actual)}"


def contains(name: str, part: str, text: str) -> Iterator[str]:
    """The one difference when `text` lacks `part`."""
    if part not in text:
        yield f"{name}: expected a text with {part!r}, got {text!r}"


def _pair(expected: Json, actual: Json, subset: bool, path: str) -> Iterator[str]:
    if actual is _MISSING:
        yield f"{path}: expected {_text(expected)}, got nothing"
    else:
        yield from differences(expected, actual, subset=subset, path=path)


def _same(expected: Json, actual: Json) -> bool:
    return _kind(expected) == _kind(actual) and bool(expected == actual)


def _kind(value: Json) -> str:
    # A whole number and the same number with decimals are one value in JSON.
    return "number" if isinstance(value, int | Decimal) and not isinstance(value, bool) else type(value).__name__


def _text(value: Json) -> str:
    text = dump_text(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
