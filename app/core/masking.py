"""Hides secrets and persons in whatever is shown: API, traces, the stored headers of events."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

from app.core.jsontext import loads
from app.errors import DataError
from app.model import Json

#: What stands where something was hidden.
HIDDEN = "***"

#: Keys that hold a person in any vendor's words and in our own documents; a connector's `personal:` adds to them.
PERSONAL = (
    *("email", "e_mail", "mail_address", "phone", "phone_number", "telephone", "mobile", "birthday", "iban"),
    *("first_name", "last_name", "full_name", "middle_name", "contact_name", "company_name", "attention"),
    *("street", "street2", "house_number", "postal_code", "post_code", "zip", "zip_code"),
    *("address", "address1", "address2", "address_line1", "address_line2", "addresses"),
    # What somebody wrote into a field for free words may name anybody.
    *("comment", "comments"),
    *("customer", "consumer", "ship_to", "recipient", "receiver", "sender", "shipping_address", "billing_address"),
)
#: Keys that hold a credential wherever they occur.
SECRET_KEYS = ("password", "passwd", "secret", "client_secret", "api_key", "access_token", "refresh_token")
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_SECRET_HEADER_WORDS = ("token", "secret", "api-key", "apikey", "password")
_EMAIL = re.compile(r"[^\s@\"'<>:;,()=&]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
#: Shorter ones are hidden only where they stand alone: replacing "on" everywhere would leave nothing to read.
_LEAST_SECRET = 4
_SHOWN_TEXT = 2000


class Masker:
    """Hides the values of personal keys, and every occurrence of a secret value, in what it is given."""

    def __init__(self, personal_keys: Iterable[str] = (), secret_values: Iterable[str] = ()) -> None:
        own = {_plain(key) for key in personal_keys}
        self._keys = frozenset(own | {_plain(key) for key in (*PERSONAL, *SECRET_KEYS, "authorization")})
        self._secrets = frozenset(secret for secret in secret_values if secret)
        spellings: set[str] = set()
        for secret in self._secrets:
            if len(secret) >= _LEAST_SECRET:
                data = secret.encode("utf-8", "surrogateescape")
                spellings |= {secret, quote(data, safe=""), b64encode(data).decode()}
        longest_first = sorted(spellings, key=lambda text: (-len(text), text))
        self._secret_pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        names = "|".join(sorted((r"[_-]?".join(key) for key in self._keys), key=len, reverse=True))
        self._pairs = re.compile(rf"(?i)\b((?:{names})[\"']?\s*[:=]\s*)(\"[^\"]*\"?|'[^']*'?|[^\s,;&}}\]]+)")

    def value(self, value: Json) -> Json:
        """A copy of a JSON value with persons and secrets hidden; its shape, empty values and all else stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(key) if isinstance(key, str) else key: (
                    _hide(item) if isinstance(key, str) and _plain(key) in self._keys else self.value(item)
                )
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def persons(self, value: Json) -> Iterator[str]:
        """The texts that `value` hides because a key says that they are of a person."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from _leaves(item) if isinstance(key, str) and _plain(key) in self._keys else self.persons(item)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from self.persons(item)

    def text(self, text: str) -> str:
        """A text without secrets and e-mail addresses."""
        if text in self._secrets:
            return HIDDEN
        if self._secret_pattern:
            text = self._secret_pattern.sub(HIDDEN, text)
        return _EMAIL.sub(HIDDEN, text) if "@" in text else text

    def body(self, body: bytes | str) -> Json:
        """A message's body for showing: its object or list, or, where it is none, the beginning of its text."""
        text = body if isinstance(body, str) else body.decode("utf-8", "replace")
        if text.lstrip()[:1] in ("{", "["):
            try:
                return self.value(loads(text))
            except (DataError, RecursionError):
                pass
        # Cut twice: what is shown must not end in the middle of a secret that was not recognised for that.
        return self.text(self._pairs.sub(rf"\1{HIDDEN}", text[: 4 * _SHOWN_TEXT]))[:_SHOWN_TEXT]

    def headers(self, headers: Mapping[str, str], secret_headers: Iterable[str] = ()) -> dict[str, str]:
        """Headers with lower-case names; those that carry credentials are hidden."""
        secret = frozenset(secret_headers)
        return {
            name.lower(): HIDDEN if _carries_secret(name.lower(), secret) else self.text(value)
            for name, value in headers.items()
        }


def mask(value: Json, personal_keys: Iterable[str] = (), secret_values: Iterable[str] = ()) -> Json:
    """`Masker.value` for a single use."""
    return Masker(personal_keys, secret_values).value(value)


def mask_headers(
    headers: Mapping[str, str], secret_headers: Iterable[str] = (), secret_values: Iterable[str] = ()
) -> dict[str, str]:
    """`Masker.headers` for a single use."""
    return Masker((), secret_values).headers(headers, secret_headers)


@lru_cache(maxsize=1024)
def _carries_secret(name: str, secret: frozenset[str]) -> bool:
    named = name in _SECRET_HEADERS or name in {one.lower() for one in secret}
    return named or any(word in name for word in _SECRET_HEADER_WORDS)


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool) and str(value).strip():
        yield str(value)


def _hide(value: Json) -> Json:
    """Every leaf hidden; what is empty stays visible as empty, for that is often the fault that is looked for."""
    if isinstance(value, Mapping):
        return {key: _hide(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(item) for item in value]
    return value if value is None or value == "" or isinstance(value, bool) else HIDDEN


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").casefold()


def without(value: Json, secrets: Iterable[str]) -> Json:
    """A JSON value in which nothing but these secrets is hidden: a value that has none of them is returned as it is."""
    known = [secret for secret in secrets if secret]
    return _without(value, known) if known and _holds(value, known) else value


def _holds(value: Json, secrets: list[str]) -> bool:
    if isinstance(value, str):
        return any(secret in value for secret in secrets)
    if isinstance(value, Mapping):
        return any(_holds(part, secrets) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple) and any(_holds(item, secrets) for item in value)


def _without(value: Json, secrets: list[str]) -> Json:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {_without(key, secrets): _without(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without(item, secrets) for item in value]
    return value
