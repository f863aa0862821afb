"""A poll that a person runs now: read to its end in this process, under the same lease as any other."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from app.core.polls import PollKey, PollWork
from app.core.windows import Span
from app.errors import HubError
from app.model import Fault
from app.pipeline.engine_ports import WorkerLedger, WorkerServices
from app.pipeline.gates import Gates
from app.pipeline.poll import Poller
from app.pipeline.waits import Waits
from app.pipeline.worker import build_caller, build_gates

_SHARD = "by hand"


class HandLedger(WorkerLedger, Protocol):
    """What a poll by hand needs of the ledger beside what a worker needs."""

    def claim_poll(self, key: PollKey, lease_s: float, token: str, /) -> PollWork | None:
        """Take this poll, due or not, on or off; None while somebody else holds it."""

    def effects(self, event_ids: Collection[str], /) -> Mapping[str, tuple[str, int]]:
        """The state of each event, and how many changes its document brought."""


class HandServices(WorkerServices, Protocol):
    """What a poll by hand is given."""

    @property
    def ledger(self) -> HandLedger:
        """The ledger."""


@dataclass(frozen=True, slots=True)
class Look:
    """One span of a poll that was read and committed."""

    span: Span | None
    found: int
    new: tuple[str, ...]  # the ids of events that were not there
    because: str = ""  # why it failed; "" when it did not
    fault: Fault | None = None


class HandPoll:
    """Runs one poll of one connection. To be closed."""

    def __init__(self, services: HandServices, key: PollKey) -> None:
        self._services, self._key = services, key
        site, ids = services.site, services.ids
        self._lease_s = site.hub.lease_s
        holder = f"{socket.gethostname()}:{os.getpid()}:{ids.new('wrk')}"
        self._gates: Gates = build_gates(site, services, holder)
        caller = build_caller(services, self._gates)
        waits = Waits(site.hub, services.clock, random.Random())
        self._poller = Poller(site, services.ledger, caller, self._gates, services.clock, ids, waits, _SHARD)

    def run(self, since: datetime | None = None) -> Iterator[Look]:
        """Read from the cursor, or from `since`, to now, piece by piece; ends after a failure.

        A `since` behind the cursor leaves the cursor where it is: what lies between is not read. Raises `HubError`
        while a worker reads the same poll.
        """
        cursor = since
        while True:
            token = self._services.ids.new("tok")
            work = self._services.ledger.claim_poll(self._key, self._lease_s, token)
            if work is None:
                raise HubError(f"{self._key} is being polled by a worker just now; try again in a moment")
            gap = cursor is not None and work.cursor is not None and cursor > work.cursor
            # Long at rest: there is nothing before it to read again.
            began = replace(work, cursor=cursor, read_at=self._services.clock.now()) if cursor else work
            polled = self._poller.poll(began, self._renew(token))
            reached = polled.finish.cursor
            if gap:
                polled = replace(polled, finish=replace(polled.finish, cursor=None))
            kept = self._poller.keep(token, polled)
            finish = polled.finish
            yield Look(polled.span, kept.found, kept.new, "" if finish.good else finish.because, finish.fault)
            if polled.done or not finish.good or not kept.held:
                return
            cursor = reached if since is not None else None

    def close(self) -> None:
        """Give back the share of calls that it held."""
        self._gates.release()

    def _renew(self, token: str) -> Callable[[], None]:
        def renew() -> None:
            self._services.ledger.renew_polls(token, self._lease_s)
            self._gates.tidy()

        return renew
