"""A file against its JSON Schema: every violation at its line, with what to do. Here the best message counts, not time.

Beside JSON Schema's own words the hub's schemas use `x-format` (see `_FORMATS`) and `x-says`, the form of a value in
words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs

from app.core.exact import is_number, shown
from app.core.source import Path, Source
from app.core.times import interval, rate, retention, seconds, size
from app.core.validation import describe, type_names
from app.core.words import did_you_mean
from app.model import Json, Problem

if TYPE_CHECKING:
    from jsonschema import ValidationError


def statuses(value: Json) -> frozenset[int]:
    """The statuses in 409, "4xx" or a list of them. Raises ValueError."""
    items = value if isinstance(value, list) else [value]
    found: set[int] = set()
    for item in items:
        text = str(item)
        if re.fullmatch(r"[1-5]xx", text):
            found.update(range(int(text[0]) * 100, int(text[0]) * 100 + 100))
        elif re.fullmatch(r"[1-5][0-9][0-9]", text):
            found.add(int(text))
        else:
            raise ValueError(f"{shown(item)} is no status: write 409, 4xx or a list of them")
    return frozenset(found)


_FORMATS: dict[str, Callable[[Any], object]] = {
    **{"duration": seconds, "rate": rate, "size": size},
    **{"interval": interval, "retention": retention, "statuses": statuses},
}


class FileSchema:
    """The schema of a kind of file."""

    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._quick = jsonschema_rs.validator_for(schema, keywords={"x-format": _Format})

    def faults(self, source: Source) -> list[Problem]:
        """Every violation of the schema in the file, in the order of lines."""
        # Most files have none, and only the slow library tells what is wrong well enough. By JSON Schema 8080.0 is a
        # whole number, by the slow library it is not; so decimals are left to that one.
        if not _has_decimal(source.value) and self._quick.is_valid(source.value):
            return []
        found: list[Problem] = []
        for error in _slow()(self._schema).iter_errors(source.value):
            found.extend(_problems(error, tuple(error.absolute_path), source))
        return sorted(set(found), key=lambda problem: (problem.line, problem.column, problem.what))


class _Format:
    """`x-format` for the quick library. Raises ValueError when the value has another form."""

    def __init__(self, parent: Json, name: str, path: object) -> None:
        self._parse = _FORMATS[name]

    def validate(self, value: Json) -> None:
        if isinstance(value, (str, int, Decimal, list)) and not isinstance(value, bool):
            self._parse(value)


@cache
def _slow() -> Any:
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def check(validator: Any, name: str, value: Json, schema: Json) -> Iterator[ValidationError]:
        try:
            _Format(schema, name, ()).validate(value)
        except ValueError as error:
            yield ValidationError(str(error))

    return cast(Any, extend)(Draft202012Validator, {"x-format": check})


def _has_decimal(value: Json) -> bool:
    if isinstance(value, (dict, list)):
        return any(map(_has_decimal, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Decimal)


def _problems(error: ValidationError, path: Path, source: Source) -> Iterator[Problem]:
    schema = error.schema if isinstance(error.schema, dict) else {}
    value, rule = error.instance, str(error.validator)
    argument: Any = error.validator_value
    if rule == "additionalProperties" and isinstance(value, dict):
        known: Json = schema.get("properties", {})
        for key in value:
            if key not in known:
                yield _at(
                    source, (*path, key), f"unknown key {key!r}{_inside(path)}", did_you_mean(key, known), key=True
                )
        return
    if rule == "propertyNames" or "propertyNames" in error.absolute_schema_path:
        says = schema.get("x-says") or "another form"
        yield _at(source, (*path, str(value)), f"{shown(value)} is no name to use here", f"write {says}", key=True)
        return
    if rule == "required":
        missing = next((key for key in argument if key not in cast(Any, value) and f"'{key}'" in error.message), "")
        about = schema.get("properties", {}).get(missing, {}).get("description", "")
        yield _at(
            source,
            path,
            f"{missing!r} is missing{_inside(path)}",
            f"add `{missing}:` ({_lower(about)})" if about else f"add `{missing}:`",
        )
        return
    name = _name(path)
    what, todo = _why(rule, argument, error.message, value, schema, name)
    yield _at(source, path, what, todo)


def _why(rule: str, argument: Any, message: str, value: Json, schema: Json, name: str) -> tuple[str, str]:
    if rule == "type":
        if "string" in ([argument] if isinstance(argument, str) else argument) and is_number(value):
            return f"{name} is {describe(value)}, must be text", f'put it in quotes: "{value}"'
        return f"{name} is {describe(value)}, must be {type_names(argument)}", _lower(schema.get("description", ""))
    if rule == "enum":
        return f"{name} is {describe(value)}", did_you_mean(str(value), map(str, argument))
    if rule == "const":
        return f"{name} is {describe(value)}", f"write {_json(argument)}"
    if rule == "x-format":
        what, _, todo = message.partition(": ")
        return f"{name}: {what}", todo
    if rule == "pattern":
        return f"{name} is {describe(value)}", f"write {schema.get('x-says', 'it like ' + str(argument))}"
    if rule in ("minProperties", "maxProperties"):
        return f"{name} has {len(value)} keys", f"write {schema.get('x-says', 'at least one')}"
    if rule == "minItems":
        return f"{name} is empty", "write at least one item"
    if rule == "minLength":
        return f"{name} is empty", _lower(schema.get("description", ""))
    if rule in ("minimum", "maximum"):
        least, most = schema.get("minimum"), schema.get("maximum")
        return f"{name} is {value}", f"write a number from {least}" + (f" to {most}" if most is not None else "")
    return f"{name}: {message[:200]}", ""


def _at(source: Source, path: Path, what: str, todo: str, *, key: bool = False) -> Problem:
    where = source.where_key(path) if key else source.where(path)
    return Problem(where.file, where.line, where.column, what, todo, "schema")


def _inside(path: Path) -> str:
    return f" in {_name(path)}" if path else ""


def _name(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the file"


def _lower(text: str) -> str:
    text = text.rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _json(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
