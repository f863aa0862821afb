"""Proofs that are a secret sent along: a header of its own, bearer, basic; and none, when written so."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from app.core.signature_config import Example, SchemeReader, Verdict, raw, same

MISSING = Verdict(ok=False, cause="missing credentials")
BAD = Verdict(ok=False, cause="bad credentials")
_AUTHORIZATION = frozenset({"authorization"})


@dataclass(frozen=True, slots=True)
class StaticHeader:
    """A header whose whole value is the secret."""

    header: str
    secrets: tuple[bytes, ...]
    challenge: str = ""

    @property
    def secret_headers(self) -> frozenset[str]:
        """The header itself."""
        return frozenset({self.header})

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Judge a message by its header alone."""
        given = headers.get(self.header, "")
        if not given:
            return MISSING
        return Verdict(ok=True) if same(raw(given), self.secrets) else BAD

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The header with the first secret, byte for byte: headers are handed over as Latin-1."""
        return {self.header: self.secrets[0].decode("latin-1")}


@dataclass(frozen=True, slots=True)
class Authorization:
    """The `Authorization` header with a bearer token, or with user and password."""

    word: str  # "Bearer" | "Basic"
    secrets: tuple[bytes, ...]  # tokens, or "user:password"
    secret_headers: frozenset[str] = _AUTHORIZATION

    @property
    def challenge(self) -> str:
        """What a refused sender is told to use."""
        return f'{self.word} realm="webhooks"'

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Judge a message by its header alone."""
        word, _, rest = headers.get("authorization", "").partition(" ")
        given = raw(rest.strip())
        if word.lower() != self.word.lower() or not given:
            return MISSING
        if self.word == "Basic":
            try:
                given = base64.b64decode(given, validate=True)
            except (binascii.Error, ValueError):
                return BAD
        return Verdict(ok=True) if same(given, self.secrets) else BAD

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The header with the first token or user."""
        secret = self.secrets[0]
        value = base64.b64encode(secret) if self.word == "Basic" else secret
        return {"authorization": f"{self.word} {value.decode('latin-1')}"}


@dataclass(frozen=True, slots=True)
class Unverified:
    """Everybody is believed: for a sender that signs nothing, behind a network that keeps others out."""

    secret_headers: frozenset[str] = frozenset()
    challenge: str = ""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Always accepted."""
        return Verdict(ok=True)

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """Nothing to add."""
        return {}


def read_static_header(reader: SchemeReader) -> StaticHeader:
    """`static_header`."""
    return StaticHeader(header=reader.header("header"), secrets=reader.secrets("secrets"))


def read_bearer(reader: SchemeReader) -> Authorization:
    """`bearer`: `tokens`, or `secrets` as everywhere else."""
    tokens = reader.secrets("tokens" if reader.has("tokens") else "secrets")
    return Authorization(word="Bearer", secrets=tokens)


def read_basic(reader: SchemeReader) -> Authorization:
    """`basic`: `username` and `password`, or a list of them under `users`."""
    if not reader.has("users"):
        return Authorization(word="Basic", secrets=_user(reader))
    users = reader.use("users")
    found: list[bytes] = []
    for number, user in enumerate(users if isinstance(users, list) else []):
        if isinstance(user, Mapping):
            part = SchemeReader(user, f"verify.users[{number}]")
            found += _user(part)
            reader.join(part)
        else:
            reader.fault(f"users[{number}]", "must be a block of username and password")
    if not isinstance(users, list) or not users:
        reader.fault("users", "must be a list of username and password")
    return Authorization(word="Basic", secrets=tuple(found))


def read_none(reader: SchemeReader) -> Unverified:
    """`none`: no key but the scheme."""
    return Unverified()


def _user(reader: SchemeReader) -> tuple[bytes, ...]:
    name, password = reader.text("username"), reader.secrets("password")
    if ":" in name:
        reader.fault("username", "must not hold a colon")
    if len(password) > 1:
        reader.fault("password", "must be one text: write several under users")
    return tuple(name.encode() + b":" + word for word in password)


_NOW = datetime(2026, 11, 22, 1, 0, 0, tzinfo=UTC)

EXAMPLES = (
    Example(
        "a secret in a header of its own",
        {"scheme": "static_header", "header": "X-Webhook-Token", "secrets": "test-secret"},
        {"x-webhook-token": "test-secret"},
        b"{}",
        _NOW,
    ),
    Example(
        "a bearer token; two while they are changed",
        {"scheme": "bearer", "tokens": ["new-token", "test-token"]},
        {"authorization": "Bearer test-token"},
        b"{}",
        _NOW,
    ),
    Example(
        "user and password",
        {"scheme": "basic", "username": "shop", "password": "test-secret"},
        {"authorization": "Basic c2hvcDp0ZXN0LXNlY3JldA=="},
        b"{}",
        _NOW,
    ),
    Example(
        "several users",
        {
            "scheme": "basic",
            "users": [{"username": "old", "password": "old-secret"}, {"username": "shop", "password": "test-secret"}],
        },
        {"authorization": "Basic c2hvcDp0ZXN0LXNlY3JldA=="},
        b"{}",
        _NOW,
    ),
    Example("nothing is verified, and it says so", {"scheme": "none"}, {}, b"{}", _NOW),
)
