"""Log in: one login at a time for all workers, its token shared until shortly before it ends.

Redis carries what the workers share; without it each process logs in for itself. A token is in memory and in Redis
only: no record, no log and no answer of a target that is kept ever holds it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from uuid import uuid4

import structlog

from app.core.auth_token import Token, TokenAuth, TokenCall, read_token, token_request
from app.core.connectors import Connection
from app.core.jsontext import dump_text, loads
from app.core.login_answers import refused, unread, went_wrong
from app.core.masking import without
from app.core.ports import Clock
from app.core.strands import aside
from app.errors import DataError, QueueUnavailable
from app.model import Json, NoResponse, Outcome, Request, Response
from app.pipeline.engine_ports import KeepsTokens, SendsHttp
from app.pipeline.gates import Gate

log = structlog.get_logger()

#: A login may take so long, and no call waits longer for another worker's.
LOGIN_S = 10.0
#: A lock outlives the login of whoever holds it by so much.
_MARGIN_S = 3.0
_LOOK_AGAIN_S = 0.05
#: Who waited for a login that failed is told so, and does not try for itself: a vendor may lock an account.
_FAILED_S = 2.0
#: What renews a token is kept for so long after the token's end.
_REFRESHABLE_S = 86_400.0
_LEAST_S = 0.1


@dataclass(frozen=True, slots=True)
class NotLoggedIn:
    """No call was made, because there is no token; the outcome is that of the login."""

    outcome: Outcome


class Logins:
    """Sends the calls of connections that have to log in. Used by many threads."""

    def __init__(
        self,
        http: SendsHttp,
        clock: Clock,
        shared: KeepsTokens | None = None,
        learned: Callable[[str, str], object] = lambda connection, secret: None,
    ) -> None:
        """`learned` is told every token, with its connection, before it is used: a log has to hide it."""
        self._http, self._clock, self._shared, self._learned = http, clock, shared, learned
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._tokens: dict[str, Token] = {}
        self._failed: dict[str, tuple[float, Outcome]] = {}
        self._never = threading.Event()
        self._alone = False

    def send(
        self, target: Connection, gate: Gate, request: Request, timeout_s: float
    ) -> Response | NoResponse | NotLoggedIn:
        """Send a request with the connection's token, logged in before if need be; all of it within `timeout_s`.

        A token that the target refuses (401) is replaced by ONE new login and the request sent again.
        """
        auth = _auth(target)
        end = self._clock.monotonic() + timeout_s
        token = self.token(target, gate, timeout_s)
        if isinstance(token, Outcome):
            return NotLoggedIn(token)
        if (left := end - self._clock.monotonic()) < _LEAST_S:
            return NotLoggedIn(Outcome("retry", "logging in took all the time there was", "transient"))
        answer = self._http.send(target, request, left, auth.headers(token))
        values = {token.value}
        if isinstance(answer, Response) and answer.status == 401:
            log.info("login.refused_token", connection=target.name)
            left = end - self._clock.monotonic()
            second = self.token(target, gate, left, bad=token.value)
            if isinstance(second, Outcome):
                return NotLoggedIn(second)
            values.add(second.value)
            left = end - self._clock.monotonic()
            if left < _LEAST_S:
                return NotLoggedIn(Outcome("retry", "logging in again took all the time there was", "transient"))
            answer = self._http.send(target, request, left, auth.headers(second))
        return _clean(answer, values)

    def token(self, target: Connection, gate: Gate, patience_s: float, bad: str = "") -> Token | Outcome:
        """A token that is good as far as anybody knows, or why there is none. `bad` was refused a moment ago."""
        end = self._clock.monotonic() + patience_s
        usable = self._known(target, bad)
        if usable and self._fresh(usable):
            return usable
        lock = self._locks[target.name]
        # With a token that still works for a while nobody has to wait until it is renewed.
        wait_s = max(0.0, min(patience_s, LOGIN_S + _MARGIN_S))
        if not lock.acquire(blocking=False) and (usable or not aside(lambda: lock.acquire(timeout=wait_s))):
            return usable or _waited()
        try:
            return self._renewed(target, gate, end, bad)
        finally:
            lock.release()

    def _renewed(self, target: Connection, gate: Gate, end: float, bad: str) -> Token | Outcome:
        key = _key(target)
        while True:
            usable = self._known(target, bad)
            if usable and self._fresh(usable):
                return usable
            last = self._read_shared(target, key)
            usable = self._known(target, bad)
            if usable and self._fresh(usable):
                return usable
            if refused := self._failed_lately(target):
                return usable or refused
            with self._turn(key) as mine:
                if mine:
                    # The one before may have finished between the two looks.
                    last = self._read_shared(target, key) or last
                    usable = self._known(target, bad)
                    if usable and self._fresh(usable):
                        return usable
                    if refused := self._failed_lately(target):
                        return usable or refused
                    return self._log_in(target, gate, end, bad, last, key)
            if usable:
                return usable
            if self._clock.monotonic() >= end:
                return _waited()
            aside(lambda: self._never.wait(_LOOK_AGAIN_S))

    def _log_in(
        self, target: Connection, gate: Gate, end: float, bad: str, last: Token | None, key: str
    ) -> Token | Outcome:
        auth = _auth(target)
        now = self._clock.now().timestamp()
        last = last or self._tokens.get(target.name)
        made: Token | Outcome | None = None
        if auth.refresh and last and last.refresh and last.value != bad:
            made = self._ask(target, gate, auth.refresh, end, last.refresh)
            if isinstance(made, Outcome) and made.pause:
                made = None  # it is used up: the login can still be made
        if made is None:
            made = self._ask(target, gate, auth.login, end)
        if isinstance(made, Token):
            self._keep(target, made)
            self._failed.pop(target.name, None)
            lasts = made.ends_at - now + (_REFRESHABLE_S if made.refresh else 0.0)
            self._share(key, dump_text({"token": made.to_json()}), lasts)
            return made
        self._failed[target.name] = (self._clock.monotonic() + _FAILED_S, made)
        told = {"result": made.result, "because": made.because, "fault": made.fault, "pause": made.pause}
        self._share(f"failed:{key}", dump_text(told), _FAILED_S)
        log.warning("login.failed", connection=target.name, because=made.because, fault=made.fault)
        usable = self._known(target, bad)
        return usable if usable and not made.pause else made

    def _ask(
        self, target: Connection, gate: Gate, call: TokenCall, end: float, refresh_token: str = ""
    ) -> Token | Outcome:
        auth = _auth(target)
        secrets = target.secret_values | {refresh_token}
        try:
            request = token_request(target.name, call, target.settings, refresh_token)
        except DataError as error:
            return unread(str(error), secrets)
        wait = gate.take_rate(max(0.0, end - self._clock.monotonic()))
        left = min(LOGIN_S, end - self._clock.monotonic())
        if wait is not None or left < _LEAST_S:
            return Outcome("retry", "no time was left to log in", "transient", retry_after_s=wait)
        started = self._clock.monotonic()
        answer = self._http.send(target, request, left)
        if isinstance(answer, NoResponse):
            return went_wrong(answer, secrets)
        if not 200 <= answer.status < 300:
            return refused(answer, secrets, self._clock.now())
        try:
            made = read_token(auth, call, answer.body, self._clock.now().timestamp(), refresh_token)
        except DataError as error:
            return unread(f"{answer.status}, but {error.path}: {error.what}", secrets)
        took_ms = round((self._clock.monotonic() - started) * 1000)
        log.info("login.made", connection=target.name, by=request.operation, ms=took_ms)
        return made

    # --- what is known -------------------------------------------------------------------------------

    def _known(self, target: Connection, bad: str) -> Token | None:
        known = self._tokens.get(target.name)
        return known if known and known.value != bad and self._clock.now().timestamp() < known.ends_at else None

    def _failed_lately(self, target: Connection) -> Outcome | None:
        """What came of a login that failed a moment ago, here or in another process."""
        until, outcome = self._failed.get(target.name, (0.0, None))
        return outcome if self._clock.monotonic() < until else None

    def _fresh(self, token: Token) -> bool:
        return self._clock.now().timestamp() < token.renew_at

    def _keep(self, target: Connection, token: Token) -> None:
        self._learned(target.name, token.value)
        if token.refresh:
            self._learned(f"{target.name} refresh", token.refresh)
        self._tokens[target.name] = token

    # --- what the workers share ----------------------------------------------------------------------

    def _read_shared(self, target: Connection, key: str) -> Token | None:
        with self._asking():
            if self._shared is None:
                return None
            told, failed = self._shared.get(key), self._shared.get(f"failed:{key}")
            if failed is not None:
                self._failed[target.name] = (self._clock.monotonic() + _FAILED_S, _outcome(loads(failed)))
            if told is not None:
                token = Token.from_json(loads(told)["token"])
                self._keep(target, token)
                return token
        return None

    def _share(self, key: str, value: str, seconds: float) -> None:
        with self._asking():
            if self._shared is not None:
                self._shared.put(key, value, seconds)

    @contextmanager
    def _turn(self, key: str) -> Iterator[bool]:
        """Whether this process may log in now; without Redis it always may."""
        owner, mine, held = uuid4().hex, True, False
        with self._asking():
            if self._shared is not None:
                mine = held = self._shared.lock(key, owner, LOGIN_S * 2 + _MARGIN_S)
        try:
            yield mine
        finally:
            if held and self._shared is not None:
                with suppress(QueueUnavailable):
                    self._shared.unlock(key, owner)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
            if self._alone and self._shared is not None:
                self._alone = False
        except (QueueUnavailable, DataError, KeyError, TypeError) as error:
            if not self._alone:
                log.warning("login.not_shared", because=type(error).__name__, todo="this process logs in for itself")
            self._alone = True


def _auth(target: Connection) -> TokenAuth:
    assert target.connector.token is not None
    return target.connector.token


def _key(target: Connection) -> str:
    """Other settings, other token. So short that nobody can find a password by trying."""
    told = dump_text({key: str(value) for key, value in sorted(target.settings.items())})
    return f"{target.name}:{sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _waited() -> Outcome:
    return Outcome("retry", "another worker's login took too long", "transient")


def _outcome(told: Json) -> Outcome:
    return Outcome("retry", str(told["because"]), told["fault"], pause=bool(told["pause"]))


def _clean(answer: Response | NoResponse, tokens: set[str]) -> Response | NoResponse:
    """The answer without the token, should the target have repeated it."""
    if isinstance(answer, NoResponse):
        return answer
    body, text = without(answer.body, tokens), without(answer.text, tokens)
    return replace(answer, body=body, text=text, headers=without(answer.headers, tokens))
