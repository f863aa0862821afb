"""What every vendor simulator shares: it records each request and misbehaves on demand.

A simulator is a Flask app whose vendor operations are registered with `Simulator.operation`. Beside them it answers:

    GET    /_sim/requests     what it received, with what it did about it (?operation=… for one operation,
                              ?after=NUMBER for what came later, ?limit=… for no more than so many)
    DELETE /_sim/requests     forget that
    POST   /_sim/misbehave    {"operation": "announce_return", "mode": "503", "times": 2, "retry_after": 7}
                              "body_has": "R-7" strikes only requests with this text in their body
    DELETE /_sim/misbehave    behave again (?operation=…&mode=… in this only); requests held open are let go
    POST   /_sim/seed         vendor's data; its shape is told in the simulator's own docstring
    GET    /_sim/health       {"simulator": name}
"""

from __future__ import annotations

import copy
import hmac
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from flask import Flask, Response, jsonify, request

from connectors import simraw

#: The credential that every simulator takes unless it is told another.
TOKEN = "sim-token"

#: Each way to misbehave, and whether the request takes effect all the same.
MODES = {
    "503": False,
    "429": False,
    "401": False,
    "html502": False,
    "timeout": False,
    "drop_before_apply": False,
    "slow": True,
    "timeout_after_apply": True,
    "drop": True,
    "wrong_status": True,  # `status` is what it answers all the same
    # What these answer is told in simraw.
    "truncated": True,
    "too_short": True,
    "huge": True,
    "drip": True,
    "garbage": False,
    "kill_caller": False,
}
_HELD_S = 60.0
_KEPT = 200_000


@dataclass
class Answer:
    """What an operation answers. `effect` says what it changed at the vendor; "" changed nothing."""

    body: Any
    status: int = 200
    effect: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Recorded:
    """One request as it came and what became of it. `ended_at` stays 0 while it is held open."""

    number: int
    at: float
    operation: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    status: int = 0
    effect: str = ""
    misbehaved: str = ""
    ended_at: float = 0.0


@dataclass
class Misbehaviour:
    """A fault to come. `times` counts down; None lasts until it is cleared."""

    operation: str
    mode: str
    times: int | None = 1
    retry_after: int | None = None
    seconds: float = 2.0
    status: int = 418
    body_has: str = ""


