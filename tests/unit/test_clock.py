"""The clock: wakes what is due, alone among several, through outages. Time is moved by hand; the ledger is real."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from app.adapters.ledger import Ledger
from app.errors import LedgerUnavailable, QueueUnavailable
from app.pipeline.clock import LEASE, LEASE_S, WakingClock
from tests.support import HandClock
from tests.unit.engine_kit import receipts


class Wakes:
    """Keeps what was woken, and by force or not."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, bool]] = []
        self.gone = False

    def wake(self, lane: str, n: int = 1, *, force: bool = False) -> bool:
        if self.gone:
            raise QueueUnavailable("connection refused")
        self.woken.append((lane, force))
        return True


class Flaky:
    """The ledger, when it is there."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.gone = ledger, False

    def __getattr__(self, name: str) -> Any:
        if self.gone:
            raise LedgerUnavailable("disk full")
        return getattr(self.ledger, name)


def keep(ledger: Ledger, clock: HandClock, count: int = 1) -> None:
    ledger.receive(receipts("acme_eu", count))
    clock.move(0.001)


@pytest.fixture(autouse=True)
def today(clock: HandClock) -> None:
    # The receipts of the kit carry the machine's time.
    from app.adapters.system import SystemClock

    clock.move((SystemClock().now() - clock.now()).total_seconds() + 60)


def ticks(waking: WakingClock, clock: HandClock, count: int) -> None:
    for _ in range(count):
        waking.tick()
        clock.move(0.5)


def test_what_is_due_is_woken_and_nothing_else(ledger: Ledger, clock: HandClock) -> None:
    wakes = Wakes()
    waking = WakingClock(ledger, wakes, clock, "a")
    waking.tick()
    assert wakes.woken == []
    keep(ledger, clock)
    waking.tick()
    assert wakes.woken == [("in:acme_eu", False)]


def test_work_that_stays_due_is_woken_by_force_ever_more_rarely(ledger: Ledger, clock: HandClock) -> None:
    wakes = Wakes()
    waking = WakingClock(ledger, wakes, clock, "a")
    keep(ledger, clock)
    ticks(waking, clock, 60)
    forced = [number for number, (_, force) in enumerate(wakes.woken) if force]
    assert len(wakes.woken) == 60
    assert forced[0] == 2, "after a second"
    assert 4 <= len(forced) <= 7


def test_a_lane_that_was_drained_starts_anew(ledger: Ledger, clock: HandClock) -> None:
    wakes = Wakes()
    waking = WakingClock(ledger, wakes, clock, "a")
    keep(ledger, clock)
    ticks(waking, clock, 10)
    ledger.claim_events("acme_eu", 10, 60, "tok_1")
    ticks(waking, clock, 1)
    ledger.receive(receipts("acme_eu", 1, first=7))
    wakes.woken.clear()
    ticks(waking, clock, 2)
    assert wakes.woken == [("in:acme_eu", False)] * 2


def test_one_of_several_clocks_works_and_another_takes_over(ledger: Ledger, clock: HandClock) -> None:
    first, second = Wakes(), Wakes()
    one, two = WakingClock(ledger, first, clock, "a"), WakingClock(ledger, second, clock, "b")
    keep(ledger, clock)
    for _ in range(20):
        one.tick()
        two.tick()
        clock.move(0.5)
    assert len(first.woken) == 20
    assert second.woken == []
    clock.move(LEASE_S)
    two.tick()
    assert len(second.woken) == 1
    one.tick()
    assert len(first.woken) == 20, "whoever comes back stands by"


def test_a_clock_that_is_stopped_lets_the_next_one_begin(ledger: Ledger, clock: HandClock) -> None:
    stop = threading.Event()
    wakes = Wakes()
    keep(ledger, clock)

    class StopsSoon(Wakes):
        def wake(self, lane: str, n: int = 1, *, force: bool = False) -> bool:
            stop.set()
            return super().wake(lane, n, force=force)

    WakingClock(ledger, StopsSoon(), clock, "a").run(stop)
    clock.move(0.001)
    WakingClock(ledger, wakes, clock, "b").tick()
    assert len(wakes.woken) == 1
    lease = ledger.lease(LEASE)
    assert lease is not None
    assert lease[0] == "b"


def events(logged: Sequence[Any]) -> list[str]:
    return [line["event"] for line in logged if "." in line["event"] and not line["event"].startswith("clock.")]


def test_outages_are_told_when_they_begin_and_when_they_end(ledger: Ledger, clock: HandClock) -> None:
    flaky, wakes = Flaky(ledger), Wakes()
    waking = WakingClock(flaky, wakes, clock, "a")
    keep(ledger, clock)
    with structlog.testing.capture_logs() as logged:
        ticks(waking, clock, 3)
        flaky.gone = True
        ticks(waking, clock, 5)
        flaky.gone = False
        ticks(waking, clock, 3)
        wakes.gone = True
        ticks(waking, clock, 5)
        wakes.gone = False
        ticks(waking, clock, 3)
    assert events(logged) == ["ledger.away", "ledger.back", "redis.away", "redis.back"]
    assert len(wakes.woken) == 9


def test_nothing_that_a_tick_meets_ends_the_clock(ledger: Ledger, clock: HandClock) -> None:
    stop = threading.Event()
    calls: list[str] = []

    class Buggy(Wakes):
        def wake(self, lane: str, n: int = 1, *, force: bool = False) -> bool:
            calls.append(lane)
            if len(calls) == 2:
                stop.set()
            raise ZeroDivisionError("a bug")

    keep(ledger, clock)
    with structlog.testing.capture_logs():
        WakingClock(ledger, Buggy(), clock, "a").run(stop)
    assert len(calls) == 2


class Jumping(HandClock):
    """A clock that can be put forward and back."""

    shift_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.shift_s)


def test_after_a_jump_of_the_clock_what_lies_too_far_ahead_is_mended_at_once_and_again_soon() -> None:
    class Counts:
        def __init__(self) -> None:
            self.mended: list[float] = []

        def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
            return True

        def due_lanes(self) -> list[str]:
            return []

        def mend_times(self, lease_s: float) -> int:
            self.mended.append(lease_s)
            return 1

        def seal_marks(self) -> dict[str, int]:
            return {}

        def settled(self, marks: dict[str, int]) -> bool:
            return True

        def seal(self, marks: dict[str, int]) -> int:
            return 0

    clock, ledger = Jumping(), Counts()
    waking = WakingClock(ledger, Wakes(), clock, "me", 10.0)
    for _ in range(40):
        waking.tick()
        clock.move(0.5)
    assert ledger.mended == [10.0]  # at the start, for whatever was before
    for shift_s in (-3600.0, 3600.0):
        ledger.mended.clear()
        clock.shift_s = shift_s
        with structlog.testing.capture_logs() as told:
            for _ in range(20):
                waking.tick()
                clock.move(0.5)
        assert len(ledger.mended) == 5
        assert [line["event"] for line in told].count("clock.jumped") == 1


def test_a_fault_in_what_it_does_besides_keeps_no_lane_from_being_woken(ledger: Ledger, clock: HandClock) -> None:
    def broken(*given: Any) -> Any:
        raise ZeroDivisionError("a fault of ours")

    shown = Flaky(ledger)
    shown.seal_marks = shown.look_at = broken  # type: ignore[attr-defined]
    wakes = Wakes()
    waking = WakingClock(shown, wakes, clock, "me", verify_s=60.0)  # type: ignore[arg-type]
    keep(ledger, clock)
    with structlog.testing.capture_logs() as logs:
        ticks(waking, clock, 4)
    assert wakes.woken
    assert sorted(line["duty"] for line in logs if line["event"] == "clock.duty_failed") == ["seal", "verify"]
