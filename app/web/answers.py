"""How the web application answers: JSON, exact numbers, one shape of error, nothing personal."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from app.core.jsontext import dumps
from app.core.masking import Masker
from app.core.ports import Ids
from app.core.times import iso
from app.errors import DataError, LedgerUnavailable
from app.model import Json

log = structlog.get_logger()

#: The type of every answer.
JSON = "application/json"
#: Keys of texts that hold a whole message: an event's body, and an answer that was no JSON.
_BODIES = ("body", "text")


class Refusal(Exception):
    """A request of the API that cannot be done, with what to tell the caller."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}
        super().__init__(message)


def answer(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(dumps(value), status=status, headers=dict(headers or {}), content_type=JSON)


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the one shape that all errors have."""
    return answer({"error": {"code": code, "message": message}}, status, headers)


def shown(value: Any, masker: Masker) -> Json:
    """A value of the ledger as it may be shown: times as text, bodies as JSON, persons and secrets hidden."""
    try:
        return masker.value(_plain(value, masker))
    except RecursionError:
        return "nested too deeply to be shown"


def install(app: Flask, ids: Ids) -> None:
    """Have every error of the application answered as JSON, without a trace of code or of anybody's data."""

    def refused(refusal: Refusal) -> Response:
        return error(refusal.status, refusal.code, refusal.message, refusal.headers)

    def http_error(failed: HTTPException) -> Response:
        status = failed.code or 500
        kept = {name: value for name, value in failed.get_headers() if name.lower() in ("allow", "retry-after")}
        name = str(failed.name or "error")
        return error(status, name.lower().replace(" ", "_"), name, kept)

    def unavailable(failed: LedgerUnavailable) -> Response:
        log.error("ledger.unavailable", error=str(failed))
        return error(503, "ledger_unavailable", "the ledger cannot be reached now", {"Retry-After": "5"})

    app.register_error_handler(Refusal, refused)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(LedgerUnavailable, unavailable)
    app.register_error_handler(Exception, lambda failed: unexpected(failed, ids))


def unexpected(failed: Exception, ids: Ids) -> Response:
    """The answer when the hub itself fails: an id, under which the log tells where."""
    error_id = ids.new("err")
    # The exception's own text may quote a message: only its type and the places in the code are logged.
    places = [
        f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(failed.__traceback__)[-5:]
    ]
    log.error("web.failed", error_id=error_id, error=type(failed).__name__, where=" > ".join(places))
    return error(500, "internal", f"the hub itself failed; look for {error_id} in its log")


def _plain(value: Any, masker: Masker) -> Json:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bytes):
        return masker.body(value)
    if isinstance(value, Mapping):
        return {
            str(key): masker.body(item) if key in _BODIES and isinstance(item, str) else _plain(item, masker)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, masker) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name), masker) for item in dataclasses.fields(value)}
    try:
        dumps(value)
    except DataError:
        return str(value)
    return value
