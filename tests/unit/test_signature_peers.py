"""The libraries that senders use: what they sign the hub believes, what the hub signs they believe."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from app.core.signatures import sign, verify

SECRET, OTHER = ("whsec_" + base64.b64encode(letter * 24).decode() for letter in (b"k", b"o"))
#: As each sender calls its headers.
SENDERS = [(standardwebhooks.Webhook, "webhook-"), (svix.webhooks.Webhook, "svix-")]
SENDER = pytest.mark.parametrize(("library", "prefix"), SENDERS, ids=["standardwebhooks", "svix"])
REFUSALS = (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)
NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)


def config(prefix: str, *secrets: str) -> dict[str, Any]:
    return {"scheme": "standard_webhooks", "prefix": prefix, "secrets": list(secrets or (SECRET,))}


def sent(library: Any, prefix: str, body: str, at: datetime, *secrets: str, message: str = "msg_1") -> dict[str, str]:
    signatures = [library(secret).sign(message, at, body) for secret in (secrets or (SECRET,))]
    values = (message, str(int(at.timestamp())), " ".join(signatures))
    return {f"{prefix}{name}": value for name, value in zip(("id", "timestamp", "signature"), values, strict=True)}


@SENDER
@given(body=st.text(st.characters(codec="utf-8"), max_size=200), message=st.from_regex(r"[!-~]{1,64}", fullmatch=True))
def test_what_the_library_signs_the_hub_believes(library: Any, prefix: str, body: str, message: str) -> None:
    verdict = verify(config(prefix), sent(library, prefix, body, NOW, message=message), body.encode(), NOW)
    assert verdict.ok and verdict.vendor_id == message


@SENDER
@given(body=st.text(st.characters(codec="utf-8"), max_size=200))
def test_what_the_hub_signs_the_library_believes(library: Any, prefix: str, body: str) -> None:
    now = datetime.now(UTC)  # the libraries ask the machine's own clock
    sent_body = json.dumps({"text": body}, ensure_ascii=False).encode()
    headers = sign(config(prefix), sent_body, now)
    library(SECRET).verify(sent_body, headers)
    for wrong in (sent_body + b" ", b" " + sent_body):
        with pytest.raises(REFUSALS):
            library(SECRET).verify(wrong, headers)


@SENDER
def test_they_refuse_the_same(library: Any, prefix: str) -> None:
    body, now = '{"id":1}', datetime.now(UTC)
    good = sent(library, prefix, body, now)
    bad: dict[str, tuple[dict[str, str], str]] = {
        "another body": (good, body + " "),
        "old": (sent(library, prefix, body, now - timedelta(minutes=6)), body),
        "ahead": (sent(library, prefix, body, now + timedelta(minutes=6)), body),
        "another secret": (sent(library, prefix, body, now, OTHER), body),
        "another id": ({**good, f"{prefix}id": "msg_2"}, body),
        "another version": ({**good, f"{prefix}signature": good[f"{prefix}signature"].replace("v1,", "v2,")}, body),
        **{f"no {name}": ({key: one for key, one in good.items() if key != name}, body) for name in good},
        **{f"empty {name}": ({**good, name: ""}, body) for name in good},
    }
    for what, (headers, text) in bad.items():
        assert not verify(config(prefix), headers, text.encode(), now).ok, what
        with pytest.raises(REFUSALS):
            library(SECRET).verify(text, headers)


@SENDER
def test_while_a_secret_is_changed_the_sender_signs_with_both_and_either_is_enough(library: Any, prefix: str) -> None:
    headers = sent(library, prefix, "{}", NOW, OTHER, SECRET)
    assert verify(config(prefix), headers, b"{}", NOW).ok
    assert verify(config(prefix, OTHER), headers, b"{}", NOW).ok
    assert verify(config(prefix, OTHER, SECRET), sent(library, prefix, "{}", NOW), b"{}", NOW).ok


@SENDER
def test_a_secret_that_is_shown_without_its_last_signs_is_the_same_secret(library: Any, prefix: str) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 25).decode()
    bare = secret.rstrip("=")
    assert bare != secret
    assert verify(config(prefix, bare), sent(library, prefix, "{}", NOW, bare), b"{}", NOW).ok
    assert verify(config(prefix, secret), sent(library, prefix, "{}", NOW, bare), b"{}", NOW).ok


def test_headers_under_another_name_are_none() -> None:
    headers = sent(standardwebhooks.Webhook, "webhook-", "{}", NOW)
    assert verify(config("svix-"), headers, b"{}", NOW).cause == "missing signature"
