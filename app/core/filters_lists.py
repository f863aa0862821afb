"""Filters that pick from lists, order and group them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from app.core.exact import Refused, added, decimal_of, is_number, kind_of, text_of
from app.core.filter_kit import MAX_ITEMS, NOT_GIVEN, Example, Filter, at, key_of, rows
from app.core.sandbox import Missing, Run, refuse_missing

_LINES = {"lines": [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}, {"sku": "A", "n": 3}]}


def _first(value: Any) -> Any:
    items = rows(value, "first")
    return items[0] if items else Missing("the list is empty: it has no first item")


def _last(value: Any) -> Any:
    items = rows(value, "last")
    return items[-1] if items else Missing("the list is empty: it has no last item")


def _length(value: Any) -> int:
    if isinstance(value, (str, dict)):
        return len(value)
    return len(rows(value, "length"))


def _list(value: Any) -> list[Any]:
    return rows(value, "list")


def _reverse(value: Any) -> list[Any]:
    return rows(value, "reverse")[::-1]


def join(value: Any, separator: str = "", attribute: str | None = None) -> str:
    """The items as one text. Raises `Refused` for items that are no text."""
    items = rows(value, "join")
    picked = items if attribute is None else [at(item, attribute) for item in items]
    for item in picked:
        refuse_missing(item)
    texts = [text_of(item) for item in picked]
    separator = text_of(separator)
    if sum(map(len, texts)) + len(separator) * len(texts) > 1_000_000:
        raise Refused("the result is larger than 1,000,000 characters")
    return separator.join(texts)


def _unique(value: Any, attribute: str | None = None) -> list[Any]:
    seen: dict[Any, Any] = {}
    for item in rows(value, "unique"):
        seen.setdefault(key_of(_present(item, attribute)), item)
    return list(seen.values())


def _sort(value: Any, attribute: str | None = None, reverse: bool = False) -> list[Any]:
    items = rows(value, "sort")
    keys = [_present(item, attribute) for item in items]
    if not (all(is_number(key) for key in keys) or all(isinstance(key, str) for key in keys)):
        raise Refused("sort needs only numbers or only texts")
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=bool(reverse))
    return [items[index] for index in order]


def _present(item: Any, attribute: str | None) -> Any:
    found = item if attribute is None else at(item, attribute)
    refuse_missing(found)
    return found


def _where(value: Any, key: str, wanted: Any = NOT_GIVEN) -> list[Any]:
    found = []
    asked = NOT_GIVEN if wanted is NOT_GIVEN else key_of(wanted)
    for item in rows(value, "where"):
        has = at(item, key)
        if asked is NOT_GIVEN:
            keep = not isinstance(has, Missing) and has not in (None, "", [], {})
        else:
            keep = not isinstance(has, Missing) and key_of(has) == asked
        if keep:
            found.append(item)
    return found


def _groups(value: Any, keys: Any, name: str) -> list[list[Any]]:
    paths = keys if isinstance(keys, (list, tuple)) else [keys]
    groups: dict[Any, list[Any]] = {}
    for item in rows(value, name):
        if not isinstance(item, dict):
            raise Refused(f"{name} needs a list of objects, one item is {kind_of(item)}")
        # A key that is missing groups with others that lack it: lines without a reason are alike in that.
        found = (at(item, path) for path in paths)
        groups.setdefault(tuple(None if isinstance(x, Missing) else key_of(x) for x in found), []).append(item)
    return list(groups.values())


def _group_by_key(value: Any, key: str) -> list[dict[str, Any]]:
    made = []
    for members in _groups(value, key, "group_by_key"):
        found = at(members[0], key)
        made.append({"key": None if isinstance(found, Missing) else found, "items": members})
    return made


def _sum_by(value: Any, keys: Any, quantity: str) -> list[dict[str, Any]]:
    return [_summed(members, str(quantity)) for members in _groups(value, keys, "sum_by")]


def _summed(members: list[Any], path: str) -> dict[str, Any]:
    first: dict[str, Any] = copy.copy(members[0])
    amounts = [_present(member, path) for member in members]
    *way, last = path.split(".")
    holder = first
    for step in way:
        holder[step] = dict(holder[step])
        holder = holder[step]
    holder[last] = added(decimal_of(amount) for amount in amounts)
    first["members"] = members
    return first


def _flatten(value: Any) -> Iterator[Any]:
    for item in rows(value, "flatten"):
        if isinstance(item, (list, tuple)):
            yield from item
        else:
            yield item


def _unnest(value: Any, path: str, name: str) -> Iterator[dict[str, Any]]:
    for item in rows(value, "unnest"):
        inner = at(item, path)
        if isinstance(inner, Missing) or inner is None:
            continue
        # Only the plain values: a copy of everything for each inner item would grow with the square of the lists.
        outer = {key: one for key, one in item.items() if not isinstance(one, (dict, list))}
        for each in rows(inner, "unnest"):
            if not isinstance(each, dict):
                raise Refused(f"unnest needs lists of objects, one item is {kind_of(each)}")
            yield {**each, str(name): outer}


def _items(value: Any) -> list[list[Any]]:
    if not isinstance(value, dict):
        raise Refused(f"items needs an object, not {kind_of(value)}")
    return [[key, item] for key, item in value.items()]


def _map(scope: Run, value: Any, name: str = "", *args: Any, attribute: str | None = None, **named: Any) -> list[Any]:
    items = rows(value, "map")
    if attribute is not None:
        has_default = "default" in named
        found = [at(item, attribute) for item in items]
        return [named["default"] if has_default and isinstance(x, Missing) else x for x in found]
    apply = scope.environment.filter(name)
    if len(items) > MAX_ITEMS:
        raise Refused(f"more than {MAX_ITEMS:,} items")
    return [apply(scope, item, *args, **named) for item in items]


FILTERS = (
    Filter(
        "first",
        "first",
        "The first item.",
        _first,
        (Example("[7, 8] | first", 7), Example("[] | first | default('none')", "none")),
    ),
    Filter("last", "last", "The last item.", _last, (Example("[7, 8] | last", 8),)),
    Filter("length", "length", "How many items, keys or characters.", _length, (Example("[7, 8] | length", 2),)),
    Filter(
        "list",
        "list",
        "The value, if it is a list; an error if not.",
        _list,
        (Example("[1] | list", [1]), Example("'ab' | list", fails="needs a list")),
    ),
    Filter("reverse", "reverse", "The list backwards.", _reverse, (Example("[1, 2] | reverse", [2, 1]),)),
    Filter(
        "join",
        "join(separator, attribute)",
        "The items as one text, or what is at a dotted path of each.",
        join,
        (Example("[1, 'b'] | join('-')", "1-b"), Example("lines | join(',', 'sku')", "A,B,A", _LINES)),
    ),
    Filter(
        "unique",
        "unique(attribute)",
        "Each value once, the first of equals; case matters.",
        _unique,
        (Example("['a', 'A', 'a'] | unique", ["a", "A"]),),
    ),
    Filter(
        "sort",
        "sort(attribute, reverse=false)",
        "Ordered by value or by what is at a dotted path.",
        _sort,
        (Example("[3, 1] | sort", [1, 3]), Example("lines | sort('sku') | join('', 'n')", "132", _LINES)),
    ),
    Filter(
        "where",
        "where(key, value)",
        "The items whose key equals the value; without a value those where the key is filled.",
        _where,
        (
            Example("lines | where('sku', 'A') | length", 2, _LINES),
            Example("lines | where('note') | length", 0, _LINES),
        ),
    ),
    Filter(
        "sum_by",
        "sum_by(keys, quantity)",
        "Equal items as one: the first of each group with its quantity summed; `members` holds the group.",
        _sum_by,
        (
            Example("lines | sum_by('sku', 'n') | join(' ', 'n')", "4 2", _LINES),
            Example("(lines | sum_by(['sku'], 'n') | first).members | length", 2, _LINES),
        ),
    ),
    Filter(
        "group_by_key",
        "group_by_key(key)",
        "Groups as a list of {key, items}, in the order of their first items.",
        _group_by_key,
        (Example("lines | group_by_key('sku') | join(',', 'key')", "A,B", _LINES),),
    ),
    Filter(
        "flatten", "flatten", "A list of lists as one list.", _flatten, (Example("[[1], [2, 3]] | flatten", [1, 2, 3]),)
    ),
    Filter(
        "unnest",
        "unnest(path, name)",
        "The lists at a path of all items as one list; each inner item knows its outer one's plain values as `name`.",
        _unnest,
        (
            Example(
                "boxes | unnest('lines', 'box')",
                [{"sku": "A", "box": {"id": 1}}, {"sku": "B", "box": {"id": 2}}],
                {"boxes": [{"id": 1, "lines": [{"sku": "A"}]}, {"id": 2, "lines": [{"sku": "B"}]}, {"id": 3}]},
            ),
            Example("[{'lines': [1]}] | unnest('lines', 'box')", fails="needs lists of objects"),
        ),
    ),
    Filter(
        "items", "items", "The [key, value] pairs of an object.", _items, (Example("{'a': 1} | items", [["a", 1]]),)
    ),
    Filter(
        "map",
        "map(attribute='path', default=…) or map('filter', …)",
        "What is at a dotted path of each item, or each item through a filter.",
        _map,
        (
            Example("lines | map(attribute='sku') | unique", ["A", "B"], _LINES),
            Example("['a', 'b'] | map('upper')", ["A", "B"]),
        ),
        with_scope=True,
    ),
)
