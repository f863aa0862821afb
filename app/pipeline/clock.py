"""The clock: looks every half second for lanes with due work and wakes them. Several may run, one at a time works."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from math import inf

import structlog

from app.core.ports import Clock
from app.errors import LedgerUnavailable, QueueUnavailable
from app.pipeline.checkup import Checkup
from app.pipeline.engine_ports import ClockLedger, ClockServices, WakesLanes
from app.pipeline.retention import Retention, keeping, persons_masked
from app.pipeline.sealer import Sealer

log = structlog.get_logger()

LEASE = "clock"
LEASE_S = 3.0
TICK_S = 0.5
_RENEW_S = 1.0
#: A lane that is still due after so long is woken although it was woken before; and then again, ever more rarely.
_OVERDUE_S = 1.0
_AGAIN_MOST_S = 8.0
#: A clock that differs by more from what has passed was put forward or back, in seconds.
_JUMP_S = 1.5
#: What a clock wrote that was put back since is looked for so often; and for a while after a jump more often, for other
#: processes may have been about to write.
_MEND_S, _MEND_SOON_S, _MEND_SOON_FOR_S = 30.0, 2.0, 30.0
#: So long after a fault in what it does besides the clock tries that again.
_DUTY_AGAIN_S = 60.0


class WakingClock:
    """Wakes due lanes while it holds the lease."""

    def __init__(
        self,
        ledger: ClockLedger,
        wakes: WakesLanes,
        clock: Clock,
        holder: str,
        lease_s: float = 60.0,
        retention: Retention | None = None,
        verify_s: float = inf,
    ) -> None:
        """`lease_s` is how long work is claimed for; `retention` takes old contents out, None: nobody does.

        Every `verify_s` the whole ledger is looked through, infinity: never.
        """
        self._ledger, self._wakes, self._clock, self._holder = ledger, wakes, clock, holder
        self._lease_s = lease_s
        self._offset_s = self._offset()
        self._jumped_at = self._mended_at = float("-inf")
        self._held_until_look = float("-inf")
        self._holds = False
        self._due_since: dict[str, float] = {}
        self._force_at: dict[str, tuple[float, float]] = {}  # lane: when to force it next, and how long after that
        self._troubles: dict[str, str] = {}
        self._duties: dict[str, Callable[[], object]] = {
            "seal": Sealer(ledger, clock).look,
            "verify": Checkup(ledger, clock, verify_s).look,
        }
        if retention:
            self._duties["retention"] = retention.look
        self._duty_again_at: dict[str, float] = {}

    def tick(self) -> None:
        """One look. Outages of ledger or Redis are logged when they begin and when they end, and survived."""
        try:
            holds = self._hold()
            if holds:
                self._mend()
            lanes = self._ledger.due_lanes() if holds else []
        except LedgerUnavailable as error:
            self._trouble("ledger", str(error))
            # Whether the lease still holds is not known: look again before anything is woken.
            self._held_until_look = float("-inf")
            return
        self._well("ledger")
        self._forget_all_but(lanes)
        try:
            for lane in lanes:
                self._wake(lane)
            if lanes:
                self._well("redis")
        except QueueUnavailable as error:
            self._trouble("redis", str(error))
        if holds:
            self._do_duties()

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set, then let go of the lease. Nothing that a tick meets ends it."""
        while not stop.is_set():
            try:
                self.tick()
            except Exception as error:
                log.error("clock.failed", exc_info=error)
            stop.wait(TICK_S)
        if self._holds:
            try:
                self._ledger.hold_lease(LEASE, self._holder, 0.0)
            except LedgerUnavailable:
                return

    def _do_duties(self) -> None:
        """What is done besides, after lanes are woken: a fault in one of them keeps nothing else from being done."""
        now = self._clock.monotonic()
        for name, look in self._duties.items():
            if now < self._duty_again_at.get(name, now):
                continue
            try:
                look()
                self._well(name)
            except LedgerUnavailable as error:
                self._trouble(name, str(error))
            except Exception as error:
                self._duty_again_at[name] = now + _DUTY_AGAIN_S
                log.error("clock.duty_failed", duty=name, exc_info=error)

    def _hold(self) -> bool:
        now = self._clock.monotonic()
        if now >= self._held_until_look:
            holds = self._ledger.hold_lease(LEASE, self._holder, LEASE_S)
            if holds != self._holds:
                log.info("clock.holds" if holds else "clock.stands_by", holder=self._holder)
            self._holds, self._held_until_look = holds, now + _RENEW_S
        return self._holds

    def _mend(self) -> None:
        now, offset_s = self._clock.monotonic(), self._offset()
        by_s, self._offset_s = offset_s - self._offset_s, offset_s
        if abs(by_s) > _JUMP_S:
            log.warning("clock.jumped", by_s=round(by_s, 1))
            self._jumped_at, self._mended_at = now, float("-inf")
        every_s = _MEND_SOON_S if now - self._jumped_at < _MEND_SOON_FOR_S else _MEND_S
        if now - self._mended_at >= every_s:
            mended = self._ledger.mend_times(self._lease_s)
            self._mended_at = now
            if mended:
                log.warning("clock.mended", rows=mended)

    def _offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _wake(self, lane: str) -> None:
        now = self._clock.monotonic()
        since = self._due_since.setdefault(lane, now)
        at, gap = self._force_at.get(lane, (since + _OVERDUE_S, _OVERDUE_S))
        force = now >= at
        self._wakes.wake(lane, force=force)
        if force:
            self._force_at[lane] = (now + gap, min(gap * 2, _AGAIN_MOST_S))

    def _forget_all_but(self, lanes: list[str]) -> None:
        for lane in set(self._due_since) - set(lanes):
            del self._due_since[lane]
            self._force_at.pop(lane, None)

    def _trouble(self, what: str, because: str) -> None:
        if what not in self._troubles:
            log.warning(f"{what}.away", because=because)
        self._troubles[what] = because

    def _well(self, what: str) -> None:
        if self._troubles.pop(what, None):
            log.info(f"{what}.back")


def run_clock(services: ClockServices) -> None:
    """Run the clock of this process until SIGTERM or SIGINT."""
    assert services.wakes is not None, "the clock needs Redis"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    holder = f"{socket.gethostname()}:{os.getpid()}:{services.ids.new('clk')}"
    try:
        lease_s, site = services.site.hub.lease_s, services.site
        retention = Retention(services.ledger, services.clock, keeping(site), persons_masked(site))
        given = (services.ledger, services.wakes, services.clock, holder, lease_s, retention, site.hub.verify_s)
        WakingClock(*given).run(stop)
    finally:
        services.close()
