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

from app.core.signature_config import Example, SchemeReader, Verdict, raw

_SIZES = {"sha1": 20, "sha256": 32, "sha512": 64}
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_PARTS = re.compile(r"(\{timestamp\}|\{body\})")
_MAX_ID = 200

MISSING = Verdict(ok=False, cause="missing signature")
BAD = Verdict(ok=False, cause="bad signature")
NO_TIME = Verdict(ok=False, cause="missing timestamp")
OLD = Verdict(ok=False, cause="timestamp outside tolerance")


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A signed time of sending: its header (Unix seconds), how far off it may be, and what is signed with it."""

    header: str
    tolerance_s: float
    template: tuple[str, ...]  # the pieces of "{timestamp}.{body}"

    def signed(self, stamp: bytes, body: bytes) -> bytes:
        """The bytes under the signature."""
        fill = {"{timestamp}": stamp, "{body}": body}
        return b"".join(fill[piece] if piece in fill else piece.encode() for piece in self.template)


@dataclass(frozen=True, slots=True)
class Hmac:
    """HMAC of the raw body, or of a template of time and body, in a header."""

    header: str
    hash: str
    encoding: str
    prefix: str
    secrets: tuple[bytes, ...]
    timestamp: Timestamp | None
    secret_headers: frozenset[str] = frozenset()
    challenge: str = ""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Judge a message: the signature first, so that "too old" is only said of an honest one."""
        given = headers.get(self.header, "")
        if not given:
            return MISSING
        if not given.startswith(self.prefix):
            return BAD
        signature = decode(given[len(self.prefix) :], self.encoding, _SIZES[self.hash])
        if signature is None:
            return BAD
        stamp = ""
        if self.timestamp:
            stamp = headers.get(self.timestamp.header, "")
            if not stamp:
                return NO_TIME
            if not _TIMESTAMP.fullmatch(stamp):
                return BAD
            body = self.timestamp.signed(stamp.encode(), body)
        if not _signed_by_any(signature, self.secrets, body, self.hash):
            return BAD
        if self.timestamp and abs(now.timestamp() - int(stamp)) > self.timestamp.tolerance_s:
            return OLD
        return Verdict(ok=True)

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The signature header, and the timestamp's where there is one."""
        added = {}
        if self.timestamp:
            stamp = str(int(now.timestamp()))
            added[self.timestamp.header] = stamp
            body = self.timestamp.signed(stamp.encode(), body)
        digest = hmac.digest(self.secrets[0], body, self.hash)
        text = base64.b64encode(digest).decode() if self.encoding == "base64" else digest.hex()
        return {self.header: self.prefix + text, **added}


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """The scheme of standardwebhooks.com: id, time and body are signed, several signatures may be sent."""

    secrets: tuple[bytes, ...]
    tolerance_s: float
    secret_headers: frozenset[str] = frozenset()
    challenge: str = ""

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
        """Judge a message; its id is in the verdict."""
        message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        given = headers.get("webhook-signature", "")
        if not given or not message:
            return MISSING
        if not stamp:
            return NO_TIME
        if len(message) > _MAX_ID or not _TIMESTAMP.fullmatch(stamp):
            return BAD
        signed = b".".join((raw(message), stamp.encode(), body))
        found = False
        for part in given.split(" ")[:20]:
            version, _, text = part.partition(",")
            signature = decode(text, "base64", 32)
            if version == "v1" and signature is not None:
                found |= _signed_by_any(signature, self.secrets, signed, "sha256")
        if not found:
            return BAD
        if abs(now.timestamp() - int(stamp)) > self.tolerance_s:
            return OLD
        return Verdict(ok=True, vendor_id=message)

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The three headers; the id is made from the body, so that the same message keeps its id."""
        message, stamp = f"msg_{sha256(body).hexdigest()[:24]}", str(int(now.timestamp()))
        digest = hmac.digest(self.secrets[0], b".".join((message.encode(), stamp.encode(), body)), "sha256")
        return {
            "webhook-id": message,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }


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
    """`standard_webhooks`: secrets as `whsec_` and base64."""
    keys = []
    for secret in reader.secrets("secrets"):
        try:
            key = base64.b64decode(secret.removeprefix(b"whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if key:
            keys.append(key)
        else:
            reader.fault("secrets", "must be base64 behind whsec_, as the sender shows it")
    return StandardWebhooks(secrets=tuple(keys), tolerance_s=reader.duration("tolerance", "5m"))


def _read(reader: SchemeReader, hash_name: str) -> Hmac:
    prefix = "" if reader.use("prefix") in (None, "") else reader.text("prefix")
    timestamp = None
    part = reader.part("timestamp")
    if part:
        template = part.text("template", "{timestamp}.{body}")
        pieces = tuple(_PARTS.split(template))
        if pieces.count("{timestamp}") != 1 or pieces.count("{body}") != 1:
            part.fault("template", "must hold {timestamp} once and {body} once")
        timestamp = Timestamp(part.header("header"), part.duration("tolerance", "5m"), pieces)
        reader.join(part)
    return Hmac(
        header=reader.header("header"),
        hash=hash_name,
        encoding=reader.choice("encoding", ("hex", "base64", "auto"), "hex"),
        prefix=prefix,
        secrets=reader.secrets("secrets"),
        timestamp=timestamp,
    )


def _signed_by_any(signature: bytes, secrets: Sequence[bytes], body: bytes, hash_name: str) -> bool:
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(signature, hmac.digest(secret, body, hash_name))
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
)
