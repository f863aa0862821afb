"""Call: one operation at one connection. Gate, request, answer, outcome; what came of it is a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.core.connectors import Connection, Operation
from app.core.outcomes import classify
from app.core.ports import Clock, Ids
from app.core.retry import LONGEST_RETRY_AFTER_S
from app.core.site import Site
from app.errors import DataError, HubError
from app.model import Attempt, AttemptKind, Json, NoResponse, Outcome, Request, Response
from app.pipeline.engine_ports import SendsHttp
from app.pipeline.gates import PATIENCE_S, Gates
from app.pipeline.request import build_request, find_operation
from app.pipeline.tokens_login import Logins, NotLoggedIn

log = structlog.get_logger()

#: A list that goes on for longer than this is a target's fault.
_PAGES_MOST = 1_000
#: With less time than this no call is begun.
_LEAST_S = 0.05
#: After a login that failed for the moment.
_LOGIN_AGAIN_S = 5.0
_LEASE_OVER = "this worker stood still, and what it was about to send may be another one's by now"


@dataclass(frozen=True, slots=True)
class Blocked:
    """No call was made: the connection may not be called now. `until` None = until somebody resumes it."""

    connection: str
    because: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was made, and what came of it."""

    request: Request
    answer: Response | NoResponse
    outcome: Outcome
    at: datetime

    @property
    def response(self) -> Response | None:
        """The answer; None when there was none."""
        return self.answer if isinstance(self.answer, Response) else None

    def attempt(
        self,
        ids: Ids,
        kind: AttemptKind,
        number: int,
        *,
        event_id: str = "",
        delivery_id: str = "",
        step: int = 0,
        used: Mapping[str, Json] | None = None,
    ) -> Attempt:
        """The row that is kept of it. `used` are the references that went into the request."""
        request: dict[str, Any] = {
            "method": self.request.method,
            "url": self.request.url,
            "headers": dict(self.request.headers),
            "body": self.request.body,
        }
        if used:
            request["references"] = dict(used)
        return Attempt(
            attempt_id=ids.new("att"),
            kind=kind,
            at=self.at,
            connection=self.request.connection,
            operation=self.request.operation,
            number=number,
            request=request,
            response=_kept(self.answer),
            outcome=self.outcome,
            took_ms=self.answer.took_ms,
            event_id=event_id,
            delivery_id=delivery_id,
            step=step,
        )


