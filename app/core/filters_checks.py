"""Filters that look before something is done: which items are the same, and what must not go on."""

from __future__ import annotations

from typing import Any

from app.core.exact import Refused, text_of
from app.core.filter_kit import Example, Filter, at, key_of, rows
from app.core.sandbox import Missing

_ORDERS = {"orders": [{"lines": [{"sku": "A", "n": 1, "x": 9}, {"sku": "B", "n": 2}]}, {"lines": []}, {}]}


def _same_rows(value: Any, path: str, wanted: Any, keys: Any) -> list[Any]:
    paths = [str(key) for key in (keys if isinstance(keys, (list, tuple)) else [keys])]
    asked = _keys_of(rows(wanted, "same_rows"), paths)
    found = []
    for item in rows(value, "same_rows"):
        has = at(item, path)
        if isinstance(has, (list, tuple)) and _keys_of(list(has), paths) == asked:
            found.append(item)
    return found


def _keys_of(items: list[Any], paths: list[str]) -> list[str]:
    # What is missing and what is null are alike. Order does not count, how often something is there does.
    found = ([at(item, path) for path in paths] for item in items)
    return sorted(repr([None if isinstance(x, Missing) or x is None else key_of(x) for x in row]) for row in found)


def _refuse(value: Any) -> Any:
    raise Refused(text_of(value))


FILTERS = (
    Filter(
        "same_rows",
        "same_rows(path, rows, keys)",
        "The items whose list at a dotted path holds just these rows, compared by these keys, in any order.",
        _same_rows,
        (
            Example(
                "orders | same_rows('lines', [{'sku': 'B', 'n': 2}, {'sku': 'A', 'n': 1}], ['sku', 'n']) | length",
                1,
                _ORDERS,
            ),
            Example("orders | same_rows('lines', [{'sku': 'A', 'n': 1}], ['sku', 'n'])", [], _ORDERS),
        ),
    ),
    Filter(
        "refuse",
        "refuse",
        "Stops here with the text as the reason: for what must not be sent.",
        _refuse,
        (
            Example(
                "wanted if wanted <= shipped else ('only ' ~ shipped ~ ' were shipped') | refuse",
                fails="only 2 were shipped",
                given={"wanted": 3, "shipped": 2},
            ),
        ),
    ),
)
