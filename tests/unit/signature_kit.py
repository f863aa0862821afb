"""Messages for the table of signatures: one rightly proven for each way to prove it, and what can be wrong with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.signatures import build, sign, verify

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
BODY = b'{"event":"return.received","data":{"id":"r-1","number":"R-1001","amount":4.10}}'
OLD, NEW, OTHER = "test-old-secret", "test-new-secret", "test-another-secret"


@dataclass(frozen=True)
class Message:
    """One message and what the hub must think of it."""

    config: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes = BODY
    now: datetime = NOW

    @property
    def cause(self) -> str:
        """Why it is refused; "" when it is believed."""
        verdict = verify(self.config, self.headers, self.body, self.now)
        assert verdict.ok == (not verdict.cause)
        return verdict.cause


def kind_of(config: Mapping[str, Any]) -> str:
    """What can be told from such a proof: the columns of the table."""
    scheme = config["scheme"]
    if scheme in ("hmac", "hmac_sha256"):
        return "parts" if config.get("separator") else "timed" if config.get("timestamp") else "plain"
    return str(scheme)


def with_secrets(config: Mapping[str, Any], *secrets: str) -> dict[str, Any]:
    """The same way to prove, with these secrets."""
    if config["scheme"] == "basic":
        kept = {key: value for key, value in config.items() if key not in ("username", "password", "users")}
        return {**kept, "users": [{"username": "shop", "password": secret} for secret in secrets]}
    if config["scheme"] == "standard_webhooks":
        secrets = tuple("whsec_" + base64.b64encode(secret.encode()).decode() for secret in secrets)
    return {**config, "tokens" if "tokens" in config else "secrets": list(secrets)}


def proven(config: Mapping[str, Any], *secrets: str, body: bytes = BODY, now: datetime = NOW) -> Message:
    """A message with the proof that the first of the secrets makes."""
    made = with_secrets(config, *(secrets or (NEW, OLD)))
    return Message(made, sign(made, body, now))


def proof_of(message: Message) -> tuple[str, str, str]:
    """The header that holds the proof, what stands before it in there, and the proof itself."""
    scheme: Any = build(message.config)
    kind = kind_of(message.config)
    if kind == "standard_webhooks":
        name, head = scheme.names[2], "v1,"
    elif kind == "parts":
        name = scheme.header
        head = message.headers[name][: message.headers[name].rindex(scheme.parts.separator)]
        head += scheme.parts.separator + scheme.parts.signature
    elif kind in ("bearer", "basic"):
        name, head = "authorization", f"{scheme.word} "
    else:
        name, head = scheme.header, getattr(scheme, "prefix", "")
    value = message.headers[name]
    assert value.startswith(head)
    return name, head, value[len(head) :]


def changed(change: Callable[[str], str]) -> Callable[[Mapping[str, Any]], Message]:
    """A message whose proof was changed so."""

    def make(config: Mapping[str, Any]) -> Message:
        message = proven(config)
        name, head, proof = proof_of(message)
        return replace(message, headers={**message.headers, name: head + change(proof)})

    return make


def header(change: Callable[[str], str] | None) -> Callable[[Mapping[str, Any]], Message]:
    """A message whose whole header was changed so, or taken away."""

    def make(config: Mapping[str, Any]) -> Message:
        message = proven(config)
        name, _, _ = proof_of(message)
        rest = {key: value for key, value in message.headers.items() if key != name}
        return replace(message, headers=rest if change is None else {**rest, name: change(message.headers[name])})

    return make


def several(*others: str, own: bool) -> Callable[[Mapping[str, Any]], Message]:
    """A message with the proofs that these secrets make, and perhaps its own, in the way that the scheme joins them."""

    def make(config: Mapping[str, Any]) -> Message:
        message = proven(config)
        name, head, proof = proof_of(message)
        proofs = [proof_of(proven(config, other))[2] for other in others] + ([proof] if own else [])
        kind, scheme = kind_of(config), build(message.config)
        if kind == "standard_webhooks":
            value = " ".join(f"v1,{one}" for one in proofs)
        elif kind == "parts":
            parts: Any = scheme.parts  # type: ignore[attr-defined]
            value = head + f"{parts.separator}{parts.signature}".join(proofs)
        else:
            value = head + ",".join(proofs)
        return replace(message, headers={**message.headers, name: value})

    return make


def other_encoding(proof: str) -> str:
    """Base64 as hex, hex as base64; a secret as its hex."""
    try:
        return base64.b64encode(bytes.fromhex(proof)).decode()
    except ValueError:
        pass
    try:
        return base64.b64decode(proof, validate=True).hex()
    except ValueError:
        return proof.encode().hex()


def reserialised(config: Mapping[str, Any]) -> Message:
    """The same JSON, written by another library."""
    body = json.dumps(json.loads(BODY), indent=1).encode()
    assert json.loads(body) == json.loads(BODY)
    return replace(proven(config), body=body)


def one_byte(config: Mapping[str, Any]) -> Message:
    """A body in which one byte is another."""
    return replace(proven(config), body=BODY.replace(b"R-1001", b"R-1002"))


def at(minutes: int) -> Callable[[Mapping[str, Any]], Message]:
    """A message that was signed so many minutes from now."""
    return lambda config: proven(config, now=NOW + timedelta(minutes=minutes))


def signed_by(signer: str, *known: str) -> Callable[[Mapping[str, Any]], Message]:
    """A message that one secret proves, where these are configured."""
    return lambda config: replace(proven(config, signer), config=with_secrets(config, *known))
