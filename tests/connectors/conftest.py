"""The example site with its connections filled in, and the vendor's fixtures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.adapters.files import load_site
from app.core.site import Site
from tests.connectors.example_site import FIXTURES, ROOT, environment


@pytest.fixture(scope="session")
def site() -> Site:
    """The example site as it is shipped."""
    return load_site(ROOT, env=environment())


@pytest.fixture(scope="session")
def read() -> Callable[[str], Any]:
    """A fixture of the returns platform by its name."""

    def load(name: str) -> Any:
        return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))

    return load


@pytest.fixture(scope="session")
def to_document(site: Site) -> Callable[..., Any]:
    """Maps an event and what was fetched for it to the hub's document."""
    mapping = site.mappings["returnista.to_return"]
    assert mapping.document is not None
    document = mapping.document

    def render(payload: Any, detail: Any) -> Any:
        event = {"id": "evt_1", "type": payload["event"], "received_at": "2026-11-20T10:00:00.000Z"}
        return document.render({"payload": payload, "detail": detail, "event": event, "settings": {}}, "document")

    return render
