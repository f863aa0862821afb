"""The doors of bridges: who may ask, what tells questions apart, and how an error is told."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import structlog

from app.core.bridges import Bridge
from app.core.expressions import Value
from app.core.jsontext import dump_text
from app.core.masking import Masker
from app.core.signatures import Scheme, build
from app.core.site import Site
from app.errors import ConfigError, DataError
from app.model import Identifier, Json
from app.pipeline.resolve import as_id

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Door:
    """What is needed of one bridge to judge its questions, and to keep what came of them."""

    bridge: Bridge
    scheme: Scheme
    masker: Masker
    error: Value | None  # the body of an error


def read_doors(site: Site) -> dict[tuple[str, str], Door]:
    """The doors by connection and path. Raises `ConfigError` when a question could not be verified."""
    doors: dict[tuple[str, str], Door] = {}
    for bridge in site.bridges:
        connection = site.connections[bridge.source]
        asks = connection.connector.bridge
        try:
            # No scheme, no door: a question that cannot be verified is never answered.
            scheme = build(connection.bridge_verify)
        except ConfigError as error:
            raise ConfigError(f"bridge {bridge.name!r}: {error}") from None
        concerned = [site.connections[name] for name in {bridge.source, *(call.connection for call in bridge.calls)}]
        personal = {key for one in concerned for key in one.connector.personal}
        secrets = {secret for one in concerned for secret in one.secret_values}
        masker = Masker(personal, secrets)
        doors[bridge.source, bridge.path] = Door(bridge, scheme, masker, asks.error if asks else None)
    return doors


def once_key(bridge: Bridge, request: Json) -> str | None:
    """What tells questions apart that get one answer. Raises `DataError` when it is missing or empty."""
    if bridge.once is None:
        return None
    key = as_id(bridge.once.render({"request": request}, "once"), "once")
    # A key of bounded length that every database takes, equal exactly for equal texts.
    plain = len(key) <= 200 and key.isprintable() and not key.startswith("id:")
    return key if plain else f"id:{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def traced(bridge: Bridge, request: Json) -> list[Identifier]:
    """The numbers by which the question can be found."""
    found: list[Identifier] = []
    for value in bridge.trace:
        # Without it the question can still be answered.
        with suppress(DataError):
            found.append(Identifier(as_id(value.render({"request": request}, "trace"), "trace"), "asked"))
    return found


def error_body(template: Value | None, status: int, code: str, message: str, question_id: str) -> str:
    """The body of an error, as the connector wants it."""
    plain: dict[str, Any] = {"code": code, "message": message, "id": question_id}
    if template is not None:
        try:
            return dump_text(template.render({"status": status, **plain}, "errors.body"))
        except DataError as error:
            log.warning("bridge.error_body", because=str(error))
    return dump_text({"error": plain})
