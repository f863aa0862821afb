"""The reference says what the hub does: it is made from the same schemas and registries."""

from __future__ import annotations

from pathlib import Path

from app.adapters.files import schemas
from app.core.expression_compiler import WORDS
from app.core.filters import TESTS, all_filters
from app.core.reference_docs import reference

DOCS = Path(__file__).parent.parent.parent / "docs" / "reference.md"


def test_the_reference_is_not_stale() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference(schemas()), "run: python -m docs.generate"


def test_every_filter_test_and_word_is_in_the_reference() -> None:
    text = reference(schemas())
    for name in [*all_filters({}), *(f"is {test.name}" for test in TESTS), *WORDS]:
        assert f"`{name}" in text, name


def test_every_key_of_every_file_has_a_description() -> None:
    def bare(schema: object, path: str) -> list[str]:
        found = []
        if isinstance(schema, dict):
            for name, told in schema.get("properties", {}).items():
                if not told.get("description") and "$ref" not in told:
                    found.append(f"{path}.{name}")
                found += bare(told, f"{path}.{name}")
            for inner in ("items", "additionalProperties"):
                found += bare(schema.get(inner), path)
        return found

    for name in ("hub", "connections", "routes", "connector", "reference"):
        assert bare(schemas()[name], name) == []
