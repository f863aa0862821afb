"""The pieces that operations are described with: parameters, answers, and the one shape of error with its codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.core.api_tokens import Role
from app.model import Json
from app.web.asking import LIMIT, MAX_LIMIT
from app.web.openapi_schemas import TEXT, Schema, many, record, ref, some_id, words

Answers = Mapping[int | str, tuple[str, Schema]]

#: Texts in paths and queries: any but with NUL, which no database takes.
WORD: Schema = {"type": "string", "minLength": 1, "pattern": "^[^\\u0000]+$"}
#: Free words in the body of an act; null says nothing.
SAID: Schema = {"type": ["string", "null"], "maxLength": 300}
#: What any request of the API may be answered.
_REFUSED: Mapping[int, tuple[str, ...]] = {
    400: ("bad_text",),
    401: ("unauthorized",),
    503: ("ledger_unavailable",),
    500: ("internal",),
}
WHAT = {
    400: "The request is not as it must be.",
    401: "No token, or none that is good. It is the same for every path, whether that exists or not.",
    403: "The token's role may not do this.",
    404: "There is no such thing.",
    405: "Another method is needed; `Allow` says which.",
    409: "Its state does not allow it.",
    413: "The body is too large.",
    429: "Too many requests; `Retry-After` says when to come again.",
    500: "The hub itself failed; its log has more under the id in the message.",
    503: "It cannot be done now.",
}
#: Errors that read the same wherever they are: described once.
_COMMON: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "BadText": (400, ("bad_text",)),
    "Unauthorized": (401, ("unauthorized",)),
    "Forbidden": (403, ("forbidden",)),
    "NotFound": (404, ("not_found",)),
    "TooLarge": (413, ("request_entity_too_large",)),
    "Internal": (500, ("internal",)),
    "Unavailable": (503, ("ledger_unavailable",)),
}
_HEADERS: Mapping[int, Mapping[str, Schema]] = {
    401: {"WWW-Authenticate": TEXT},
    405: {"Allow": TEXT},
    429: {"Retry-After": {"type": "integer", "minimum": 1}},
    503: {"Retry-After": {"type": "integer", "minimum": 1}},
}
#: A number of some system, in the body of an act.
NUMBER: Schema = {"type": "string", "minLength": 1, "maxLength": 300, "pattern": "\\S"}


def reading(name: str, summary: str, answer: Schema, parameters: list[Json]) -> Json:
    """A GET of the API, which a reader may do."""
    found = any(one["in"] == "path" for one in parameters)
    limited = any(one["name"] in ("limit", "state") for one in parameters)
    codes: dict[int, tuple[str, ...]] = {404: ("not_found",)} if found else {}
    if limited:
        codes[400] = ("bad_limit", "bad_filter")
    return {"get": _secured(name, summary, "reader", {200: ("What there is.", answer)}, parameters, codes)}


def acting(
    name: str,
    summary: str,
    answers: Answers,
    parameters: list[Json],
    *,
    body: Mapping[str, Schema] | None = None,
    required: Iterable[str] = (),
    rules: Schema | None = None,
    role: Role = "operator",
    codes: Mapping[int, tuple[str, ...]] | None = None,
) -> Json:
    """A POST of the API: an act. `body` are the fields that it may have, `rules` what they must be together."""
    known: dict[int, tuple[str, ...]] = {403: ("forbidden",), **(codes or {})}
    if any(one["in"] == "path" for one in parameters):
        known[404] = ("not_found",)
    if body is not None:
        known |= {400: ("bad_body", *(codes or {}).get(400, ())), 413: ("request_entity_too_large",)}
    made = _secured(name, summary, role, answers, parameters, known)
    if body is not None:
        schema: Schema = {"type": "object", "properties": dict(body), **(rules or {})}
        if needed := sorted(required):
            schema["required"] = needed
        made["requestBody"] = {"required": bool(needed), "content": {"application/json": {"schema": schema}}}
    return {"post": made}


def _secured(
    name: str,
    summary: str,
    role: Role,
    answers: Answers,
    parameters: list[Json],
    codes: Mapping[int, tuple[str, ...]],
) -> Json:
    merged = {status: (*_REFUSED.get(status, ()), *codes.get(status, ())) for status in {*_REFUSED, *codes}}
    return {
        "operationId": name,
        "tags": ["api"],
        "summary": summary,
        "description": f"Needs a token of the role {role}, or a higher one.",
        "parameters": parameters,
        "responses": {**answers_of(answers), **errors_of(merged)},
        "security": [{"token": []}],
        "x-role": role,
    }


def watching(name: str, summary: str, answers: Answers) -> dict[str, Json]:
    """What anybody may ask."""
    responses = {**answers_of(answers), **errors_of({500: ("internal",)})}
    return {"operationId": name, "tags": ["watching"], "summary": summary, "responses": responses, "security": []}


def answers_of(answers: Answers) -> dict[str, Json]:
    """Good answers, by status: what they mean and look like."""
    return {
        str(status): {"description": what, "content": {"application/json": {"schema": schema}}}
        for status, (what, schema) in answers.items()
    }


def errors_of(codes: Mapping[int, tuple[str, ...]]) -> dict[str, Json]:
    """Errors, by status, with the codes that they may have."""
    names = {error: name for name, error in _COMMON.items()}
    return {
        str(status): {"$ref": f"#/components/responses/{names[status, known]}"}
        if (status, known) in names
        else error_of(status, known)
        for status, known in sorted(codes.items())
    }


def common_errors() -> dict[str, Json]:
    """The errors that are described once, by name."""
    return {name: error_of(status, codes) for name, (status, codes) in _COMMON.items()}


def error_of(status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    """An answer of the one shape, with the codes that it may have; any, when there are too many to name."""
    schema: Schema = ref("Error")
    if codes:
        inner = {"type": "object", "properties": {"code": words(tuple(dict.fromkeys(codes)))}}
        schema = {"allOf": [schema, {"type": "object", "properties": {"error": inner}}]}
    made: dict[str, Any] = {"description": WHAT[status], "content": {"application/json": {"schema": schema}}}
    if status in _HEADERS:
        made["headers"] = {name: {"required": True, "schema": told} for name, told in _HEADERS[status].items()}
    return made


def listed(key: str, name: str) -> Schema:
    """An answer that is a list under a key."""
    return record("A list.", **{key: many(ref(name))})


def limit() -> Json:
    """How many rows are wanted."""
    schema = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT}
    return query("limit", schema, "At most so many.")


def query(name: str, schema: Schema = WORD, what: str = "Only these.") -> Json:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": False, "description": what, "schema": schema}


def path(name: str, schema: Schema, what: str) -> Json:
    """A parameter of the path."""
    return {"name": name, "in": "path", "required": True, "description": what, "schema": schema}


def id_of(name: str, prefix: str) -> Json:
    """A parameter of the path that is an id of the hub's own."""
    return path(name, some_id(prefix), f"`{prefix}_…`, as lists show it.")
