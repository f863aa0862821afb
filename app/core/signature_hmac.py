"""Signatures made with a shared secret over the raw body: HMAC in its many spellings, and Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import AnyStr

from app.core.signature_config import Example, SchemeReader, Verdict, raw
from app.core.signature_stamps import Parts, Timestamp, read_parts, read_timestamp

_SIZES = {"sha1": 20, "sha256": 32, "sha512": 64}
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_MAX_ID = 200

GOOD = Verdict(ok=True)
MISSING = Verdict(ok=False, cause="missing signature")
BAD = Verdict(ok=False, cause="bad signature")
NO_TIME = Verdict(ok=False, cause="missing timestamp")
OLD = Verdict(ok=False, cause="timestamp outside tolerance")


@dataclass(frozen=True, slots=True)
class Hmac:
    """HMAC of the raw body, or of a template of time and body, in a header."""

    header: str
    hash: str
    encoding: str
    prefix: str
    secrets: tuple[bytes, ...]
    timestamp: Timestamp | None
    parts: Parts | None = None  # the header holds the time too, and perhaps several signatures
    secret_headers: frozenset[str] = frozenset()
    challenge: str = ""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Judge a message: the signature first, so that "too old" is only said of an honest one."""
        given = headers.get(self.header, "")
        if not given:
            return MISSING
        if self.encoding == "hex" and self.timestamp is None:
            # The commonest way by the shortest way: nothing but the digest's own hex is equal to it.
            if not given.isascii() or not given.startswith(self.prefix):
                return BAD
            text = given[len(self.prefix) :].lower()
            return GOOD if _any_equal([text], [digest.hex() for digest in self._digests(body)]) else BAD
        stamp, texts = self._read(given)
        signatures = [found for text in texts if (found := decode(text, self.encoding, _SIZES[self.hash])) is not None]
        if not signatures:
            return BAD
        if self.timestamp:
            if self.parts is None:
                stamp = headers.get(self.timestamp.header, "")
            if not stamp:
                return NO_TIME
            if not self.timestamp.written(stamp):
                return BAD
            body = self.timestamp.signed(stamp.encode(), body)
        if not _any_equal(signatures, self._digests(body)):
            return BAD
        if self.timestamp and not self.timestamp.fresh(stamp, now):
            return OLD
        return GOOD

    def _digests(self, body: bytes) -> list[bytes]:
        return [hmac.digest(secret, body, self.hash) for secret in self.secrets]

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The signature header, and the timestamp's where there is one."""
        stamp = str(int(now.timestamp()))
        if self.timestamp:
            body = self.timestamp.signed(stamp.encode(), body)
        digest = hmac.digest(self.secrets[0], body, self.hash)
        text = base64.b64encode(digest).decode() if self.encoding == "base64" else digest.hex()
        if self.parts:
            return {self.header: self.parts.join(stamp, text)}
        added = {self.timestamp.header: stamp} if self.timestamp else {}
        return {self.header: self.prefix + text, **added}

    def _read(self, given: str) -> tuple[str, list[str]]:
        if self.parts:
            return self.parts.split(given)
        return "", [given[len(self.prefix) :]] if given.startswith(self.prefix) else []


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """The scheme of standardwebhooks.com: id, time and body are signed, several signatures may be sent."""

    secrets: tuple[bytes, ...]
    tolerance_s: float
    names: tuple[str, str, str] = ("webhook-id", "webhook-timestamp", "webhook-signature")
    secret_headers: frozenset[str] = frozenset()
    challenge: str = ""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Judge a message; its id is in the verdict."""
        message, stamp, given = (headers.get(name, "") for name in self.names)
        if not given or not message:
            return MISSING
        if not stamp:
            return NO_TIME
        if len(message) > _MAX_ID or not _TIMESTAMP.fullmatch(stamp):
            return BAD
        signed = b".".join((raw(message), stamp.encode(), body))
        parts = [part.partition(",") for part in given.split(" ")[:20]]
        signatures = [decode(text, "base64", 32) for version, _, text in parts if version == "v1"]
        digests = [hmac.digest(secret, signed, "sha256") for secret in self.secrets]
        if not _any_equal([signature for signature in signatures if signature is not None], digests):
            return BAD
        if abs(now.timestamp() - int(stamp)) > self.tolerance_s:
            return OLD
        return Verdict(ok=True, vendor_id=message)

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The three headers; the id is made from the body, so that the same message keeps its id."""
        message, stamp = f"msg_{sha256(body).hexdigest()[:24]}", str(int(now.timestamp()))
        digest = hmac.digest(self.secrets[0], b".".join((message.encode(), stamp.encode(), body)), "sha256")
        return dict(zip(self.names, (message, stamp, f"v1,{base64.b64encode(digest).decode()}"), strict=True))


def decode(text: str, encoding: str, size: int) -> bytes | None:
    """A signature's bytes from hex (any case) or strict base64, None when it is not exactly `size` bytes of it."""
    if encoding in ("hex", "auto") and len(text) == 2 * size and _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if encoding == "hex" or not text.isascii():
        return None
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Decoding ignores stray trailing bits; only the one canonical spelling is taken.
    return found if len(found) == size and base64.b64encode(found) == text.encode() else None


