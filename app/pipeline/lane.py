"""One lane in hand: claim a batch, have it carried out, commit what is finished, claim more, until it is dry."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

import structlog

from app.core.ports import Clock, Ids
from app.errors import LedgerUnavailable
from app.pipeline.ahead import Ahead
from app.pipeline.carry import HANGS_S, RelievedError, Strands
from app.pipeline.gates import Gate
from app.pipeline.hand import COMMIT_MOST, Done, Hand, Trade

log = structlog.get_logger()

#: A dry lane stays open for so long: the next work then finds its thread and connections ready.
LINGER_S = 0.5
#: So long after its last work a dry lane is held: whoever has more for it then need not find a worker through RQ.
_HOLD_S = 3.0
#: Who holds a lane hears of new work. He looks by himself so often, should that be lost; and where work comes by the
#: batch not before so long after the last look, for more to come together.
_LOOK_S, _BATCH_S = 0.5, 0.025


@dataclass(frozen=True, slots=True)
class Pace:
    """How a lane is worked on: so many pieces of work at a time, each claimed for so long."""

    at_a_time: int
    lease_s: float


class Desk(Protocol):
    """What a runner asks of the engine."""

    def got_work(self, lanes: Sequence[str], /) -> None:
        """A commit made work for these lanes."""

    def is_full(self, lane: str, /) -> None:
        """The lane gave as much as was asked for: another worker may find some, too."""

    def holds(self, lane: str, /) -> bool:
        """Whether nobody is woken for the lane, because this process looks after it."""

    def let_go(self, lane: str, /) -> None:
        """From now on somebody is. The lane must be looked at once more after this."""

    def may_end(self, runner: LaneRunner, /) -> bool:
        """Whether a dry runner may go."""


class LaneRunner:
    """Works on one lane in the thread that calls `run`. Others `kick`, `stop`, `look` and ask if it `hangs`."""

    def __init__(
        self,
        lane: str,
        trade: Trade,
        gate: Gate,
        pace: Pace,
        clock: Clock,
        ids: Ids,
        desk: Desk,
    ) -> None:
        self.lane = lane
        self.kicked = False  # and has not claimed since
        self._connection = lane.partition(":")[2]
        self._trade, self._gate, self._pace, self._clock, self._ids = trade, gate, pace, clock, ids
        self._desk = desk
        self._strands: Strands | None = None  # of the thread in place
        self._waiting: deque[Any] = deque()  # claimed, and nobody has begun with it
        self._finished: deque[Done] = deque()
        self._hand = Hand(lane, trade, clock)
        self._dry = False
        self._brisk = False
        self._tried = False
        self._stopping = False
        self._ahead = Ahead(clock)
        self._renewed_at = self._looked_at = self._worked_at = clock.monotonic()

    # --- from other threads ----------------------------------------------------------------------

    def kick(self) -> None:
        """There may be work."""
        self.kicked = True
        self._ring()

    def stop(self) -> None:
        """Claim no more, give back what nobody began with, finish the rest."""
        self._stopping = True
        self._ring()

    @property
    def in_hand(self) -> int:
        """How much is claimed and not committed."""
        return self._hand.size

    def look(self) -> None:
        """To be called about once a second: keep the leases of what is in hand. Raises `LedgerUnavailable`."""
        now = self._clock.monotonic()
        if now - self._renewed_at < self._pace.lease_s / 3:
            return
        self._hand.renew(self._pace.lease_s)
        self._renewed_at = now

    def hangs(self) -> bool:
        """To be called about as often as `carry.HANGS_S`: whether the runner's thread hangs in a piece of work.

        Then another thread has to call `run` at once: it takes the place of this one, which ends what it has begun.
        """
        return self._strands is not None and self._strands.hangs()

    def _ring(self) -> None:
        if self._strands is not None:
            self._strands.ring()

    # --- the runner's thread ---------------------------------------------------------------------

    def run(self) -> bool:
        """Work until the lane is dry or the runner is stopped. What nobody began with is given back in any case.

        False when another thread took the place of this one before that.
        """
        strands = self._strands = Strands(self._carry_out, self._clock)
        try:
            while self._step(strands):
                pass
        except RelievedError:
            return False
        except BaseException:
            self._give_back()
            raise
        finally:
            # Whoever takes its place hears of each; after a fault of our own what was sent is at least seen through.
            strands.finish(self._ring)
            strands.close()
        return True

    def _step(self, strands: Strands) -> bool:
        """One round; False when it is over."""
        if self._stopping:
            self._desk.let_go(self.lane)
            self._give_back()
            if not self._hand.size:
                return False
        else:
            if self._held_s() == 0.0:
                self._look_again()
            self._fill()
        if not self._hand.size:
            return self._linger(strands)
        self._work(strands)
        while self._finished:
            self._hand.add(self._finished.popleft())
        if self._hand.ripe():
            self._commit()
        elif self._stopping or not self._may_begin():
            dues = (self._hand.patience(), self._held_s())
            strands.wait(min((due for due in dues if due is not None), default=None))
        return True

    def _work(self, strands: Strands) -> None:
        """Do for a while what can be done. Raises `RelievedError`."""
        until = self._clock.monotonic() + HANGS_S
        while self._clock.monotonic() < until:
            # Whose answer is there first: no more calls are under way at a time than their targets make wait.
            if strands.go_on():
                continue
            if self._stopping or not self._may_begin():
                return
            strands.begin(self._waiting.popleft())

    def _may_begin(self) -> bool:
        """Whether there is work to begin with, and no more under way than may be."""
        return bool(self._waiting) and self._hand.unfinished - len(self._waiting) < self._pace.at_a_time

    def _give_back(self) -> None:
        found, self._waiting = self._waiting, deque()
        self._hand.give_back(found)

    def _linger(self, strands: Strands) -> bool:
        """Nothing is in hand and nothing due; False when it is over."""
        held_s = self._held_s()
        if held_s is not None:
            strands.wait(held_s)
            return True
        return strands.wait(LINGER_S) or not self._desk.may_end(self)

    def _held_s(self) -> float | None:
        """Seconds until a lane that nobody is woken for has to be looked at; None when that need not be."""
        if not self._dry or not self._desk.holds(self.lane):
            return None
        wait_s = _BATCH_S if self._brisk else _LOOK_S
        return max(0.0, self._looked_at + wait_s - self._clock.monotonic())

    def _look_again(self) -> None:
        self._dry = self._brisk = False
        if not self._hand.size and self._clock.monotonic() - self._worked_at > _HOLD_S:
            self._desk.let_go(self.lane)

    def _fill(self) -> None:
        if self.kicked and not (self._brisk and self._held_s()):
            self.kicked = self._dry = False
        if self._dry or self._hand.ledger_is_away:
            return
        # Before the gate is asked: a shut one counts as looked at, or the lane would be looked at without a pause.
        self._looked_at = self._clock.monotonic()
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
            self._desk.is_full(self.lane)
        if works:
            self._brisk = len(works) > 1
            self._worked_at = self._looked_at
            self._waiting.extend(works)

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
        self._give_back()
        if verdict.may == "wait" or self._tried:
            self._tried, self._dry = False, True
            return 0
        # One piece of work for a trial. If it makes no call, the clock's next wake-up brings the next one.
        self._tried = not self._hand.size
        return int(self._tried)

    def _free(self) -> int:
        ahead = self._ahead.size
        free = ahead - len(self._waiting)
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
        """In a strand: of the runner's thread, or of one that was relieved."""
        self._trade.give_way()

        def held() -> bool:
            return not self._hand.is_late(work, self._pace.lease_s)

        if not held():
            # The process stood still: somebody else may have it in hand by now.
            done = self._hand.done(work, None, late=True)
        else:
            began_s = self._hand.offset_s()
            try:
                done = self._hand.done(work, self._trade.carry_out(work, held), began_s=began_s)
            except Exception as error:
                done = self._hand.saved(work, error)
        self._finished.append(done)

    def _commit(self) -> None:
        committed, lanes = self._hand.commit()
        if committed:
            # What was committed may have been all that held back the next of the same return.
            self._dry = False
            self._ahead.committed(committed)
        self._desk.got_work([lane for lane in lanes if lane != self.lane])
