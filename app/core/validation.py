"""JSON Schema at work: documents and bodies on the hot path."""

from __future__ import annotations

from typing import Protocol

from app.model import Json


class Validator(Protocol):
    """A compiled JSON Schema."""

    def errors(self, value: Json) -> list[str]:
        """Every fault as "path: what", for example "lines[1].sku: is missing"; empty when the value is valid."""