def read_hmac(reader: SchemeReader) -> Hmac:
    """`hmac`: any header, hash and encoding."""
    return _read(reader, reader.choice("hash", tuple(_SIZES), "sha256"))


def read_hmac_sha256(reader: SchemeReader) -> Hmac:
    """`hmac_sha256`: `hmac` with its commonest hash."""
    return _read(reader, "sha256")


def read_standard_webhooks(reader: SchemeReader) -> StandardWebhooks:
    """`standard_webhooks`: secrets as `whsec_` and base64; `prefix` where the headers begin with another word."""
    keys = []
    for secret in reader.secrets("secrets"):
        text = secret.removeprefix(b"whsec_")
        try:
            # Senders show some secrets without the = at the end.
            key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if key:
            keys.append(key)
        else:
            reader.fault("secrets", "must be base64 behind whsec_, as the sender shows it")
    prefix = reader.header("prefix", "webhook-")
    return StandardWebhooks(
        secrets=tuple(keys),
        tolerance_s=reader.duration("tolerance", "5m"),
        names=(f"{prefix}id", f"{prefix}timestamp", f"{prefix}signature"),
    )


def _read(reader: SchemeReader, hash_name: str) -> Hmac:
    prefix = "" if reader.use("prefix") in (None, "") else reader.text("prefix")
    timestamp = None
    part = reader.part("timestamp")
    if part:
        timestamp = read_timestamp(part, in_header=not reader.has("separator"))
        reader.join(part)
    return Hmac(
        header=reader.header("header"),
        hash=hash_name,
        encoding=reader.choice("encoding", ("hex", "base64", "auto"), "hex"),
        prefix=prefix,
        secrets=reader.secrets("secrets"),
        timestamp=timestamp,
        parts=read_parts(reader, timestamp, prefix),
    )


def _any_equal(given: Sequence[AnyStr], right: Sequence[AnyStr]) -> bool:
    # All are compared, so that the time it takes does not tell which of them fits.
    found = False
    for one in given:
        for other in right:
            found |= hmac.compare_digest(one, other)
    return found


_NOW = datetime(2026, 11, 22, 1, 0, 0, tzinfo=UTC)
_BODY = b'{"event":"shipment.label_created","data":{"id":"s-1","returnOrderId":"ro-1"}}'

EXAMPLES = (
    Example(
        "HMAC-SHA256 of the body, in hex",
        {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": "test-secret"},
        {"x-signature": "7d153f921e84fd67bc60d9d3613d88064be43846b2c0649f6c9443c9bf1a0f87"},
        _BODY,
        _NOW,
    ),
    Example(
        "HMAC-SHA256 in hex or base64, whichever comes; two secrets while they are changed",
        {"scheme": "hmac", "header": "X-Signature", "encoding": "auto", "secrets": ["new-secret", "test-secret"]},
        {"x-signature": "fRU/kh6E/We8YNnTYT2IBkvkOEaywGSfbJRDyb8aD4c="},
        _BODY,
        _NOW,
    ),
    Example(
        "a prefix, and a signed time of sending",
        {
            "scheme": "hmac",
            "header": "X-Hub-Signature",
            "hash": "sha512",
            "prefix": "sha512=",
            "secrets": "test-secret",
            "timestamp": {"header": "X-Hub-Timestamp", "tolerance": "5m", "template": "{timestamp}.{body}"},
        },
        {
            "x-hub-timestamp": "1795309200",
            "x-hub-signature": "sha512=6e8ec5d1b7a6f94a89e933dcf5a6203b14d4a32950494dc5057dd2222ead15eb"
            "706d3f7b83a88b037b7d81a2850193bd374f2cb91b468017eaf8909398b138ed",
        },
        b'{"id":1}',
        _NOW,
    ),
    Example(
        "one header for the time and the signatures of each active secret",
        {
            "scheme": "hmac",
            "header": "X-Signature",
            "encoding": "base64",
            "separator": ", ",
            "secrets": "whsec_test_token",
            "timestamp": {"tolerance": "5m", "form": "any"},
        },
        {"x-signature": "1795309200, KpdQpme1OZPYUDx9np5Yz8CjFhX3QDizZo7at/2TuEM="},
        b'{"id":1}',
        _NOW,
    ),
    Example(
        "the same with a word before each part",
        {
            "scheme": "hmac",
            "header": "X-Signature",
            "encoding": "hex",
            "separator": ",",
            "prefix": "v1=",
            "secrets": "whsec_test_token",
            "timestamp": {"prefix": "t=", "tolerance": "5m"},
        },
        {"x-signature": "t=1795309200,v1=2a9750a667b53993d8503c7d9e9e58cfc0a31615f74038b3668edab7fd93b843"},
        b'{"id":1}',
        _NOW,
    ),
    Example(
        "Standard Webhooks",
        {"scheme": "standard_webhooks", "secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC),
    ),
    Example(
        "Standard Webhooks of a sender whose headers begin with a word of its own",
        {"scheme": "standard_webhooks", "prefix": "x-hook-", "secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        {
            "x-hook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "x-hook-timestamp": "1614265330",
            "x-hook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC),
    ),
)