class Simulator:
    """The shared half of a simulator: register operations on it, then serve its `app`."""

    def __init__(self, name: str, *, token: str = TOKEN, seed: Callable[[Any], Any] | None = None) -> None:
        self.name, self.token, self.app = name, token, Flask(name)
        self.lock = threading.RLock()
        self.requests: deque[Recorded] = deque(maxlen=_KEPT)
        self._count = 0
        self._faults: list[Misbehaviour] = []
        self._let_go = threading.Event()
        self._seed = seed
        self.app.json.sort_keys = False  # type: ignore[attr-defined]
        self.app.extensions["simulator"] = self
        self._register_control()

    def operation(
        self, name: str, method: str, *paths: str, auth: bool = True
    ) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
        """Serve a function as the vendor's operation `name`. It runs alone: the simulator's lock is held."""

        def register(handle: Callable[..., Answer]) -> Callable[..., Answer]:
            for path in paths:

                def view(**values: str) -> Response:
                    return self._serve(name, handle, values, auth)

                self.app.add_url_rule(path, f"{name} {path}", view, methods=[method])
            return handle

        return register

    def misbehave(self, operation: str, mode: str, **details: Any) -> None:
        """Plan a fault for the next requests of an operation ("*" for any). Raises ValueError for an unknown mode."""
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is none of {', '.join(MODES)}")
        with self.lock:
            self._faults.append(Misbehaviour(operation, mode, **details))

    def behave(self, operation: str | None = None, mode: str | None = None) -> None:
        """Forget planned faults, all or those of an operation and mode, and let requests that are held open go."""
        with self.lock:
            self._faults = [
                one for one in self._faults if operation not in (None, one.operation) or mode not in (None, one.mode)
            ]
            self._let_go.set()
            self._let_go = threading.Event()

    def _after(self, number: int) -> list[Recorded]:
        with self.lock:
            # Numbers follow each other, so that what was read already need not be looked at.
            known = max(0, number - self.requests[0].number + 1) if self.requests else 0
            return list(islice(self.requests, known, None))

    def effects(self) -> list[str]:
        """What requests have changed here, in order."""
        with self.lock:
            return [one.effect for one in self.requests if one.effect]

    # --- one request -----------------------------------------------------------------------------

    def _serve(self, name: str, handle: Callable[..., Answer], values: dict[str, str], auth: bool) -> Response:
        record = self._record(name)
        fault = self._take_fault(name)
        record.misbehaved = fault.mode if fault else ""
        if auth and not self._authorized():
            answer = Answer({"message": "missing or wrong access token"}, 401)
        elif fault and not MODES[fault.mode]:
            answer = self._refuse(fault)
        else:
            with self.lock:
                answer = handle(**values)
                record.effect = answer.effect
        if fault and fault.mode == "wrong_status":
            answer = Answer(answer.body, fault.status, headers={"Location": "/elsewhere"})
        response = Response(answer.body) if isinstance(answer.body, str) else jsonify(answer.body)
        response.status_code = record.status = answer.status
        response.headers.extend(answer.headers)
        if fault:
            self._disturb(fault, response)
        record.ended_at = time.time()
        return response

    def _record(self, operation: str) -> Recorded:
        headers = {key: _masked(key, value) for key, value in request.headers.items()}
        body = request.get_json(force=True, silent=True)
        if body is None and (text := request.get_data(as_text=True)):
            body = text
        query = {key: request.args.getlist(key) for key in request.args}
        with self.lock:
            self._count += 1
            record = Recorded(
                self._count, time.time(), operation, request.method, request.path, query, headers, copy.deepcopy(body)
            )
            self.requests.append(record)
        return record

    def _authorized(self) -> bool:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())

    def _take_fault(self, operation: str) -> Misbehaviour | None:
        with self.lock:
            for fault in self._faults:
                if fault.operation not in ("*", operation):
                    continue
                if fault.body_has and fault.body_has not in request.get_data(as_text=True):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
        return None

    def _refuse(self, fault: Misbehaviour) -> Answer:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.mode == "html502":
            return Answer(
                "<html><body><h1>502 Bad Gateway</h1></body></html>", 502, headers={"Content-Type": "text/html"}
            )
        words = {"503": "down for maintenance", "429": "too many requests", "401": "access token expired"}
        status = int(fault.mode) if fault.mode in words else 504
        return Answer({"message": words.get(fault.mode, "no answer")}, status, headers=headers)

    def _disturb(self, fault: Misbehaviour, response: Response) -> None:
        let_go = self._let_go
        if fault.mode == "slow":
            let_go.wait(fault.seconds)
        elif fault.mode.startswith("timeout"):
            let_go.wait(_HELD_S)
        if fault.mode.startswith(("timeout", "drop")):
            simraw.hang_up()
        elif fault.mode in simraw.WAYS:
            simraw.spoil(fault.mode, response, let_go)

    # --- control ---------------------------------------------------------------------------------

    def _register_control(self) -> None:
        app = self.app

        @app.get("/_sim/health")
        def health() -> Response:
            return jsonify(simulator=self.name)

        @app.get("/_sim/requests")
        def list_requests() -> Response:
            wanted, limit = request.args.get("operation"), request.args.get("limit", type=int)
            found = [one for one in self._after(request.args.get("after", 0, int)) if wanted in (None, one.operation)]
            found = found[:limit]
            return jsonify(requests=[vars(one) for one in found], effects=[one.effect for one in found if one.effect])

        @app.delete("/_sim/requests")
        def forget_requests() -> Response:
            with self.lock:
                self.requests.clear()
            return jsonify(requests=[])

        @app.post("/_sim/misbehave")
        def misbehave() -> tuple[Response, int]:
            wanted = dict(request.get_json(force=True))
            try:
                self.misbehave(wanted.pop("operation", "*"), str(wanted.pop("mode", "")), **wanted)
            except (TypeError, ValueError) as error:
                return jsonify(message=str(error)), 400
            return jsonify(planned=True), 200

        @app.delete("/_sim/misbehave")
        def behave() -> Response:
            self.behave(request.args.get("operation"), request.args.get("mode"))
            return jsonify(planned=False)

        @app.post("/_sim/seed")
        def seed() -> tuple[Response, int]:
            if self._seed is None:
                return jsonify(message=f"{self.name} has nothing to seed"), 404
            with self.lock:
                return jsonify(self._seed(request.get_json(force=True))), 200


def _masked(name: str, value: str) -> str:
    return "***" if name.lower() in ("authorization", "cookie") else value
