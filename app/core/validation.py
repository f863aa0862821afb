"""JSON Schema at work: documents and bodies on the hot path, with what is wrong said so that a merchant can act."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Protocol

import jsonschema_rs

from app.core.exact import shown
from app.model import Json

#: So many faults of one value are told; the rest is counted.
MAX_ERRORS = 20


class Validator(Protocol):
    """A compiled JSON Schema."""

    def errors(self, value: Json, path: str = "") -> list[str]:
        """Every fault as "path: what", for example "lines[1].sku: is missing"; empty when the value is valid."""


class SchemaValidator:
    """A JSON Schema compiled once. Raises ValueError when it is no valid schema, or refers to another file."""

    def __init__(self, schema: Json) -> None:
        if not isinstance(schema, (dict, bool)):
            raise ValueError("a schema is a JSON object")
        try:
            # A retriever that refuses keeps `$ref` from reading files or the network.
            self._compiled = jsonschema_rs.validator_for(schema, retriever=_refuse)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, TypeError) as error:
            raise ValueError(str(error).splitlines()[0]) from None

    def errors(self, value: Json, path: str = "") -> list[str]:
        """Every fault as "path: what"; empty when the value is valid."""
        try:
            if self._compiled.is_valid(value):
                return []
            found = [text for error in self._compiled.iter_errors(value) for text in _told(error, value, path)]
        except ValueError as error:
            # What JSON lacks cannot be checked, and could not be sent either.
            return [f"{path or 'the value'}: {error}"]
        found = list(dict.fromkeys(found))
        if len(found) > MAX_ERRORS:
            found[MAX_ERRORS:] = [f"and {len(found) - MAX_ERRORS} more"]
        return found


def _refuse(uri: str) -> Json:
    raise ValueError(f"$ref to {uri}: only references within the file are followed")


def spell_path(steps: Iterable[str | int], root: str = "") -> str:
    """A path as people read it: "body.lines[1].sku"."""
    text = root
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _told(error: Any, value: Json, root: str) -> list[str]:
    kind, steps = error.kind, list(error.instance_path)
    at: Any = value
    for step in steps:
        at = at[step]
    name = kind.name
    if name == "required":
        return [f"{spell_path([*steps, kind.property], root)}: is missing"]
    if name in ("additionalProperties", "unevaluatedProperties"):
        return [f"{spell_path([*steps, key], root)}: is not known here" for key in kind.unexpected]
    where = spell_path(steps, root) or "the value"
    return [f"{where}: {_why(name, kind, at, error.message)}"]


def _why(name: str, kind: Any, value: Json, message: str) -> str:
    if name == "type":
        return f"is {describe(value)}, must be {type_names(kind.types)}"
    if name == "enum":
        options = ", ".join(shown(option) for option in kind.options)
        return f"{shown(value)} is none of {options}"
    if name == "minLength" and value == "":
        return "is empty"
    if name == "pattern":
        return f"{shown(value)} does not have the form {kind.pattern}"
    return message if len(message) <= 200 else message[:197] + "..."


def describe(value: Json) -> str:
    """A value with its type, for an error text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"{'true' if value else 'false'} (without quotes)"
    if isinstance(value, (int, Decimal)):
        return f"the number {shown(value) if isinstance(value, int) else format(value, 'f')}"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    return "a list" if isinstance(value, list) else "an object"


_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def type_names(types: Iterable[str] | str) -> str:
    """JSON Schema's types in the words that people use."""
    listed = [types] if isinstance(types, str) else list(types)
    return " or ".join(_TYPES.get(name, name) for name in listed)
