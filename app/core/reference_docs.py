"""`docs/reference.md`, made from the schemas and registries that the hub itself runs on: it cannot drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.core import auth, signatures
from app.core.changes import ALL_CHANGES, kind_of
from app.core.filter_kit import Example
from app.core.filters import EXAMPLE_TABLES, TESTS, all_filters
from app.core.jsontext import dump_text
from app.core.shapes import Shape
from app.model import Json

#: The files in the order in which a merchant meets them.
FILES = ("connections", "routes", "bridges", "mapping", "reference", "connector", "tests", "hub")
DOCUMENTS = ("return", "order")
_HEAD = """# Reference

Made by `python -m docs.generate` from `app/schemas/` and the registries in `app/core/`; a test fails when it is stale.
Editors complete and check the YAML files when they are given the schemas: put
`# yaml-language-server: $schema=<hub>/app/schemas/routes.schema.json` into a file's first line.
"""
_LANGUAGE = """## The language

* YAML is read strictly. `null`, `true`, `false`, `12` and `4.10` (exact, never a float) are what they look like; all
  else is text, also `00123`, `1_000`, `12:30`, `1e5`, `no`, `on` and dates. Ids made of digits want quotes. A key
  given twice, anchors, aliases, tags and `<<` are errors.
* `{{ … }}` holds one Jinja expression; there are no statements (`{% … %}`) and nothing can be called. A value that is
  wholly one `{{ … }}` keeps its type, anything else becomes text. Nothing is guessed: `12E4` stays `12E4`.
* A dot or bracket reads a key or an item: `return.lines[0].sku`. The key of the data always wins, whatever its name.
* What is missing is an error that names it, as soon as it is used. `default` sees through missing and null parents:
  `{{ return.customer.email | default(omit) }}`.
* `omit` leaves the field or the list item out. `null` stays null.
* `+ - * / // %` calculate exactly; `~` joins texts; `==`, `<`, `in`, `and`, `or`, `not` and `a if x else b` are there.
* One rendering makes at most 1,000,000 characters and takes at most 2 seconds.

| word | meaning |
|---|---|
| `$each` | a list; with `$as`, the name of an item, and `$do`, what to make of each |
| `$as` | the item's name; `loop.index` (from 1), `loop.first`, `loop.last` and `loop.length` are known too |
| `$do` | what to make |
| `$if` | beside `$each`: only items for which it holds; beside `$do` or fields: left out when it does not hold |
| `$$name` | the key `$name` |
"""


def reference(schemas: Mapping[str, Json]) -> str:
    """The whole text."""
    parts = [_HEAD, _LANGUAGE, "## Filters\n", _filters(), "## Tests\n", _tests(), "## Changes\n", _changes()]
    parts += ["## Schemes that show who we are (`auth`)\n", _auth()]
    parts += ["## Schemes that prove who sent a message (`verify`)\n", _signatures()]
    parts.append("# Files\n")
    for name in FILES:
        parts.append(_file(schemas[name]))
    parts.append("# Documents\n")
    for name in DOCUMENTS:
        parts.append(_file(schemas[name]))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _filters() -> str:
    rows = ["| filter | what it gives | examples |", "|---|---|---|"]
    for spec in all_filters(EXAMPLE_TABLES).values():
        examples = "<br>".join(_example(example) for example in spec.examples)
        rows.append(f"| {_code(spec.usage)} | {spec.does} | {examples} |")
    return "\n".join(rows) + "\n"


def _tests() -> str:
    rows = ["| test | holds when | examples |", "|---|---|---|"]
    for test in TESTS:
        examples = "<br>".join(_example(example) for example in test.examples)
        rows.append(f"| {_code('is ' + test.name)} | {test.does} | {examples} |")
    return "\n".join(rows) + "\n"


def _example(example: Example) -> str:
    given = f" with {_code(dump_text(dict(example.given)))}" if example.given else ""
    if example.fails:
        return f"{_code(example.expression)}{given}: error, {example.fails}"
    gives = "left out" if example.gives is None and "omit" in example.expression else _code(dump_text(example.gives))
    return f"{_code(example.expression)}{given} → {gives}"


def _changes() -> str:
    rows = ["| change | of a | meaning |", "|---|---|---|"]
    rows += [f"| `{name}` | {kind_of(name)} | {meaning} |" for name, meaning in ALL_CHANGES.items()]
    return "\n".join(rows) + "\n"


def _auth() -> str:
    rows = ["| scheme | sends | example |", "|---|---|---|"]
    for scheme in auth.SCHEMES.values():
        rows.append(f"| `{scheme.name}` | {scheme.what} | {_code(_flow(scheme.shown or scheme.example))} |")
    return "\n".join(rows) + "\n"


def _signatures() -> str:
    rows = ["| scheme | example |", "|---|---|"]
    for example in signatures.EXAMPLES:
        rows.append(f"| {example.title} | {_code(_flow(example.config))} |")
    return "\n".join(rows) + "\n"


def _file(schema: Json) -> str:
    rows = [f"## {schema['title']}\n", f"{schema['description']}\n", "| key | form | meaning |", "|---|---|---|"]
    rows.extend(_rows(Shape.of(schema), "", ()))
    return "\n".join(rows) + "\n"


def _rows(shape: Shape, path: str, seen: tuple[str, ...]) -> Iterator[str]:
    schema = shape.resolved().schema
    required = schema.get("required", ())
    for name, told in schema.get("properties", {}).items():
        yield from _row(Shape(told, shape.root), f"{path}.{name}" if path else name, name in required, seen)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _row(Shape(schema["additionalProperties"], shape.root), f"{path}.<name>", False, seen)


def _row(shape: Shape, path: str, required: bool, seen: tuple[str, ...]) -> Iterator[str]:
    full = shape.resolved()
    told, schema = shape.schema, full.schema
    meaning = told.get("description") or schema.get("description", "")
    meaning += " Required." if required else ""
    if "default" in schema:
        meaning += f" Default {_code(_plain(schema['default']))}."
    if schema.get("examples"):
        meaning += " For example " + ", ".join(_code(_plain(each)) for each in schema["examples"]) + "."
    if schema.get("x-names"):
        meaning += " May use " + ", ".join(f"`{name}`" for name in schema["x-names"]) + "."
    yield f"| `{path}` | {_form(full)} | {meaning.strip()} |"
    name = str(told.get("$ref", ""))
    if name in seen:
        return
    inner = (*seen, name) if name else seen
    yield from _rows(full, path, inner)
    item = full.item()
    if item is not None and ("properties" in item.resolved().schema):
        yield from _rows(item.resolved(), f"{path}[]", inner)


def _form(shape: Shape) -> str:
    schema = shape.schema
    if "enum" in schema:
        return ", ".join(_code(_plain(option)) for option in schema["enum"])
    if "const" in schema:
        return _code(_plain(schema["const"]))
    if "x-format" in schema:
        return str(schema["x-format"])
    if "x-says" in schema:
        return str(schema["x-says"])
    if schema.get("x-names") and "object" not in str(schema.get("type")):
        return "expression"
    types = schema.get("type", "anything")
    words = [_FORMS.get(name, name) for name in ([types] if isinstance(types, str) else types)]
    return " or ".join(words)


_FORMS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "array": "list",
}


def _flow(value: Mapping[str, Json]) -> str:
    return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"


def _plain(value: Json) -> str:
    return value if isinstance(value, str) and value else dump_text(value)


def _code(text: str) -> str:
    escaped = text.replace("|", "\\|").replace("\n", " ")
    return f"`` {escaped} ``" if "`" in escaped else f"`{escaped}`"
