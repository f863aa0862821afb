"""Poll: a list that changed is read, and each of its items comes in as an event, by the way that messages go.

The cursor moves only after all items are in the ledger: a crash in between reads them again, and each is kept once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import structlog

from app.core import counting, retry
from app.core.connectors import Connection
from app.core.jsontext import dumps
from app.core.masking import Masker
from app.core.polls import BROUGHT_BY, Poll, PollFinish, PollKey, PollWork
from app.core.ports import Clock, Ids
from app.core.signatures import Verdict, build
from app.core.site import Site
from app.core.times import iso
from app.core.windows import Span, caught_up, next_span
from app.errors import DataError
from app.model import Fault, Receipt
from app.pipeline.call import Blocked, Caller
from app.pipeline.engine_ports import PollLedger
from app.pipeline.gates import Gates
from app.pipeline.poll_list import Interrupted, Item, Listed, ListReader
from app.pipeline.receive import Door, Read, clean, read_message
from app.pipeline.waits import Waits

log = structlog.get_logger()

#: So many items are committed at once.
_BATCH = 256
#: A poll that the files of this process do not know is looked at again after this, in seconds: others may know it.
_UNKNOWN_S = 60.0
#: What a paused connection keeps from being read is due all the while; nobody is woken for it. In seconds.
_PAUSED_S = 1.0


@dataclass(frozen=True, slots=True)
class Polled:
    """What one look came to, ready to be committed."""

    work: PollWork
    finish: PollFinish
    span: Span | None = None
    receipts: tuple[Receipt, ...] = ()
    done: bool = True  # all is read that is to be read by now
    tally: counting.Tally = field(default_factory=counting.Tally)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was committed of one look."""

    held: bool  # False: the lease was lost, and the cursor stays
    found: int
    new: tuple[str, ...]  # the ids of events that were not there


