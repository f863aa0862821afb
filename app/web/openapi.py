"""`GET /openapi.json`: the hub describes its own HTTP API. The same for every site: it names no connection."""

from __future__ import annotations

import json

from flask import Blueprint, Response

from app.core.jsontext import dumps
from app.model import Json
from app.web.answers import JSON
from app.web.openapi_parts import common_errors
from app.web.openapi_paths import paths
from app.web.openapi_schemas import schemas

#: Of the description, not of the program: what an answer has, it keeps.
VERSION = "1.0"
_ABOUT = """\
A self-hosted hub for product returns: what came in, what it meant, what was done, and the acts of a person.

Ids are text, times are UTC with milliseconds, money is decimal text. Personal data and secrets are shown as `***`.
What is listed comes newest first. Every error has one shape; its `code` is for programs, its `message` for people."""
_TAGS = {
    "doors": "Where vendors' messages and questions come in. Each vendor signs in its own way.",
    "api": "Reads and acts, for programs that hold a token.",
    "watching": "For supervisors, load balancers and Prometheus.",
}


def blueprint() -> Blueprint:
    """The page that tells the description to whoever asks: it holds nothing of this site."""
    pages = Blueprint("openapi", __name__)
    told = dumps(description())

    @pages.get("/openapi.json")
    def openapi() -> Response:
        return Response(told, content_type=JSON)

    return pages


def written() -> str:
    """The description as the text of a file for people and tools."""
    return json.dumps(description(), indent=2, ensure_ascii=False) + "\n"


def description() -> Json:
    """The whole description, as OpenAPI 3.1 has it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backhaul",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The hub itself."}],
        "tags": [{"name": name, "description": what} for name, what in _TAGS.items()],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "responses": common_errors(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token with a role: a reader may read, an operator may act, an admin may do all.",
                }
            },
        },
    }
