"""How events get to a webhook: signed anew at each try, tried again until a 2xx comes in time."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import requests

HEADER = "DigitalRiver-Signature"
#: The vendor waits no longer for an answer.
PATIENCE_S = 3.0


def signed(body: bytes, secrets: Sequence[str], at: datetime, *, form: str = "dr_base64") -> str:
    """The signature header's value: each active secret signs the same time and body.

    `dr_base64` is what the vendor's own shop cartridge reads; `stripe_like` is the other form people expect.
    """
    stamp = str(int(at.timestamp()))
    digests = [hmac.digest(secret.encode(), f"{stamp}.".encode() + body, "sha256") for secret in secrets]
    if form == "stripe_like":
        return ",".join([f"t={stamp}", *(f"v1={digest.hex()}" for digest in digests)])
    return ", ".join([stamp, *(base64.b64encode(digest).decode() for digest in digests)])


def as_sent(event: dict[str, Any]) -> bytes:
    """The event's bytes."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class Mail:
    """Sends events and remembers which of them nobody took."""

    def __init__(self, now: Callable[[], datetime], secrets: Sequence[str]) -> None:
        self._now, self.secrets = now, list(secrets)
        self.untaken: list[dict[str, Any]] = []

    def send(
        self,
        url: str,
        events: Sequence[dict[str, Any]],
        *,
        order: Sequence[int] | None = None,
        copies: int = 1,
        concurrent: bool = False,
        tries: int = 1,
        form: str = "dr_base64",
        user: str = "",
        password: str = "",
    ) -> list[int]:
        """POST events and give the statuses, one for each try; 0 is no answer in time.

        Each event is tried up to `tries` times, under the same id and with a new time and signature.
        """
        chosen = [events[place] for place in order] if order is not None else list(events)

        def one(event: dict[str, Any]) -> list[int]:
            statuses: list[int] = []
            while len(statuses) < tries and not any(200 <= status < 300 for status in statuses):
                statuses.append(self._post(url, as_sent(event), form, (user, password) if user else None))
            if not 200 <= statuses[-1] < 300:
                self.untaken.append(event)
            return statuses

        wanted = [event for event in chosen for _ in range(copies)]
        with ThreadPoolExecutor(len(wanted) or 1 if concurrent else 1) as pool:
            return [status for statuses in pool.map(one, wanted) for status in statuses]

    def _post(self, url: str, body: bytes, form: str, login: tuple[str, str] | None) -> int:
        headers = {"Content-Type": "application/json", HEADER: signed(body, self.secrets, self._now(), form=form)}
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.post(
                    url, data=body, headers=headers, auth=login, timeout=PATIENCE_S, allow_redirects=False
                ).status_code
            except requests.RequestException:
                return 0
