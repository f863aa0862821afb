"""What all signature schemes share: their shape, the verdict, and reading their YAML block without mercy."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from app.core.times import seconds
from app.model import Json


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a message is believed; `cause` says why not, in words fit for a counter's label."""

    ok: bool
    cause: str = ""
    vendor_id: str = ""  # the message's id, where the signature covers one


@dataclass(frozen=True, slots=True)
class Example:
    """A configuration with a message that it accepts, as documentation that runs."""

    title: str
    config: Mapping[str, Json]
    headers: Mapping[str, str]
    body: bytes
    now: datetime


class Scheme(Protocol):
    """One way to check a message, with its secrets."""

    @property
    def secret_headers(self) -> frozenset[str]:
        """Lower-case names of headers that carry a secret themselves and must never be kept."""

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate` on refusal, "" where the scheme has none."""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Judge a message. Never raises, whatever the headers hold."""

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The headers a sender would add."""


def same(given: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether `given` is one of `secrets`, in a time that tells neither which nor how much of it matched."""
    # Digests are compared so that not even the length of a secret shows.
    digest = sha256(given).digest()
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(digest, sha256(secret).digest())
    return found


def raw(text: str) -> bytes:
    """A header value as the bytes it was sent as: WSGI hands them over as Latin-1."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


class SchemeReader:
    """Reads one rendered block; collects every problem instead of stopping at the first."""

    def __init__(self, config: Mapping[str, Json], path: str = "verify") -> None:
        self._config, self._path = config, path
        self._used: set[str] = set()
        self._faults: list[str] = []

    def use(self, key: str) -> Json:
        """The raw value of a key, None when absent; the key counts as known."""
        self._used.add(key)
        return self._config.get(key)

    def has(self, key: str) -> bool:
        """Whether the key is written at all."""
        return key in self._config

    def fault(self, key: str, what: str) -> None:
        """Note a problem of a key."""
        self._faults.append(f"{self._path}.{key} {what}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty; `default` when absent, a problem when there is no default."""
        value = self.use(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value:
            self.fault(key, "is missing: write a text")
            return ""
        return value

    def header(self, key: str, default: str | None = None) -> str:
        """A header's name, in lower case."""
        name = self.text(key, default)
        if name and not (name.isascii() and all(char.isalnum() or char in "-_." for char in name)):
            self.fault(key, f"is {name!r}, which is no header's name")
        return name.lower()

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        """One of the given words."""
        value = self.use(key)
        if value is None:
            return default
        if value not in options:
            self.fault(key, f"is {value!r}: write one of {', '.join(options)}")
            return default
        return str(value)

    def duration(self, key: str, default: str, *, zero: bool = False) -> float:
        """Seconds, more than none unless `zero` is a choice too."""
        value = self.use(key)
        try:
            length = seconds(default if value is None else value)
        except ValueError as error:
            self.fault(key, f"is wrong: {error}")
            return 0.0
        if length < 0 or (length == 0 and not zero):
            self.fault(key, "must be longer than nothing")
        return length

    def secrets(self, key: str) -> tuple[bytes, ...]:
        """One secret or a list of them, as bytes; an empty, blank-edged or missing one is a problem."""
        value = self.use(key)
        given = value if isinstance(value, list | tuple) else [value]
        if value is None or not given:
            self.fault(key, "is missing: without a secret nothing can be verified")
            return ()
        found = []
        for number, secret in enumerate(given):
            name = f"{key}[{number}]" if isinstance(value, list | tuple) else key
            if not isinstance(secret, str):
                self.fault(name, f"must be a text, not {type(secret).__name__}")
            elif not secret:
                self.fault(name, "is empty: set the environment variable that holds the secret")
            elif secret != secret.strip():
                self.fault(name, "begins or ends with a blank or a line break: remove it")
            else:
                # An environment variable that is not UTF-8 gives its very bytes back.
                found.append(secret.encode("utf-8", "surrogateescape"))
        return tuple(found)

    def part(self, key: str) -> SchemeReader | None:
        """A reader of a nested block, None when it is absent; hand it to `join` when it is read."""
        value = self.use(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.fault(key, "must be a block of keys")
            return None
        return SchemeReader(value, f"{self._path}.{key}")

    def join(self, part: SchemeReader) -> None:
        """Take over the problems of a nested block."""
        self._faults += part.finish()

    def finish(self) -> list[str]:
        """All problems, unknown keys included."""
        known = ", ".join(sorted(self._used))
        strange = [str(key) for key in self._config if key not in self._used]
        return self._faults + [f"{self._path}.{key} is unknown here: known are {known}" for key in strange]
