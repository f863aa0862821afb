"""Builds the exact request of an operation: what is sent, kept with the attempt, and shown by `try`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from app.core.connectors import Connection, Operation
from app.core.paths import escaped
from app.errors import DataError
from app.model import Json, Request

#: What may stand in a query as it is.
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_USER_AGENT = "backhaul"


def find_operation(connection: Connection, name: str) -> Operation:
    """The connection's operation of that name. Raises `DataError`."""
    operation = connection.connector.operations.get(name)
    if operation is None:
        raise DataError(f"connector {connection.connector.name} has no operation {name!r}")
    return operation


def build_request(
    connection: Connection,
    operation: Operation,
    args: Json,
    body: Json = None,
    idempotency_key: str = "",
    *,
    query: Mapping[str, Json] | None = None,
) -> Request:
    """The request, without credentials. `query` overrides keys of the operation's own (paging does).

    Hosts come from the connection's `base_url` only. Raises `DataError` when a part cannot be rendered.
    """
    names: dict[str, Any] = {"args": args if args is not None else {}, "body": body}
    names["settings"] = connection.public_settings
    path = str(escaped(operation.path, operation.where).render(names, "path"))
    url = f"{_base_url(connection)}/{path.lstrip('/')}"
    asked = _mapping(operation, names) if operation.query else {}
    if query:
        asked = {**asked, **query}
    if asked and (pairs := [pair for key, value in asked.items() for pair in _pairs(key, value)]):
        url += ("&" if "?" in path else "?") + "&".join(pairs)
    return Request(
        connection.name,
        operation.name,
        operation.method.upper(),
        url,
        _headers(operation, names, body, idempotency_key),
        body,
        idempotency_key,
    )


def _base_url(connection: Connection) -> str:
    base = connection.settings.get("base_url")
    if not isinstance(base, str) or not _usable(base):
        raise DataError(
            f"connection {connection.name} has no usable base_url",
            where=str(connection.where),
            todo="give it as https://host/path in its settings",
        )
    return base.rstrip("/")


@lru_cache(maxsize=256)
def _usable(base: str) -> bool:
    parts = urlsplit(base)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _mapping(operation: Operation, names: Mapping[str, Any]) -> dict[str, Json]:
    assert operation.query is not None
    rendered = operation.query.render(names, "query")
    if rendered is None:
        return {}
    if not isinstance(rendered, dict):
        raise DataError("the query is no mapping", path="query", where=str(operation.where))
    return rendered


def _pairs(key: str, value: Json) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [pair for item in value for pair in _pairs(key, item)]
    return [f"{quote(key, safe='')}={quote(_text(value, f'query.{key}'), safe='')}"]


def _headers(operation: Operation, names: Mapping[str, Any], body: Json, idempotency_key: str) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": _USER_AGENT}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if operation.headers:
        for name, value in (operation.headers.render(names, "headers") or {}).items():
            if value is not None:
                headers[name] = _text(value, f"headers.{name}")
    if operation.idempotency_header and idempotency_key:
        headers[operation.idempotency_header] = idempotency_key
    return headers


def _text(value: Json, path: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    raise DataError(f"a {type(value).__name__} cannot be written there", path=path)
