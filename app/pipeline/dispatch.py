"""The engine of a worker process: one runner for each lane in hand, so that a slow lane never keeps another waiting."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import structlog

from app.core.ports import Clock, Ids
from app.core.retry import back_off
from app.core.site import Site
from app.errors import HubError, LedgerUnavailable, QueueUnavailable
from app.pipeline.carry import HANGS_S
from app.pipeline.engine_ports import TakesWakes
from app.pipeline.gates import Gates
from app.pipeline.hand import Trade
from app.pipeline.lane import LaneRunner
from app.pipeline.trades import pace_of

log = structlog.get_logger()

_TICK_LONGEST_S = 1.0
#: Other workers are asked for help with a lane at most this often, in seconds.
_MORE_EVERY_S = 0.5
#: A lane in hand is kept from being woken anew for longer than this, in seconds; so often it is said again.
_HOLD_AGAIN_S = 10.0
#: After a runner of a lane broke down, the next one starts no sooner than this, growing.
_BROKEN_S, _BROKEN_LONGEST_S = 1.0, 30.0


class Engine:
    """Drains lanes. `start` it, `kick` it from anywhere, `stop` it once."""

    def __init__(
        self,
        site: Site,
        gates: Gates,
        trades: dict[str, Trade],
        clock: Clock,
        ids: Ids,
        wakes: TakesWakes | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._site, self._gates, self._trades, self._clock, self._ids = site, gates, trades, clock, ids
        self._wakes, self._rng = wakes, rng or random.Random()
        self._lock = threading.Lock()
        self._gone = threading.Condition(self._lock)  # a runner is
        self._runners: dict[str, LaneRunner] = {}
        self._broken: dict[str, tuple[int, float]] = {}  # lane: times in a row, not before
        self._stopping = False
        self._ended = threading.Event()
        self._asked: dict[str, float] = {}  # lane: when others were last asked for help
        self._held: set[str] = set()  # lanes for which no wake-ups are sent: this process looks after them
        self._held_again_at = clock.monotonic()
        self._to_wake: set[str] = set()
        self._wake_now = threading.Event()
        self._some = threading.Event()  # runners are there

    def start(self) -> None:
        """Start the threads that keep leases and send wake-ups."""
        threading.Thread(target=self._heartbeat, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._relieve, name="relief", daemon=True).start()
        if self._wakes is not None:
            threading.Thread(target=self._send_wakes, name="wakes", daemon=True).start()
            threading.Thread(
                target=self._wakes.listen, args=(self._heard, self._ended), name="kicks", daemon=True
            ).start()

    def drain(self, lane: str) -> None:
        """A wake-up came in: no others are needed until the lane is dry here."""
        if self._wakes is not None and not self._stopping:
            try:
                self._wakes.hold(lane)
            except QueueUnavailable as error:
                log.warning("wake.not_held", lane=lane, because=str(error))
            # Only after it is held: whoever lets go in between leaves it to the runner that is kicked now.
            self._held.add(lane)
        if not self.kick(lane):
            self.let_go(lane)

    def kick(self, lane: str) -> bool:
        """There may be work in the lane: start a runner for it, or tell the one there is. Returns at once.

        False when nobody here looks at it.
        """
        way, _, name = lane.partition(":")
        if way not in self._trades or not name:
            log.warning("lane.unknown", lane=lane)
            return False
        with self._lock:
            if self._stopping:
                self._ask_others(lane)
                return False
            runner = self._runners.get(lane)
            if runner is not None:
                runner.kick()
                return True
            if self._broken.get(lane, (0, 0.0))[1] > self._clock.monotonic():
                return False
            runner = LaneRunner(
                lane,
                self._trades[way],
                self._gates.of(name),
                pace_of(self._site, lane),
                self._clock,
                self._ids,
                self,
            )
            self._runners[lane] = runner
            self._start_runner(runner)
            self._some.set()
        return True

    def pause_claims(self) -> None:
        """Claim nothing any more; what was not begun is given back. Returns at once, and may be called in a signal."""
        self._stopping = True
        self._gates.stop()
        for runner in list(self._runners.values()):
            runner.stop()

    def stop(self, finish_s: float) -> bool:
        """Finish what is in hand within `finish_s`; True when all of it was.

        What was not is left to its lease: it may have been sent.
        """
        with self._lock:
            self._stopping = True
        self.pause_claims()
        with self._gone:
            finished = self._gone.wait_for(lambda: not self._runners, finish_s)
        if not finished:
            log.warning("engine.left", size=self.in_hand, lanes=sorted(self._runners))
        self._flush_wakes()
        self._ended.set()
        self._wake_now.set()
        self._some.set()
        self._gates.release()
        return finished

    @property
    def in_hand(self) -> int:
        """How much is claimed and not committed."""
        return sum(runner.in_hand for runner in list(self._runners.values()))

    # --- runners ---------------------------------------------------------------------------------

    def _start_runner(self, runner: LaneRunner) -> None:
        threading.Thread(target=self._run, args=(runner,), name=f"lane {runner.lane}", daemon=True).start()

    def _start_again(self, runner: LaneRunner) -> None:
        try:
            self._start_runner(runner)
        except RuntimeError as error:  # the system has no thread left
            log.error("lane.broken", lane=runner.lane, because=str(error))
            runner.stop()
            self._end(runner)

    def _run(self, runner: LaneRunner) -> None:
        try:
            if not runner.run():
                return
        except Exception as error:
            times = self._broken.get(runner.lane, (0, 0.0))[0] + 1
            wait = back_off(times, _BROKEN_S, _BROKEN_LONGEST_S, self._rng)
            self._broken[runner.lane] = (times, self._clock.monotonic() + wait)
            log.error("lane.broken", lane=runner.lane, times=times, again_after_s=round(wait, 1), exc_info=error)
        else:
            self._broken.pop(runner.lane, None)
        self._end(runner)

    def _end(self, runner: LaneRunner) -> None:
        with self._lock:
            self._remove(runner)
        self.let_go(runner.lane)

    def _remove(self, runner: LaneRunner) -> None:
        if self._runners.get(runner.lane) is runner:
            del self._runners[runner.lane]
            self._gone.notify_all()

    def may_end(self, runner: LaneRunner) -> bool:
        """Whether a dry runner may go: not when it was kicked a moment ago."""
        with self._lock:
            if runner.kicked:
                return False
            self._remove(runner)
            return True

    def got_work(self, lanes: Sequence[str]) -> None:
        """Commits made work for these lanes. This process is the nearest; it asks others once it has its hands full."""
        for lane in lanes:
            self.kick(lane)

    def is_full(self, lane: str) -> None:
        """A lane gave as much as was asked for: another worker may find some, too."""
        now = self._clock.monotonic()
        if now - self._asked.get(lane, float("-inf")) >= _MORE_EVERY_S:
            self._asked[lane] = now
            self._ask_others(lane)

    def holds(self, lane: str) -> bool:
        """Whether nobody is woken for the lane, because this process looks after it."""
        return lane in self._held

    def let_go(self, lane: str) -> None:
        """From now on somebody is woken for the lane."""
        if self._wakes is None or lane not in self._held:
            return
        self._held.discard(lane)
        try:
            self._wakes.let_go(lane)
        except QueueUnavailable as error:
            log.warning("wake.not_let_go", lane=lane, because=str(error))

    def _ask_others(self, lane: str) -> None:
        self._to_wake.add(lane)
        self._wake_now.set()

    # --- threads ---------------------------------------------------------------------------------

    def _heartbeat(self) -> None:
        away = False
        tick = min(_TICK_LONGEST_S, self._site.hub.lease_s / 4)
        while not self._ended.wait(tick):
            try:
                self._gates.tidy()
                for runner in list(self._runners.values()):
                    runner.look()
                self._hold_again()
                away = False
            except LedgerUnavailable as error:
                if not away:
                    log.warning("lease.not_renewed", because=str(error))
                away = True
            except Exception as error:
                log.error("heartbeat.failed", exc_info=error)

    def _relieve(self) -> None:
        """A thread that hangs in its work keeps nobody from the lane: another takes its place."""
        while not self._ended.is_set():
            self._some.wait()
            self._some.clear()
            while self._runners and not self._ended.wait(HANGS_S):
                for runner in list(self._runners.values()):
                    if runner.hangs():
                        self._start_again(runner)

    def _hold_again(self) -> None:
        now = self._clock.monotonic()
        if self._wakes is None or now - self._held_again_at < _HOLD_AGAIN_S:
            return
        self._held_again_at = now
        try:
            for lane in self._held.copy():
                self._wakes.hold(lane)
        except QueueUnavailable as error:
            log.info("wake.not_held", because=str(error))

    def _heard(self, lane: str) -> None:
        if self.holds(lane):
            self.kick(lane)

    def _send_wakes(self) -> None:
        while not self._ended.is_set():
            self._wake_now.wait()
            self._wake_now.clear()
            self._flush_wakes()

    def _flush_wakes(self) -> None:
        """Redis may be slow or away: nobody waits for it, and the clock wakes what is missed here."""
        while self._wakes is not None and self._to_wake:
            lane = self._to_wake.pop()
            try:
                self._wakes.wake(lane, force=True)
            except HubError as error:
                log.info("wake.not_sent", lane=lane, because=str(error))
                self._to_wake.clear()
