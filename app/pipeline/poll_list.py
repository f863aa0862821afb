"""Reads one list of a poll to its end, span by span: halved where not all of it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from app.core import counting
from app.core.connectors import Connection, Operation
from app.core.jsontext import dump_text
from app.core.polls import Poll
from app.core.ports import Clock
from app.core.windows import Span
from app.errors import DataError
from app.model import Fault, Json
from app.pipeline.call import Blocked, Called, Caller, PagesStopped

log = structlog.get_logger()

#: A list in numbered pages that moved while it was read is read again so often at most.
_PASSES_MOST = 3
#: One look asks for so many spans at most; the next one goes on where it ended.
_SPANS_MOST = 64
#: So many spans of the shortest length that were not whole, and the look ends: `whole` is wrong, or the filter ignored.
_TORN_MOST = 8
_NEVER_WHOLE = "not even one second of the list comes whole: is `whole` right, and does the vendor filter by time?"


class Interrupted(Exception):
    """The worker ends: what was read so far is left."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list."""

    value: Json
    span: Span | None  # that was asked for; None where the poll has no windows
    asked_at: datetime  # when its list was


@dataclass(slots=True)
class Listed:
    """What one look brought, and how far it got. With `because` it ended early."""

    items: list[Item] = field(default_factory=list)
    read_to: Span | None = None  # all up to its end is in `items`; None: nothing was read, or there are no spans
    because: str = ""
    fault: Fault | None = None
    retry_after_s: float | None = None
    blocked: Blocked | None = None


class ListReader:
    """Makes the calls of a poll. `on_page` is told after each call, and may raise `Interrupted`."""

    def __init__(
        self, caller: Caller, connection: Connection, poll: Poll, clock: Clock, on_page: Callable[[], None]
    ) -> None:
        self._caller, self._connection, self._poll, self._on_page = caller, connection, poll, on_page
        self._clock = clock
        self._operation = _operation(connection, poll)
        self.tally = counting.Tally()

    def read(self, span: Span | None) -> Listed:
        """Read the list, for a span where the poll has windows.

        What cannot be read ends the look: what came before it counts. Raises `DataError` when the files are wrong,
        `Interrupted`, `LedgerUnavailable`.
        """
        listed = Listed()
        try:
            if span is None:
                asked_at = self._clock.now()
                listed.items = [Item(item, None, asked_at) for item in self._list(None)[0]]
            else:
                self._spans(span, listed)
        except PagesStopped as stopped:
            listed.because, listed.fault = str(stopped), "remote"
            if isinstance(stopped.why, Blocked):
                listed.blocked = stopped.why
            elif isinstance(stopped.why, Called):
                self._stopped(listed, stopped.why)
        return listed

    def _spans(self, span: Span, listed: Listed) -> None:
        window, ahead, asked, torn = self._poll.window, [span], 0, 0
        while ahead and asked < _SPANS_MOST:
            asked += 1
            now, asked_at = ahead.pop(), self._clock.now()
            items, body = self._list(now)
            names = {"items": items, "body": body, "window": now.view(), "settings": self._connection.public_settings}
            if window and window.whole and not window.whole.render(names, "poll.window.whole"):
                if halves := now.halves():
                    ahead += reversed(halves)
                    continue
                torn += 1
                log.warning("poll.not_whole", poll=self._named, **now.view(), items=len(items))
            listed.items += [Item(item, now, asked_at) for item in items]
            listed.read_to = now
            if torn >= _TORN_MOST:
                listed.because, listed.fault = _NEVER_WHOLE, "config"
                return

    @property
    def _named(self) -> str:
        return f"{self._connection.name}.{self._poll.name}"

    def _list(self, span: Span | None) -> tuple[list[Json], Json]:
        """All items of one list, and the body of its last answer."""
        names: dict[str, Any] = {"settings": self._connection.public_settings}
        if span is not None:
            names["window"] = span.view()
        args = self._poll.args.render(names, "poll.with")
        if self._operation.paging is None:
            return self._one(args)
        found, body, pages = self._pass(args)
        for _ in range(_PASSES_MOST - 1):
            # In a cursor nothing moves. Of numbered pages each may have given an item to the one before it meanwhile.
            if pages < 2 or self._operation.paging.first is None:
                break
            again, body, pages = self._pass(args)
            if not again.keys() - found.keys():
                break
            found |= again
        return list(found.values()), body

    def _one(self, args: Json) -> tuple[list[Json], Json]:
        called = self._caller.call(self._connection.name, self._operation.name, args)
        if isinstance(called, Blocked):
            raise PagesStopped(called)
        self._count(called)
        if called.outcome.result != "delivered" or called.response is None:
            raise PagesStopped(called)
        body = called.response.body
        assert self._poll.items is not None
        names = {"body": body, "settings": self._connection.public_settings}
        items = self._poll.items.render(names, "poll.items")
        if not isinstance(items, list):
            raise DataError("is no list", path="poll.items", where=str(self._poll.where))
        return items, body

    def _pass(self, args: Json) -> tuple[dict[str, Json], Json, int]:
        """The items of all pages, by what tells them apart, and the last body."""
        paging = self._operation.paging
        assert paging is not None
        found: dict[str, Json] = {}
        body, pages = None, 0
        for page in self._caller.page_by_page(self._connection.name, self._operation.name, args):
            self._count(page.called)
            pages += 1
            body = page.called.response.body if page.called.response else None
            for item in page.items:
                names = {"item": item, "body": body, "page": None, "settings": self._connection.public_settings}
                key = paging.id.render(names, "paging.id") if paging.id else item
                found.setdefault(dump_text(key), item)
        return found, body, pages

    def _count(self, called: Called) -> None:
        labels = {"connection": self._connection.name, "operation": self._operation.name}
        self.tally.add(counting.ATTEMPTS, **labels, outcome=called.outcome.result)
        self._on_page()

    def _stopped(self, listed: Listed, called: Called) -> None:
        if self._operation.paging is not None:
            labels = {"connection": self._connection.name, "operation": self._operation.name}
            self.tally.add(counting.ATTEMPTS, **labels, outcome=called.outcome.result)
        listed.because, listed.fault = called.outcome.because, called.outcome.fault
        listed.retry_after_s = called.outcome.retry_after_s
        if called.outcome.pause:
            listed.blocked = Blocked(self._connection.name, called.outcome.because, None)


def _operation(connection: Connection, poll: Poll) -> Operation:
    found = connection.connector.operations.get(poll.operation)
    if found is None:
        raise DataError(f"connector {connection.connector.name} has no operation {poll.operation!r}")
    if found.paging is None and poll.items is None:
        raise DataError(f"nothing says where the items of {poll.operation} are", where=str(poll.where))
    return found
