"""The fields that a template writes, against the schema of what it makes: `check` finds them, no delivery has to."""

from __future__ import annotations

from collections.abc import Iterator

from app.core.shapes import Shape
from app.core.source import Path
from app.core.words import did_you_mean
from app.model import Json

Fault = tuple[Path, str, str]


def field_faults(template: Json, shape: Shape, what: str, path: Path = ()) -> Iterator[Fault]:
    """(path in the template, what, what to do) of each field that is not known, and each required one not written."""
    if isinstance(template, list):
        item = shape.item()
        for index, part in enumerate(template if item else ()):
            assert item
            yield from field_faults(part, item, what, (*path, index))
    if not isinstance(template, dict):
        return
    if "$each" in template:
        item = shape.item()
        if item and "$do" in template:
            yield from field_faults(template["$do"], item, what, (*path, "$do"))
    elif "$do" in template:
        yield from field_faults(template["$do"], shape, what, (*path, "$do"))
    else:
        yield from _object(template, shape, what, path)


def _object(template: dict[str, Json], shape: Shape, what: str, path: Path) -> Iterator[Fault]:
    schema, fields = shape.resolved().schema, shape.fields()
    if not isinstance(schema, dict):
        return
    spoken = _spoken(path, what)
    for key, value in template.items():
        if key.startswith("$"):
            continue
        if fields is not None and key not in fields:
            yield (*path, key), f"{spoken} has no field {key!r}", did_you_mean(key, fields)
            continue
        inner = shape.key(key)
        if inner:
            yield from field_faults(value, inner, what, (*path, key))
    for key in schema.get("required", ()):
        if key not in template:
            yield path, f"{spoken} needs the field {key!r}", f"add `{key}:`"


def _spoken(path: Path, what: str) -> str:
    steps = [str(step) for step in path if step != "$do" and not isinstance(step, int)]
    return f"{'.'.join(steps)} of {what}" if steps else what
