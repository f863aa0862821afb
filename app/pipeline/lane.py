"""One lane in hand: claim a batch, have it carried out, commit what is finished, claim more, until it is dry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from app.core.ports import Clock, Ids
from app.errors import LedgerUnavailable
from app.pipeline.crew import Crew
from app.pipeline.gates import Gate
from app.pipeline.hand import COMMIT_MOST, Done, Hand, Trade

log = structlog.get_logger()

#: So much work lies ready ahead of the threads, in seconds of it, and no more than so many.
_AHEAD_S = 0.25
_AHEAD_MOST = 224
#: And no less than this: batches of three or four spend more on the ledger than on the work.
_AHEAD_LEAST = 24.0
#: A dry lane stays open for so long: the next work then finds threads and connections ready.
LINGER_S = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How a lane is worked on."""

    threads: int
    lease_s: float


class LaneRunner:
    """Works on one lane in the thread that calls `run`. Other threads only `kick`, `stop` and `look`."""

    def __init__(
        self,
        lane: str,
        trade: Trade,
        gate: Gate,
        pace: Pace,
        clock: Clock,
        ids: Ids,
        wake: Callable[[Sequence[str]], None],
        more: Callable[[str], None],
        may_end: Callable[[LaneRunner], bool],
    ) -> None:
        self.lane = lane
        self._connection = lane.partition(":")[2]
        self._trade, self._gate, self._pace, self._clock, self._ids = trade, gate, pace, clock, ids
        self._wake, self._more, self._may_end = wake, more, may_end
        self._inbox: SimpleQueue[Done | None] = SimpleQueue()
        self._hand = Hand(lane, trade, clock)
        self._crew = Crew(lane, pace.threads, self._carry_out, clock)
        self._dry = False
        self._tried = False
        self._stopping = False
        self._ahead = float(pace.threads)
        self._rate_since, self._rate_done = clock.monotonic(), 0
        self._renewed_at = clock.monotonic()

    # --- from other threads ----------------------------------------------------------------------

    def kick(self) -> None:
        """There may be work."""
        self._inbox.put(None)

    @property
    def kicked(self) -> bool:
        """Whether there is something that the runner has not looked at."""
        return not self._inbox.empty()

    def stop(self) -> None:
        """Claim no more, give back what nobody began with, finish the rest."""
        self._stopping = True
        self._inbox.put(None)

    @property
    def in_hand(self) -> int:
        """How much is claimed and not committed."""
        return self._hand.size

    def look(self) -> None:
        """To be called about once a second: keep the leases of what is in hand. Raises `LedgerUnavailable`."""
        self._crew.look()
        now = self._clock.monotonic()
        if now - self._renewed_at < self._pace.lease_s / 3:
            return
        for token in self._hand.tokens:
            self._trade.renew(token, self._pace.lease_s)
        self._renewed_at = now

    # --- the runner's thread ---------------------------------------------------------------------

    def run(self) -> None:
        """Work until the lane is dry or the runner is stopped. What nobody began with is given back in any case."""
        try:
            while self._step():
                pass
        finally:
            self._hand.give_back(self._crew.take_back())
            self._crew.close()

    def _step(self) -> bool:
        """One round; False when it is over."""
        if self._stopping:
            self._hand.give_back(self._crew.take_back())
            if not self._hand.size:
                return False
        else:
            self._fill()
        if not self._hand.size:
            return self._linger()
        self._collect()
        if self._hand.ripe():
            self._commit()
        return True

    def _linger(self) -> bool:
        try:
            self._take(self._inbox.get(timeout=LINGER_S))
        except Empty:
            return not self._may_end(self)
        return True

    def _fill(self) -> None:
        if self._dry or self._hand.ledger_is_away:
            return
        limit = self._limit()
        if limit <= 0:
            return
        before = self._hand.size
        works = self._hand.claim(self._connection, limit, self._pace.lease_s, self._ids.new("tok"))
        if works is None:
            self._ledger_failed()
            return
        self._dry = self._hand.size - before < limit
        if not self._dry:
            self._more(self.lane)
        for work in works:
            self._crew.put(work)

    def _limit(self) -> int:
        """How much to claim now."""
        try:
            verdict = self._gate.verdict()
        except LedgerUnavailable as error:
            self._hand.ledger_failed(error)
            self._ledger_failed()
            return 0
        if verdict.may == "call":
            self._tried = False
            return self._free()
        self._hand.give_back(self._crew.take_back())
        if verdict.may == "wait" or self._tried:
            self._tried, self._dry = False, True
            return 0
        # One piece of work for a trial. If it makes no call, the clock's next wake-up brings the next one.
        self._tried = not self._hand.size
        return int(self._tried)

    def _free(self) -> int:
        ahead = ceil(self._ahead)
        free = self._pace.threads + ahead - self._hand.size
        if free < max(1, ahead // 2):
            return 0
        if self._gate.limits.rate is not None:
            # No more than can be called soon: what would wait here for its turn can be given back by nobody.
            free = min(free, ceil(self._gate.limits.rate) + 1 - self._gate.crowd())
        return min(free, COMMIT_MOST)

    def _ledger_failed(self) -> None:
        # With nothing in hand the lane is left: the clock wakes it again when the ledger is back.
        self._dry = not self._hand.size

    def _carry_out(self, work: Any) -> None:
        """In a thread of the crew."""
        try:
            done = Done(work, self._trade.carry_out(work))
        except Exception as error:
            done = self._hand.saved(work, error)
        self._inbox.put(done)

    def _collect(self) -> None:
        """Wait for finished work, or for its time to be committed, or for a kick; take all there is."""
        try:
            self._take(self._inbox.get(timeout=self._hand.patience()))
            while True:
                self._take(self._inbox.get_nowait())
        except Empty:
            return

    def _take(self, item: Done | None) -> None:
        if item is None:
            self._dry = False
        else:
            self._hand.add(item)

    def _commit(self) -> None:
        committed, lanes = self._hand.commit()
        if committed:
            # What was committed may have been all that held back the next of the same return.
            self._dry = False
            self._measure(committed)
        self._wake([lane for lane in lanes if lane != self.lane])

    def _measure(self, done: int) -> None:
        now = self._clock.monotonic()
        self._rate_done += done
        past = now - self._rate_since
        if past >= _AHEAD_S:
            per_second = self._rate_done / past
            self._ahead = min(_AHEAD_MOST, max(_AHEAD_LEAST, (self._ahead + per_second * _AHEAD_S) / 2))
            self._rate_since, self._rate_done = now, 0
