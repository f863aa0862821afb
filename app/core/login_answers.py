"""What a login that gave no token means: somebody has to act, or it is tried again later. Without any secret."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from app.core.masking import Masker
from app.core.outcomes import retry_after, vendor_message
from app.model import Fault, NoResponse, Outcome, Response

_LONGEST = 300
_LATER = (408, 425, 429)


def refused(answer: Response, secrets: Iterable[str], now: datetime) -> Outcome:
    """The outcome of an answer that is no 2xx: 4xx and redirects pause the connection, all else passes."""
    words = vendor_message(answer)
    told = f"{answer.status}: {words}" if words else str(answer.status)
    if 300 <= answer.status < 500 and answer.status not in _LATER:
        because = _said(f"login refused, {told}", secrets)
        return Outcome("retry", because, "config", answer.status, pause=True)
    fault: Fault = "remote" if answer.status >= 500 else "transient"
    because = _said(f"login failed, {told}", secrets)
    return Outcome("retry", because, fault, answer.status, retry_after(answer, now))


def went_wrong(answer: NoResponse, secrets: Iterable[str]) -> Outcome:
    """The outcome when no answer came."""
    because = _said(f"login failed: {answer.what}", secrets)
    if answer.kind in ("refused", "barred"):
        return Outcome("retry", because, "config", pause=True)
    return Outcome("retry", because, "transient")


def unread(what: str, secrets: Iterable[str]) -> Outcome:
    """The outcome when the connector's words about the login do not fit its answer."""
    return Outcome("retry", _said(f"login: {what}", secrets), "config", pause=True)


def _said(text: str, secrets: Iterable[str]) -> str:
    return Masker((), secrets).text(text)[:_LONGEST]
