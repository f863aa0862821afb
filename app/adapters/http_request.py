"""From a request of the hub to the bytes that go out. `requests` says what an address and a header may look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlencode, urlsplit

from requests import PreparedRequest, RequestException
from requests.utils import check_header_validity

from app.adapters.sockets import Origin
from app.core.auth_token import FORM
from app.core.jsontext import dumps
from app.errors import DataError
from app.model import Json, Request

#: An address that `requests` would leave as it is. It resolves dots in a path, so those are not among them.
_PLAIN = re.compile(
    r"(https?://[a-z0-9.-]+(?::[0-9]+)?)(/(?![/.])(?:[\w~!$&'()*+,;=:@?.-]++|/(?!\.)|%(?!2E)[0-9A-F]{2})*+)", re.ASCII
)
_TARGET = re.compile(r"[!-~]+")
_METHOD = re.compile(r"[A-Z]+")
_USUAL_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_USUAL_NAME = re.compile(r"[A-Za-z0-9-]+")
_USUAL_VALUE = re.compile(r"[!-~][ -~]*")


def write_request(request: Request, fixed: Mapping[str, str]) -> tuple[Origin, bytes]:
    """Where the request goes, and its bytes. The headers in `fixed` win over the request's own.

    Raises `requests.RequestException`, `DataError` or ValueError for what cannot be sent.
    """
    origin, host, target = _address(request.url)
    method = request.method
    if method not in _USUAL_METHODS:
        method = method.upper()
        if not _METHOD.fullmatch(method):
            raise ValueError(f"{method[:40]!r} is no method")
    lines = {"host": f"Host: {host}", "accept-encoding": "Accept-Encoding: identity"}
    for headers in (request.headers, fixed):
        for header in headers.items():
            name, line = _line(header)
            lines[name] = line
    body = b""
    if request.body is not None:
        lines.setdefault("content-type", "Content-Type: application/json")
        body = _form(request.body) if lines["content-type"].endswith(FORM) else dumps(request.body)
    if body or method not in ("GET", "HEAD"):
        lines["content-length"] = f"Content-Length: {len(body)}"
    head = "\r\n".join(lines.values())
    return origin, f"{method} {target} HTTP/1.1\r\n{head}\r\n\r\n".encode("latin-1") + body


def origin_of(url: str) -> Origin | None:
    """Where requests to this address and below it go; None when it is no address."""
    try:
        return _prepared(url)[0]
    except (RequestException, ValueError):
        return None


def _form(body: Json) -> bytes:
    if not isinstance(body, dict) or any(isinstance(value, dict | list) for value in body.values()):
        raise DataError("a form is an object of texts")
    pairs = [(key, _plain(value)) for key, value in body.items() if value is not None]
    return urlencode(pairs).encode("ascii")


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


@lru_cache(maxsize=512)  # most are the same in every call
def _line(header: tuple[str, str]) -> tuple[str, str]:
    """Its name in lower case, and its line."""
    name, value = header
    # What `requests` takes in any case; most of the calls have an idempotency key of their own.
    if not (isinstance(value, str) and _USUAL_NAME.fullmatch(name) and _USUAL_VALUE.fullmatch(value)):
        check_header_validity(header)
    return name.lower(), f"{name}: {value}"


def _address(url: str) -> tuple[Origin, str, str]:
    plain = _PLAIN.fullmatch(url)
    if plain:
        origin, host, _ = _prepared(plain[1])
        return origin, host, plain[2]
    return _prepared(url)


@lru_cache(maxsize=256)
def _prepared(url: str) -> tuple[Origin, str, str]:
    """Origin, `Host` header and request target."""
    prepared = PreparedRequest()
    prepared.prepare_url(url, None)
    parts = urlsplit(prepared.url or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address is no http or https address")
    if not _TARGET.fullmatch(prepared.path_url) or not _TARGET.fullmatch(parts.netloc):
        raise ValueError("the address holds what no address may hold")
    tls = parts.scheme == "https"
    usual = 443 if tls else 80
    port = usual if parts.port is None else parts.port
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = name if port == usual else f"{name}:{port}"
    return Origin(tls, parts.hostname, port), host, "/" + prepared.path_url.lstrip("/")
