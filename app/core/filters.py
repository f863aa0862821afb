"""The closed registry of filters and tests. A new one is a small function here, with examples that run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from jinja2.tests import TESTS as JINJA_TESTS

from app.core import (
    filters_amounts,
    filters_checks,
    filters_lists,
    filters_numbers,
    filters_text,
    filters_times,
    filters_words,
)
from app.core.exact import Refused, is_number, kind_of, shown, text_of
from app.core.filter_kit import NOT_GIVEN, Example, Filter, at, guarded, rows
from app.core.sandbox import Missing, Run, refuse_missing
from app.core.tables import Table
from app.errors import UnknownWord

Tables = Mapping[str, Mapping[str, str]]


def _default(value: Any, default: Any = "", empty: bool = False) -> Any:
    if isinstance(value, Missing) or value is None or (empty and not value):
        return default
    return value


def _select(scope: Run, value: Any, test: str = "", *args: Any) -> Iterator[Any]:
    return (item for item in rows(value, "select") if _holds(scope, item, test, args))


def _reject(scope: Run, value: Any, test: str = "", *args: Any) -> Iterator[Any]:
    return (item for item in rows(value, "reject") if not _holds(scope, item, test, args))


def _selectattr(scope: Run, value: Any, attribute: str, test: str = "", *args: Any) -> Iterator[Any]:
    return (item for item in rows(value, "selectattr") if _holds(scope, at(item, attribute), test, args))


def _rejectattr(scope: Run, value: Any, attribute: str, test: str = "", *args: Any) -> Iterator[Any]:
    return (item for item in rows(value, "rejectattr") if not _holds(scope, at(item, attribute), test, args))


def _holds(scope: Run, value: Any, test: str, args: tuple[Any, ...]) -> bool:
    if not test:
        refuse_missing(value)
        return bool(value)
    holds = scope.environment.test(test)
    scope.spend(0)
    return bool(holds(scope, value, *args))


def _table(tables: Tables) -> Callable[..., str]:
    def look_up(value: Any, name: str, default: Any = NOT_GIVEN) -> Any:
        table = tables.get(name)
        if table is None:
            raise Refused(f"there is no table {shown(name)}", "tables are the files in mappings/tables/")
        word = text_of(value)
        found = table.get(word)
        if found is not None:
            return found
        if default is NOT_GIVEN:
            file = table.file if isinstance(table, Table) else f"mappings/tables/{name}"
            raise UnknownWord(f"table {name!r} has no entry for {word!r}", todo=f"add {word!r} to {file}, then retry")
        return default

    return look_up


_LINES = {"lines": [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}]}
#: The tables of the examples.
EXAMPLE_TABLES: Tables = {"reasons": {"too_small": "SIZE"}}


def all_filters(tables: Tables) -> dict[str, Filter]:
    """Every filter by its name, looking words up in these tables."""
    specs = (
        *filters_text.FILTERS,
        *filters_words.FILTERS,
        *filters_times.FILTERS,
        *filters_numbers.FILTERS,
        *filters_amounts.FILTERS,
        *filters_lists.FILTERS,
        *filters_checks.FILTERS,
        *_CHOOSING,
        _table_filter(tables),
    )
    return {spec.name: spec for spec in sorted(specs, key=lambda spec: spec.name)}


def _table_filter(tables: Tables) -> Filter:
    return Filter(
        "table",
        "table(name, default)",
        "The word's translation in a file of mappings/tables/; without a default, a word not there parks the work.",
        _table(tables),
        (
            Example("'too_small' | table('reasons')", "SIZE"),
            Example("'ugly' | table('reasons', 'OTHER')", "OTHER"),
            Example("'ugly' | table('reasons')", fails="no entry for 'ugly'"),
        ),
    )


_CHOOSING = (
    Filter(
        "default",
        "default(value, empty=false)",
        "The value to use when something on the way is missing or null; with `true` also when it is empty, 0 or false.",
        _default,
        (
            Example("customer.email | default('unknown')", "unknown", {"customer": {}}),
            Example("customer.address.city | default(omit)", None, {"customer": None}),
            Example("'' | default('-', true)", "-"),
        ),
        takes_missing=True,
    ),
    Filter(
        "select",
        "select('test', …)",
        "The items for which the test holds; without a test those that are not empty.",
        _select,
        (Example("['a', ''] | select", ["a"]), Example("[1, 5] | select('gt', 2)", [5])),
        with_scope=True,
    ),
    Filter(
        "reject",
        "reject('test', …)",
        "The items for which the test does not hold.",
        _reject,
        (Example("[1, 5] | reject('gt', 2)", [1]),),
        with_scope=True,
    ),
    Filter(
        "selectattr",
        "selectattr('path', 'test', …)",
        "The items for which the test holds on what is at a dotted path.",
        _selectattr,
        (Example("lines | selectattr('n', 'gt', 1) | join('', 'sku')", "B", _LINES),),
        with_scope=True,
    ),
    Filter(
        "rejectattr",
        "rejectattr('path', 'test', …)",
        "The items for which the test does not hold on what is at a dotted path.",
        _rejectattr,
        (Example("lines | rejectattr('sku', 'eq', 'A') | join('', 'sku')", "B", _LINES),),
        with_scope=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Test:
    """What may stand behind `is`."""

    name: str
    does: str
    call: Callable[..., bool]
    examples: tuple[Example, ...] = ()
    takes_missing: bool = False


def _startswith(value: Any, prefix: Any) -> bool:
    return text_of(value).startswith(text_of(prefix))


def _endswith(value: Any, suffix: Any) -> bool:
    return text_of(value).endswith(text_of(suffix))


def _in(value: Any, holder: Any) -> bool:
    if isinstance(holder, str) and not isinstance(value, str):
        raise Refused(f"{kind_of(value)} cannot be in a text")
    return value in holder


def _jinja(name: str) -> Callable[..., bool]:
    return cast(Callable[..., bool], JINJA_TESTS[name])


TESTS = (
    Test(
        "defined", "It is there.", _jinja("defined"), (Example("x.y is defined", False, {"x": {}}),), takes_missing=True
    ),
    Test(
        "undefined",
        "It is missing.",
        _jinja("undefined"),
        (Example("x.y is undefined", True, {"x": {}}),),
        takes_missing=True,
    ),
    Test("none", "It is null.", _jinja("none"), (Example("x is none", True, {"x": None}),)),
    Test("string", "It is text.", _jinja("string"), (Example("'1' is string", True),)),
    Test("number", "It is a number.", is_number, (Example("'1' is number", False),)),
    Test("boolean", "It is true or false.", _jinja("boolean"), (Example("true is boolean", True),)),
    Test("mapping", "It is an object.", _jinja("mapping"), (Example("{} is mapping", True),)),
    Test("list", "It is a list.", lambda value: isinstance(value, (list, tuple)), (Example("'ab' is list", False),)),
    Test("startswith", "The text begins with it.", _startswith, (Example("'#1' is startswith('#')", True),)),
    Test("endswith", "The text ends with it.", _endswith, (Example("'R-1' is endswith('1')", True),)),
    Test("in", "It is in the list or text.", _in, (Example("'a' is in(['a', 'b'])", True),)),
    Test("eq", "They are equal; also written ==.", _jinja("eq"), (Example("1 is eq(1)", True),)),
    Test("ne", "They differ; also written !=.", _jinja("ne"), (Example("1 is ne('1')", True),)),
    Test("gt", "It is greater; also written >.", _jinja("gt"), (Example("2 is gt(1)", True),)),
    Test("ge", "It is greater or equal; also written >=.", _jinja("ge"), (Example("1 is ge(1)", True),)),
    Test("lt", "It is less; also written <.", _jinja("lt"), (Example("1 is lt(2)", True),)),
    Test("le", "It is less or equal; also written <=.", _jinja("le"), (Example("1 is le(1)", True),)),
)
_ALIASES = {"equalto": "eq", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le"}


def guarded_filters(specs: Mapping[str, Filter]) -> dict[str, Callable[..., Any]]:
    """The filters within their fence, by name."""
    return {name: guarded(spec) for name, spec in specs.items()}


def guarded_tests() -> dict[str, Callable[..., Any]]:
    """The tests within their fence, by name, aliases included."""
    made = {test.name: _guarded_test(test) for test in TESTS}
    return made | {alias: made[name] for alias, name in _ALIASES.items()}


def _guarded_test(test: Test) -> Any:
    run, takes_missing = test.call, test.takes_missing

    def call(scope: Run, value: Any, *args: Any) -> bool:
        if not takes_missing:
            for given in (value, *args):
                refuse_missing(given)
        try:
            return run(value, *args)
        except TypeError:
            raise Refused(f"'is {test.name}' does not work on {kind_of(value)}") from None

    return call
