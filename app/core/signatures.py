"""How an inbound message proves who sent it: the closed registry of signature schemes.

A connector's `verify:` block, rendered with the connection's settings, names a scheme of this registry. Whatever is
unknown, missing or empty in it is a problem that keeps the hub from starting; nothing falls back to "accepted".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from app.core.signature_config import Example, Scheme, SchemeReader, Verdict
from app.core.signature_hmac import EXAMPLES as HMAC_EXAMPLES
from app.core.signature_hmac import read_hmac, read_hmac_sha256, read_standard_webhooks
from app.core.signature_tokens import EXAMPLES as TOKEN_EXAMPLES
from app.core.signature_tokens import read_basic, read_bearer, read_none, read_static_header
from app.errors import ConfigError
from app.model import Json, Problem

__all__ = ["EXAMPLES", "SCHEMES", "Example", "Scheme", "Verdict", "build", "problems", "sign", "verify"]

#: Every scheme there is, by the word that YAML uses for it.
SCHEMES: Mapping[str, Callable[[SchemeReader], Scheme]] = {
    "hmac": read_hmac,
    "hmac_sha256": read_hmac_sha256,
    "standard_webhooks": read_standard_webhooks,
    "static_header": read_static_header,
    "bearer": read_bearer,
    "basic": read_basic,
    "none": read_none,
}

#: One runnable example a scheme or variant: the tests verify and sign each, the reference shows them.
EXAMPLES: tuple[Example, ...] = (*HMAC_EXAMPLES, *TOKEN_EXAMPLES)


def problems(config: Json) -> list[str]:
    """What is wrong with a rendered `verify:` block, each with what to do; empty when it can be used.

    Never repeats a secret.
    """
    return _read(config)[1]


def build(config: Json) -> Scheme:
    """The scheme that a rendered `verify:` block describes. Raises ConfigError with all its problems."""
    scheme, faults = _read(config)
    if scheme is None or faults:
        raise ConfigError([Problem(file="", line=0, column=0, what=fault, todo="") for fault in faults])
    return scheme


def verify(config: Json, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
    """Whether the message is from who it says; `headers` with lower-case names, `body` as it came over the wire.

    Raises ConfigError when the block cannot be used. For many messages, `build` once and ask the scheme.
    """
    return build(config).verify(headers, body, now)


def sign(config: Json, body: bytes, now: datetime) -> dict[str, str]:
    """The headers with which a sender of this body would be believed: the first secret is used.

    Raises ConfigError when the block cannot be used.
    """
    return build(config).sign(body, now)


def _read(config: Json) -> tuple[Scheme | None, list[str]]:
    names = ", ".join(sorted(SCHEMES))
    if not isinstance(config, Mapping):
        return None, [f"verify is missing: write `verify: {{scheme: …}}` with one of {names}"]
    name = config.get("scheme")
    if not isinstance(name, str) or name not in SCHEMES:
        what = "verify.scheme is missing" if name in (None, "") else f"unknown signature scheme {name!r}"
        return None, [f"{what}: write one of {names}"]
    reader = SchemeReader(config)
    reader.use("scheme")
    scheme = SCHEMES[name](reader)
    return scheme, reader.finish()
