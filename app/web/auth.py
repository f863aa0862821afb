"""Who may use the API: whoever holds the hub's token."""

from __future__ import annotations

from flask import request

from app.core.signature_config import raw, same
from app.web.answers import Refusal

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="backhaul"'}


def require_token(token: str) -> None:
    """Let the current request pass if it carries the token. Raises Refusal; without a token nobody passes."""
    if not token:
        raise Refusal(503, "api_off", "the API is off: set hub.api_token in config/hub.yaml")
    word, _, given = request.headers.get("Authorization", "").partition(" ")
    if word.lower() != "bearer" or not given.strip():
        raise Refusal(401, "unauthorized", "send the hub's token as `Authorization: Bearer …`", _CHALLENGE)
    if not same(raw(given.strip()), (token.encode("utf-8", "surrogateescape"),)):
        raise Refusal(401, "unauthorized", "the token is not the hub's", _CHALLENGE)
