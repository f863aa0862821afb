"""The auth scheme `token`: a login gives a token that ends, and is renewed before it does. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from app.core.expression_compiler import Names
from app.core.expressions import Value
from app.core.reading import Node
from app.errors import DataError
from app.model import Json, Request

#: What a form's content type is.
FORM = "application/x-www-form-urlencoded"
EARLY_S = 60.0
#: A token of which nobody said how long it lasts is asked for again after this, or when it is refused.
_UNTOLD_S = 86_400.0


@dataclass(frozen=True, slots=True)
class TokenCall:
    """A login or a renewal: what is sent, and where the token is in the answer."""

    url: Value  # text; names: settings. No answer can name another host
    json: Value | None  # names: settings, in a renewal refresh_token too
    form: Value | None  # mapping of text; names as in `json`
    headers: Value | None  # mapping of text; names: settings
    token: Value  # text; names: body
    refresh_token: Value | None  # text; names: body
    expires_in: Value | None  # seconds as number or text; names: body


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """How a connector's calls get their token."""

    login: TokenCall
    refresh: TokenCall | None = None
    early_s: float = EARLY_S  # it is renewed so long before its end
    header: str = "Authorization"
    prefix: str = "Bearer "

    def headers(self, token: Token) -> dict[str, str]:
        """What a call carries."""
        return {self.header: f"{self.prefix}{token.value}"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its times, in seconds since 1970."""

    value: str = field(repr=False)
    renew_at: float
    ends_at: float
    refresh: str = field(default="", repr=False)

    def to_json(self) -> Json:
        """As the processes pass it to each other."""
        return {"value": self.value, "refresh": self.refresh, "renew_at": self.renew_at, "ends_at": self.ends_at}

    @classmethod
    def from_json(cls, told: Json) -> Token:
        """What `to_json` made, read back. Raises `DataError` when it is something else."""
        try:
            times = float(told["renew_at"]), float(told["ends_at"])
            return cls(str(told["value"]), *times, str(told["refresh"]))
        except (KeyError, TypeError, ValueError):
            raise DataError("the kept token cannot be read") from None


def read_token_auth(node: Node, shapes: Names) -> TokenAuth | None:
    """The `auth` block of a connector, None when its scheme is another one. `shapes` are those of `settings`."""
    if node.get("scheme").value != "token":
        return None
    login, refresh = node.get("login"), node.get("refresh")
    if not login.given:
        node.report("auth scheme token needs `login`", "say which call gives the token", "auth")
    for key, _ in node.items():
        if key not in ("scheme", "login", "refresh", "early", "header", "prefix"):
            node.get(key).kit.report(node.get(key).where_key, f"auth scheme token does not know `{key}`", "", "auth")
    if refresh.given and not login.get("refresh_token").given:
        refresh.report("refresh needs what login does not keep", "give login `refresh_token`", "auth")
    return TokenAuth(
        login=_read_call(login, shapes, ("refresh_token",)),
        refresh=_read_call(refresh, shapes, ()) if refresh.given else None,
        early_s=node.get("early").seconds(EARLY_S),
        header=node.get("header").text("Authorization"),
        prefix=node.get("prefix").text("Bearer "),
    )


def _read_call(node: Node, shapes: Names, hide: tuple[str, ...]) -> TokenCall:
    if node.get("json").given and node.get("form").given:
        node.get("form").report("a login sends json or a form, not both", "remove one of them", "auth")
    return TokenCall(
        url=node.get("url").template(shapes),
        json=node.get("json").optional(shapes, hide=hide),
        form=node.get("form").optional(shapes, hide=hide),
        headers=node.get("headers").optional(shapes),
        token=node.get("token").template(shapes),
        refresh_token=node.get("refresh_token").optional(shapes),
        expires_in=node.get("expires_in").optional(shapes),
    )


def problems(auth: TokenAuth, settings: Mapping[str, Json]) -> list[str]:
    """What is wrong with the calls for a token of a connection with these settings; never names a secret's value."""
    found = []
    for name, call in (("login", auth.login), ("refresh", auth.refresh)):
        if call is None:
            continue
        try:
            token_request("", call, settings, refresh_token="-")
        except DataError as error:
            found.append(f"{name}.{error.path}: {error.what}")
    if not auth.header or any(sign in auth.header for sign in "\r\n: ") or any(sign in auth.prefix for sign in "\r\n"):
        found.append("header: is no header's name, or prefix holds a line break")
    return found


def token_request(connection: str, call: TokenCall, settings: Mapping[str, Json], refresh_token: str = "") -> Request:
    """The request of a login or renewal, secrets and all: it is sent and never kept. Raises `DataError`."""
    names: dict[str, Any] = {"settings": settings, "refresh_token": refresh_token}
    url = call.url.render(names, "url")
    # Variables that are not set stand there as ${NAME}: `check` tells of them by themselves.
    if not isinstance(url, str) or ("${" not in url and not _is_address(url)):
        raise DataError("is no address, write it like https://login.example.com/token", path="url")
    headers = {"Accept": "application/json", "User-Agent": "backhaul", "Content-Type": "application/json"}
    body = call.json.render(names, "json") if call.json else None
    if call.form:
        body = call.form.render(names, "form")
        headers["Content-Type"] = FORM
    for name, value in (call.headers.render(names, "headers") if call.headers else {}).items():
        if value is not None:
            headers[name] = str(value)
    return Request(connection, "refresh" if refresh_token else "login", "POST", url, headers, body)


def login_urls(auth: TokenAuth, settings: Mapping[str, Json]) -> list[str]:
    """Where a connection with these settings logs in; what cannot be rendered is left out, `problems` tells of it."""
    found: list[str] = []
    for call in (auth.login, auth.refresh):
        with suppress(DataError):
            url = call.url.render({"settings": settings}, "url") if call else None
            found += [url] if isinstance(url, str) else []
    return found


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.username


def read_token(auth: TokenAuth, call: TokenCall, body: Json, now: float, refresh_token: str = "") -> Token:
    """The token in an answer. `refresh_token` is kept when the answer brings no new one.

    Raises `DataError` when there is no token, or its time cannot be read.
    """
    names = {"body": body}
    value = call.token.render(names, "token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value.strip():
        raise DataError("the answer holds no token", path="token")
    lasts = _UNTOLD_S
    if call.expires_in is not None:
        lasts = _seconds(call.expires_in.render(names, "expires_in"))
    if call.refresh_token is not None:
        told = call.refresh_token.render(names, "refresh_token")
        refresh_token = told if isinstance(told, str) and told else refresh_token
    # One that lasts no longer than it is to be renewed early would be asked for with every call.
    early = min(auth.early_s, lasts / 2)
    return Token(value, now + lasts - early, now + lasts, refresh_token)


def _seconds(told: Json) -> float:
    try:
        if isinstance(told, bool) or not isinstance(told, str | int | Decimal):
            raise ValueError
        lasts = float(told)
    except ValueError:
        raise DataError("is no number of seconds", path="expires_in") from None
    if not 0 < lasts < 10**9:
        raise DataError("is no time that a token could last", path="expires_in")
    return lasts
