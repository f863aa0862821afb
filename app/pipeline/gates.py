"""Gates: whether a connection may be called now, and its share of rate and concurrency over all processes."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from app.core.connectors import Limits
from app.core.lane_state import LaneState
from app.core.ports import Clock
from app.core.site import BreakerPolicy
from app.core.strands import aside
from app.errors import LedgerUnavailable
from app.model import Outcome
from app.pipeline import breaker
from app.pipeline.breaker import Verdict
from app.pipeline.engine_ports import GateLedger
from app.pipeline.permits import Permits
from app.pipeline.tokens import Tokens

log = structlog.get_logger()

#: What other processes found out about a connection is known here after so many seconds.
_FRESH_S = 0.5
#: A call that would have to wait longer than this for its turn is put back, in seconds.
PATIENCE_S = 5.0
_TRIAL_LOOK_S = 2.0


class Gate:
    """One connection as this process sees it. Used by many threads."""

    def __init__(
        self,
        connection: str,
        limits: Limits,
        policy: BreakerPolicy,
        ledger: GateLedger,
        clock: Clock,
        holder: str,
        stopping: threading.Event,
    ) -> None:
        self.connection, self.limits = connection, limits
        self._policy, self._ledger, self._clock = policy, ledger, clock
        self.permits = Permits(connection, limits.concurrency, holder, ledger, clock)
        self.tokens = Tokens(connection, limits.rate, ledger, clock, stopping) if limits.rate else None
        self._lock = threading.Lock()
        self._state: LaneState | None = None
        self._read_at = 0.0

    def verdict(self) -> Verdict:
        """Whether it may be called, by what is known here. Raises `LedgerUnavailable` when nothing is."""
        state = self._current()
        return breaker.CALL if breaker.is_calm(state) else breaker.verdict(state, self._clock.now())

    def crowd(self) -> int:
        """How many threads of this process wait for their turn to call it."""
        return self.permits.waiting + (self.tokens.waiting if self.tokens else 0)

    def enter(self, timeout_s: float, patience_s: float = PATIENCE_S) -> Verdict:
        """Take a turn, waiting a little when there are many; any other answer than "wait" must be followed by `leave`.

        `timeout_s` is how long the call may take, `patience_s` how long it waits for each, rate and turn. Raises
        `LedgerUnavailable`.
        """
        verdict = self.verdict()
        if verdict.may == "call" and self.tokens is None and self.permits.take_now():
            return verdict
        if verdict.may == "wait":
            return verdict
        if verdict.may == "try":
            # Another process may have closed the breaker since; then no trial is needed.
            verdict = breaker.verdict(self._current(fresh=True), self._clock.now())
            if verdict.may == "wait":
                return verdict
        if verdict.may == "try" and not self._ledger.take_trial(self.connection, timeout_s + PATIENCE_S * 2):
            return self._later(_TRIAL_LOOK_S, f"a trial call is under way after {verdict.because}")
        try:
            late = aside(lambda: self._wait_for_turn(patience_s))
        except BaseException:
            self._end_trial(verdict)
            raise
        if late is not None:
            self._end_trial(verdict)
            return late
        return verdict

    def leave(self, outcome: Outcome | None) -> None:
        """Give the turn back and learn from the outcome (None when the call was never made). Never raises."""
        self.permits.give_back()
        if outcome is not None:
            try:
                self._learn(outcome)
            except LedgerUnavailable as error:
                log.warning("gate.unsaved", connection=self.connection, because=str(error))

    def take_rate(self, patience_s: float) -> float | None:
        """None once one call more may be made within a turn that was taken; else seconds after which to ask again."""
        if self.tokens is None:
            return None
        tokens = self.tokens
        return aside(lambda: tokens.take(min(PATIENCE_S, patience_s)))

    def _wait_for_turn(self, patience_s: float) -> Verdict | None:
        # First the rate: who waits for that must not sit on a call that another process could make.
        wait = self.tokens.take(patience_s) if self.tokens else None
        if wait is not None:
            return self._later(wait, "its rate is used up")
        wait = self.permits.take(patience_s)
        if wait is not None:
            return self._later(wait, f"all {self.limits.concurrency} calls at a time are taken")
        try:
            verdict = self.verdict()
        except BaseException:
            self.permits.give_back()
            raise
        if verdict.may == "wait":
            # It was shut while this call waited for its turn.
            self.permits.give_back()
            return verdict
        return None

    def _end_trial(self, verdict: Verdict) -> None:
        """The trial call was not made after all: let the next one try."""
        if verdict.may == "try" and self._state is not None:
            with suppress(LedgerUnavailable):
                self._ledger.save_lane(self._state, self._state)

    def _later(self, wait_s: float, because: str) -> Verdict:
        return Verdict("wait", because, self._clock.now() + timedelta(seconds=max(0.05, wait_s)))

    def _current(self, *, fresh: bool = False) -> LaneState:
        state = self._state
        if state is not None and not fresh and self._clock.monotonic() - self._read_at < _FRESH_S:
            return state
        with self._lock:
            return self._read()

    def _read(self) -> LaneState:
        try:
            self._state = self._ledger.lane_state(self.connection)
        except LedgerUnavailable:
            if self._state is None:
                raise
        self._read_at = self._clock.monotonic()
        return self._state

    def _learn(self, outcome: Outcome) -> None:
        known = self._state
        sign = breaker.sign_of(outcome)
        if sign == "alive" and (known is None or not (known.failures or known.opened_times)):
            return
        with self._lock:
            if sign == "refused":
                self._pause(outcome)
                return
            before = self._read()
            after = breaker.after(before, outcome, self._policy, self._clock.now())
            if after == before:
                return
            self._state = after
            self._ledger.save_lane(after, before)
        self._tell(before, after)

    def _pause(self, outcome: Outcome) -> None:
        if self._state is not None and self._state.paused:
            return
        self._state = replace(self._state or LaneState(self.connection), paused=True, because=outcome.because)
        self._ledger.pause(self.connection, outcome.because, "hub")
        log.warning("connection.paused", connection=self.connection, because=outcome.because)

    def _tell(self, before: LaneState, after: LaneState) -> None:
        if after.opened_times > before.opened_times:
            log.warning("breaker.opened", connection=self.connection, because=after.because, until=after.open_until)
        elif before.opened_times and not after.opened_times:
            log.info("breaker.closed", connection=self.connection)
        elif after.open_until != before.open_until and after.open_until:
            log.info("gate.shut", connection=self.connection, because=after.because, until=after.open_until)


class Gates:
    """The gates of all connections in this process."""

    def __init__(
        self, limits: dict[str, Limits], policy: BreakerPolicy, ledger: GateLedger, clock: Clock, holder: str
    ) -> None:
        self._limits, self._policy, self._ledger, self._clock, self._holder = limits, policy, ledger, clock, holder
        self._lock = threading.Lock()
        self._gates: dict[str, Gate] = {}
        self._stopping = threading.Event()

    def of(self, connection: str) -> Gate:
        """The connection's gate; one that is no longer configured has the default limits."""
        gate = self._gates.get(connection)
        if gate is None:
            with self._lock:
                gate = self._gates.get(connection)
                if gate is None:
                    limits = self._limits.get(connection, Limits())
                    gate = self._gates[connection] = Gate(
                        connection, limits, self._policy, self._ledger, self._clock, self._holder, self._stopping
                    )
        return gate

    def tidy(self) -> None:
        """To be called about once a second: renew shares that are in use, let go of those that are not."""
        for gate in list(self._gates.values()):
            gate.permits.tidy()

    @property
    def stopping(self) -> bool:
        """Whether this process is about to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Nobody waits for a turn any more."""
        self._stopping.set()

    def release(self) -> None:
        """Let go of every share."""
        for gate in list(self._gates.values()):
            gate.permits.release()