class PagesStopped(HubError):
    """A list could not be read to its end. `why` is the call that failed, or that was not made."""

    def __init__(self, why: Called | Blocked | str) -> None:
        self.why = why
        told = why if isinstance(why, str) else why.because if isinstance(why, Blocked) else why.outcome.because
        super().__init__(f"the list could not be read to its end: {told}")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: the call that brought it, and its items without those that came before."""

    called: Called
    items: list[Json]


class Caller:
    """Makes the calls of all steps of the pipeline. Used by many threads."""

    def __init__(self, site: Site, gates: Gates, http: SendsHttp, clock: Clock, logins: Logins | None = None) -> None:
        """`logins` share their tokens with other processes; without them this caller logs in for itself."""
        self._site, self._gates, self._http, self._clock = site, gates, http, clock
        self._logins = logins or Logins(http, clock)
        self._end = float("inf")

    def until(self, end: float) -> Caller:
        """The same caller for calls that must be over by `end`, on the clock that never runs backwards."""
        limited = copy(self)
        limited._end = end
        return limited

    def call(
        self,
        connection: str,
        operation: str,
        args: Json,
        *,
        body: Json = None,
        idempotency_key: str = "",
        held: Callable[[], bool] | None = None,
    ) -> Called | Blocked:
        """Make the call if the connection may be called now, and what it is made for is `held` at that moment.

        Raises `DataError` when the request cannot be built, `LedgerUnavailable` before anything was sent.
        """
        target = self._connection(connection)
        found = find_operation(target, operation)
        return self._call(target, found, args, build_request(target, found, args, body, idempotency_key), held)

    def pages(self, connection: str, operation: str, args: Json) -> Iterator[Json]:
        """The items of a list, as `page_by_page` reads it."""
        for page in self.page_by_page(connection, operation, args):
            yield from page.items

    def page_by_page(self, connection: str, operation: str, args: Json) -> Iterator[Page]:
        """A list page after page, repeats dropped where the connector says how to tell them.

        A next page that was read already ends the list. Raises `PagesStopped` when a page cannot be had or when
        there is no end of them, `DataError`, `LedgerUnavailable`.
        """
        target = self._connection(connection)
        found = find_operation(target, operation)
        paging = found.paging
        if paging is None:
            raise DataError(f"operation {operation!r} has no paging", where=str(found.where))
        page: Json = paging.first
        seen_pages: list[Json] = []
        seen: set[Json] = set()
        while True:
            if len(seen_pages) >= _PAGES_MOST:
                raise PagesStopped(f"more than {_PAGES_MOST} pages")
            seen_pages.append(page)
            query: dict[str, Json] = {paging.param: page}
            if paging.size_param:
                query[paging.size_param] = paging.size
            called = self._call(target, found, args, build_request(target, found, args, query=query))
            if isinstance(called, Blocked) or called.outcome.result != "delivered" or called.response is None:
                raise PagesStopped(called)
            names = {"body": called.response.body, "page": page, "args": args, "settings": target.public_settings}
            items = []
            for item in paging.items.render(names, "paging.items") or ():
                key = paging.id.render({**names, "item": item}, "paging.id") if paging.id else None
                if key is None or key not in seen:
                    seen.add(key)
                    items.append(item)
            yield Page(called, items)
            following = paging.next.render(names, "paging.next")
            if not following:
                return
            if following in seen_pages or (_number(following) and _number(page) and following <= page):
                log.warning("paging.turned_back", connection=connection, operation=operation, page=str(page))
                return
            page = following

    def _connection(self, name: str) -> Connection:
        target = self._site.connections.get(name)
        if target is None:
            raise DataError(f"connection {name!r} is not in config/connections.yaml")
        return target

    def _call(
        self,
        target: Connection,
        operation: Operation,
        args: Json,
        request: Request,
        held: Callable[[], bool] | None = None,
    ) -> Called | Blocked:
        timeout_s = operation.timeout_s or target.limits.timeout_s
        gate = self._gates.of(target.name)
        left = self._left()
        verdict = gate.enter(timeout_s, min(PATIENCE_S, left / 2))
        if verdict.may == "wait":
            return Blocked(target.name, verdict.because, verdict.until)
        outcome = None
        at = self._clock.now()
        try:
            timeout_s = min(timeout_s, self._left())
            if timeout_s < _LEAST_S:
                return Blocked(target.name, "no time is left for the call", at)
            if held is not None and not held():
                return Blocked(target.name, _LEASE_OVER, at)
            if target.connector.token:
                answer = self._logins.send(target, gate, request, timeout_s)
            else:
                answer = self._http.send(target, request, timeout_s)
            if isinstance(answer, NotLoggedIn):
                outcome = answer.outcome
            else:
                outcome = classify(
                    operation, request, answer, args=args, settings=target.public_settings, now=self._clock.now()
                )
        finally:
            gate.leave(outcome)
        if isinstance(answer, NotLoggedIn):
            return Blocked(target.name, outcome.because, self._later(outcome))
        return Called(request, answer, outcome, at)

    def _left(self) -> float:
        return max(0.0, self._end - self._clock.monotonic())

    def _later(self, outcome: Outcome) -> datetime | None:
        """When a login that failed is worth another try; None: when somebody has resumed the connection."""
        if outcome.pause:
            return None
        wait_s = min(outcome.retry_after_s or _LOGIN_AGAIN_S, LONGEST_RETRY_AFTER_S)
        return self._clock.now() + timedelta(seconds=wait_s)


def _kept(answer: Response | NoResponse) -> dict[str, Any]:
    if isinstance(answer, NoResponse):
        return {"error": answer.kind, "what": answer.what, "sent": answer.sent}
    kept: dict[str, Any] = {"status": answer.status, "headers": dict(answer.headers)}
    if answer.body is None:
        kept["text"] = answer.text
    else:
        kept["body"] = answer.body
    return kept


def _number(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
