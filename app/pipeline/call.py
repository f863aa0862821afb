"""Call: one operation at one connection. Gate, request, answer, outcome; what came of it is a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from app.core.connectors import Connection, Operation
from app.core.outcomes import classify
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.errors import DataError, HubError
from app.model import Attempt, AttemptKind, Json, NoResponse, Outcome, Request, Response
from app.pipeline.engine_ports import SendsHttp
from app.pipeline.gates import Gates
from app.pipeline.request import build_request, find_operation

log = structlog.get_logger()

#: A list that goes on for longer than this is a target's fault.
_PAGES_MOST = 1_000


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


class Caller:
    """Makes the calls of all steps of the pipeline. Used by many threads."""

    def __init__(self, site: Site, gates: Gates, http: SendsHttp, clock: Clock) -> None:
        self._site, self._gates, self._http, self._clock = site, gates, http, clock

    def call(
        self, connection: str, operation: str, args: Json, *, body: Json = None, idempotency_key: str = ""
    ) -> Called | Blocked:
        """Make the call if the connection may be called now.

        Raises `DataError` when the request cannot be built, `LedgerUnavailable` before anything was sent.
        """
        target = self._connection(connection)
        found = find_operation(target, operation)
        return self._call(target, found, args, build_request(target, found, args, body, idempotency_key))

    def pages(self, connection: str, operation: str, args: Json) -> Iterator[Json]:
        """The items of a list, page after page, repeats dropped where the connector says how to tell them.

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
        while page:
            if len(seen_pages) >= _PAGES_MOST:
                raise PagesStopped(f"more than {_PAGES_MOST} pages")
            seen_pages.append(page)
            query: dict[str, Json] = {paging.param: page}
            if paging.size_param:
                query[paging.size_param] = paging.size
            called = self._call(target, found, args, build_request(target, found, args, query=query))
            if isinstance(called, Blocked) or called.outcome.result != "delivered" or called.response is None:
                raise PagesStopped(called)
            names = {"body": called.response.body, "page": page, "settings": target.public_settings}
            for item in paging.items.render(names, "paging.items") or ():
                key = paging.id.render({**names, "item": item}, "paging.id") if paging.id else None
                if key is None or key not in seen:
                    seen.add(key)
                    yield item
            following = paging.next.render(names, "paging.next")
            if following in seen_pages or (_number(following) and _number(page) and following <= page):
                log.warning("paging.turned_back", connection=connection, operation=operation, page=str(page))
                return
            page = following

    def _connection(self, name: str) -> Connection:
        target = self._site.connections.get(name)
        if target is None:
            raise DataError(f"connection {name!r} is not in config/connections.yaml")
        return target

    def _call(self, target: Connection, operation: Operation, args: Json, request: Request) -> Called | Blocked:
        timeout_s = operation.timeout_s or target.limits.timeout_s
        gate = self._gates.of(target.name)
        verdict = gate.enter(timeout_s)
        if verdict.may == "wait":
            return Blocked(target.name, verdict.because, verdict.until)
        outcome = None
        at = self._clock.now()
        try:
            answer = self._http.send(target, request, timeout_s)
            outcome = classify(
                operation, request, answer, args=args, settings=target.public_settings, now=self._clock.now()
            )
        finally:
            gate.leave(outcome)
        return Called(request, answer, outcome, at)


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
