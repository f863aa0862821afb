"""What a name in an expression holds, as far as a JSON Schema tells: so that a mistyped field is found by `check`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.model import Json


@dataclass(frozen=True, slots=True)
class Shape:
    """A node of a JSON Schema."""

    schema: Json
    root: Json

    @classmethod
    def of(cls, schema: Json) -> Shape:
        """The shape that a whole schema describes."""
        return cls(schema, schema)

    @classmethod
    def keys(cls, names: Iterable[str]) -> Shape:
        """An object with exactly these keys, nothing said of their values."""
        return cls.of({"properties": {name: {} for name in names}, "additionalProperties": False})

    def resolved(self) -> Shape:
        """This shape with a `$ref` into its own root followed."""
        schema = self.schema
        if not isinstance(schema, dict) or "$ref" not in schema:
            return self  # so it is nearly always, and this is asked thousands of times
        while isinstance(schema, dict) and str(schema.get("$ref", "")).startswith("#/"):
            found = self.root
            for step in schema["$ref"][2:].split("/"):
                found = found.get(step, {})
            schema = found
        return self if schema is self.schema else Shape(schema, self.root)

    def fields(self) -> dict[str, Json] | None:
        """The keys an object of this shape may have; None when others are allowed too."""
        schema = self.resolved().schema
        if not isinstance(schema, dict) or schema.get("additionalProperties") is not False:
            return None
        properties: dict[str, Json] = schema.get("properties", {})
        return properties

    def key(self, name: str) -> Shape | None:
        """The shape of a field; None when nothing is known of it."""
        schema = self.resolved().schema
        if not isinstance(schema, dict):
            return None
        for candidate in (schema.get("properties", {}).get(name), schema.get("additionalProperties")):
            if isinstance(candidate, dict):
                return Shape(candidate, self.root)
        return None

    def item(self) -> Shape | None:
        """The shape of a list's items; None when nothing is known of them."""
        schema = self.resolved().schema
        items = schema.get("items") if isinstance(schema, dict) else None
        return Shape(items, self.root) if isinstance(items, dict) else None
