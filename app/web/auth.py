"""Who may use the API: whoever holds a token, and what the token's role allows.

Who is not let in learns nothing: every path of the API, there or not, with any method, gives the same answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, TypeVar

import structlog
from flask import Flask, Response, current_app, g, request

from app.core.api_tokens import ApiToken, Role, allows, digest, id_of
from app.core.ports import Clock
from app.core.signature_config import raw, same
from app.core.site import Hub
from app.errors import LedgerUnavailable
from app.web.answers import Refusal
from app.web.ports import TokenLedger

log = structlog.get_logger()

#: How long a process believes what it looked up of a token: so long after a revoke it is still let in, at most.
BELIEVED_S = 2.0
#: So often the use of one token is noted by one process; the ledger itself notes it once a minute.
_NOTED_EACH_S = 60.0
#: Tokens that a process remembers. Only those that exist are; with more it begins anew.
_REMEMBERED = 1_000
#: Lines in the log about those who are not let in: each cause at most so often.
_TOLD_EACH_S = 1.0

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_NOBODY = digest("")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="backhaul"'}

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes the current request: `who` as the audit has it."""

    who: str
    role: Role


def caller() -> Caller:
    """Who makes the current request; it was let in."""
    found: Caller = g.caller
    return found


def needs(role: Role) -> Callable[[View], View]:
    """Says of a function that acts that it needs another role than that of an operator."""

    def mark(view: View) -> View:
        view.needs = role  # type: ignore[attr-defined]
        return view

    return mark


class Door:
    """Lets requests in, or not. One per process, for all its threads."""

    def __init__(self, hub: Hub, ledger: TokenLedger, clock: Clock) -> None:
        self._own = (hub.api_token.encode("utf-8", "surrogateescape"),) if hub.api_token else ()
        self._guarded = {"api", "metrics"} if hub.metrics == "token" else {"api"}
        self._ledger, self._clock = ledger, clock
        self._known: dict[str, tuple[ApiToken, float]] = {}
        self._noted: dict[str, float] = {}
        self._told: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None

    def install(self, app: Flask) -> None:
        """Stand before every path of the application that needs a token, those that lead nowhere included."""
        app.before_request(self._let_in)
        app.after_request(self._not_kept)

    def forget(self, token_id: str) -> None:
        """Look a token up again when it comes next."""
        self._known.pop(token_id, None)

    def close(self) -> None:
        """Wait until what is being noted is written."""
        if self._writer:
            self._writer.join(5)

    def _let_in(self) -> None:
        if not self._guards():
            return
        g.caller = self._caller(request.headers.get("Authorization", ""))
        needed = self._needed(request.endpoint)
        if not allows(g.caller.role, needed):
            what = f"this needs the role {needed}, and the token has the role {g.caller.role}"
            raise Refusal(403, "forbidden", what)

    def _guards(self) -> bool:
        # Further slashes before it are taken away already: the router would lead them on, and so tell what is there.
        return request.path[1:].partition("/")[0] in self._guarded

    def _needed(self, endpoint: str | None) -> Role:
        if request.method in _READING:
            return "reader"
        role: Role = getattr(current_app.view_functions.get(endpoint or ""), "needs", "operator")
        return role

    def _caller(self, header: str) -> Caller:
        word, _, given = header.partition(" ")
        given = given.strip()
        if word.lower() != "bearer" or not given:
            raise _refused()
        if same(raw(given), self._own):
            return Caller("api_token of hub.yaml", "admin")
        token_id = id_of(given)
        token = self._token(token_id) if token_id else None
        if not compare_digest(digest(given), token.digest if token else _NOBODY) or token is None:
            self._tell("wrong")
            raise _refused()
        state = token.state(self._clock.now())
        if state != "live":
            self._tell(state, token.who)
            raise _refused()
        self._note(token.token_id)
        return Caller(token.who, token.role)

    def _token(self, token_id: str) -> ApiToken | None:
        now = self._clock.monotonic()
        known = self._known.get(token_id)
        if known and now - known[1] < BELIEVED_S:
            return known[0]
        token = self._ledger.api_token(token_id)
        self.forget(token_id)
        if token:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[token_id] = token, now
        return token

    def _note(self, token_id: str) -> None:
        """Have the use written by a thread of its own: a ledger that is busy keeps no request waiting."""
        now = self._clock.monotonic()
        with self._lock:
            if now - self._noted.get(token_id, -_NOTED_EACH_S) < _NOTED_EACH_S:
                return
            if self._writer and self._writer.is_alive():
                return
            if len(self._noted) >= _REMEMBERED:
                self._noted.clear()
            self._noted[token_id] = now
            self._writer = threading.Thread(target=self._write, args=(token_id,), name="token used", daemon=True)
            self._writer.start()

    def _write(self, token_id: str) -> None:
        try:
            self._ledger.used_api_token(token_id)
        except LedgerUnavailable as error:
            # The next use is noted, or the one after that.
            log.info("api.use_not_noted", error=str(error))
            with self._lock:
                self._noted.pop(token_id, None)

    def _tell(self, cause: str, who: str = "") -> None:
        """Tell the log why somebody was not let in; of those who come all at once only how many they were."""
        now = self._clock.monotonic()
        with self._lock:
            last, untold = self._told.get(cause, (-_TOLD_EACH_S, 0))
            if now - last < _TOLD_EACH_S:
                self._told[cause] = last, untold + 1
                return
            self._told[cause] = now, 0
        log.warning("api.refused", cause=cause, who=who, untold=untold)

    def _not_kept(self, response: Response) -> Response:
        if self._guards():
            response.headers["Cache-Control"] = "no-store"
        return response


def _refused() -> Refusal:
    return Refusal(401, "unauthorized", "send a token of this hub as `Authorization: Bearer …`", _CHALLENGE)
