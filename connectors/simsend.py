"""How a simulator sends its signed messages to the hub: one or many copies, one after the other or at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import requests
from flask import Response, jsonify, request

from app.core.signatures import sign
from connectors.simkit import Simulator

_HOW = ("copies", "concurrent", "tamper")


def tells_of(sim: Simulator, path: str, change: Callable[[Any], Any], secret: str) -> None:
    """Let `POST /_sim/<path>` change what the simulator holds and, with a `url`, send the event that `change` makes.

    The message may say `secret`, `copies`, `concurrent` and `tamper`. A `KeyError` of `change` is answered with 404.
    """

    @sim.app.post(f"/_sim/{path}", endpoint=f"_sim_{path}")
    def act() -> tuple[Response, int]:
        wanted = request.get_json(force=True)
        try:
            with sim.lock:
                event = change(wanted)
        except KeyError as missing:
            return jsonify(message=f"there is no {missing}"), 404
        how = {name: wanted[name] for name in _HOW if name in wanted}
        sent = send_signed(wanted["url"], event, wanted.get("secret") or secret, **how) if "url" in wanted else []
        return jsonify(event=event, statuses=sent), 200


def send_signed(
    url: str, message: Any, secret: str, *, copies: int = 1, concurrent: bool = False, tamper: bool = False
) -> list[int]:
    """POST a message with its HMAC-SHA256 in X-Signature; the status of each copy, 0 for no answer.

    `tamper` changes a byte after signing.
    """
    body = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
    scheme = {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": [secret]}
    headers = {"Content-Type": "application/json", **sign(scheme, body, datetime.now(UTC))}
    if tamper:
        body = body.replace(b":", b": ", 1)

    def post(_: int) -> int:
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.post(url, data=body, headers=headers, timeout=30).status_code
            except requests.RequestException:
                return 0

    with ThreadPoolExecutor(copies if concurrent else 1) as pool:
        return list(pool.map(post, range(copies)))