class Poller:
    """Reads polls of any connection: `poll` in a pool thread, `commit` when it is done."""

    def __init__(
        self,
        site: Site,
        ledger: PollLedger,
        caller: Caller,
        gates: Gates,
        clock: Clock,
        ids: Ids,
        waits: Waits,
        shard: str,
    ) -> None:
        self._site, self._ledger, self._caller, self._gates = site, ledger, caller, gates
        self._clock, self._ids, self._waits, self._shard = clock, ids, waits, shard

    def claim(self, connection: str, limit: int, lease_s: float, token: str) -> Sequence[PollWork]:
        """Claim due polls."""
        return self._ledger.claim_polls(connection, limit, lease_s, token)

    def poll(self, work: PollWork, on_page: Callable[[], None] = lambda: None) -> Polled:
        """Read one span of a claimed poll, or say why not and when to look again.

        Never raises for bad data or a failing vendor. `on_page` is told after each call.
        """
        connection = self._site.connections.get(work.key.connection)
        poll = connection.connector.polls.get(work.key.name) if connection else None
        if connection is None or poll is None:
            because = f"poll {work.key} is not in the files that this process works by"
            due = self._clock.now() + timedelta(seconds=_UNKNOWN_S)
            return Polled(work, PollFinish(work.key, due, False, because, "config"))
        try:
            polled = self._poll(work, connection, poll, on_page)
        except DataError as error:
            polled = Polled(work, self._failed(work, poll, str(error), "config", None))
        except Interrupted:
            polled = Polled(work, PollFinish(work.key, self._clock.now(), False, counted=False), done=False)
        self._tell(polled)
        return polled

    def failed(self, work: PollWork, error: Exception) -> Polled:
        """What to write when polling met a fault of our own: tried again later, shown until then."""
        because = f"the hub itself failed: {type(error).__name__}; see the log of {work.key}"
        connection = self._site.connections.get(work.key.connection)
        poll = connection.connector.polls.get(work.key.name) if connection else None
        return Polled(work, self._failed(work, poll, because, None, None))

    def commit(self, token: str, results: Sequence[Polled]) -> list[str]:
        """Keep the items, then write where the polls stand; the lanes that got work."""
        kept = [self.keep(token, result) for result in results]
        return [f"in:{result.work.key.connection}" for result, one in zip(results, kept, strict=True) if one.new]

    def keep(self, token: str, result: Polled) -> Kept:
        """`commit` of one look, with what was new in it."""
        new: list[str] = []
        tally, key = counting.Tally(), result.work.key
        for begin in range(0, len(result.receipts), _BATCH):
            batch = result.receipts[begin : begin + _BATCH]
            for receipt, answer in zip(batch, self._ledger.receive(batch), strict=True):
                if not answer.duplicate:
                    new.append(receipt.event_id)
                state = "duplicate" if answer.duplicate else receipt.state
                tally.add(counting.EVENTS, connection=key.connection, state=state)
        finish = replace(result.finish, new=len(new))
        with self._ledger.write() as tx:
            held = bool(tx.finish_polls(token, [finish]))
            if held:
                outcome = "good" if finish.good else "failed" if finish.counted else "not made"
                tally.add(counting.POLLS, connection=key.connection, poll=key.name, outcome=outcome)
            else:
                tally.add(counting.FENCED, connection=key.connection)
                log.warning("poll.fenced", poll=str(key), because="its lease was lost")
            for one in (result.tally, tally):
                tx.count(one.amounts(), self._shard)
        if result.receipts:
            log.info("poll.kept", poll=str(key), found=finish.found, new=len(new))
        return Kept(held, finish.found, tuple(new))

    def _poll(self, work: PollWork, connection: Connection, poll: Poll, on_page: Callable[[], None]) -> Polled:
        began = self._clock.now()
        span = next_span(poll.window, work.cursor, work.read_at, began) if poll.window else None

        def paged() -> None:
            on_page()
            if self._gates.stopping:
                raise Interrupted

        reader = ListReader(self._caller, connection, poll, self._clock, paged)
        listed = reader.read(span)
        receipts = self._receipts(connection, poll, listed)
        polled = Polled(
            work,
            self._finish(work, poll, listed, began, len(receipts)),
            span,
            receipts,
            tally=reader.tally,
        )
        end = polled.finish.cursor
        done = poll.window is None or (end is not None and caught_up(poll.window, end, began))
        return replace(polled, done=done)

    def _finish(self, work: PollWork, poll: Poll, listed: Listed, began: datetime, found: int) -> PollFinish:
        cursor = listed.read_to.end if listed.read_to else None
        if listed.blocked is not None:
            finish = self._blocked(work, listed.blocked)
        elif listed.because:
            finish = self._failed(work, poll, listed.because, listed.fault, listed.retry_after_s)
        else:
            cursor = cursor or began
            behind = poll.window is not None and not caught_up(poll.window, cursor, began)
            wait_s = 0.0 if behind else self._every_s(work.key, poll)
            finish = PollFinish(work.key, self._clock.now() + timedelta(seconds=wait_s), True)
        return replace(finish, cursor=cursor, read_at=began, found=found)

    def _every_s(self, key: PollKey, poll: Poll) -> float:
        return self._site.connections[key.connection].polls.get(key.name, poll.every_s)

    def _blocked(self, work: PollWork, blocked: Blocked) -> PollFinish:
        due = blocked.until or self._clock.now() + timedelta(seconds=_PAUSED_S)
        return PollFinish(work.key, due, False, f"{blocked.connection}: {blocked.because}", counted=False)

    def _failed(
        self, work: PollWork, poll: Poll | None, because: str, fault: Fault | None, retry_after_s: float | None
    ) -> PollFinish:
        policy = self._site.hub.retry
        # A poll is never given up: with its schedule spent it goes on at the longest wait.
        wait = retry.next_wait(policy, work.attempts, retry_after_s, self._waits.rng) or policy.longest_s
        if poll is not None:
            wait = min(wait, max(self._every_s(work.key, poll), retry_after_s or 0.0))
        return PollFinish(work.key, self._clock.now() + timedelta(seconds=wait), False, because, fault)

    def _receipts(self, connection: Connection, poll: Poll, listed: Listed) -> tuple[Receipt, ...]:
        inbound = connection.connector.inbound
        assert inbound is not None
        door = Door(inbound, build({"scheme": "none"}), connection.public_settings, Masker())
        found = (self._receipt(door, connection, poll, item) for item in listed.items)
        # Halves share a seam: what lies in it came twice.
        return tuple({receipt.vendor_id: receipt for receipt in found if receipt is not None}.values())

    def _receipt(self, door: Door, connection: Connection, poll: Poll, item: Item) -> Receipt | None:
        """The item as a message; None when it is not wanted. One that cannot be read is kept as it came, and shown."""
        names: dict[str, Any] = {"item": item.value, "settings": door.settings}
        seen = {**names, "window": item.span.view()} if item.span else names
        headers = {BROUGHT_BY: poll.name}
        try:
            if poll.wanted and not poll.wanted.render(seen, "poll.where"):
                return None
            body = dumps(poll.payload.render(names, "poll.payload"))
            read = read_message(door, headers, body, Verdict(True))
        except DataError as error:
            body = dumps(item.value)
            own_id = f"{poll.name}:{sha256(body).hexdigest()}"
            read = Read("unreadable", vendor_id=own_id, because=clean(str(error))[:500])
        return Receipt(
            event_id=self._ids.new("evt"),
            connection=connection.name,
            vendor_id=read.vendor_id,
            type=read.type,
            received_at=item.asked_at,
            headers=headers,
            body=body,
            state=read.state,
            because=read.because,
        )

    def _tell(self, polled: Polled) -> None:
        finish, span = polled.finish, polled.span
        tell = log.info if finish.good or not finish.counted else log.warning
        tell(
            "poll.read" if finish.good else "poll.failed" if finish.counted else "poll.not_made",
            poll=str(finish.key),
            found=finish.found,
            cursor=iso(finish.cursor) if finish.cursor else None,
            number=polled.work.attempts,
            because=finish.because or None,
            next=iso(finish.due_at),
            **(span.view() if span else {}),
        )
