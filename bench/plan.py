"""What a bench run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

#: The credentials of everything on loopback.
SECRET, TOKEN = "bench-webhook-secret", "bench-token"
SITE = Path(__file__).parent / "site"
PROJECT = Path(__file__).parent.parent

#: What can be measured by itself.
PARTS = ("burst", "slow", "growth")


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of the command. Everything is bounded: counts here, times in `DEADLINES`."""

    ledgers: tuple[str, ...] = ("sqlite", "postgresql")
    parts: tuple[str, ...] = PARTS
    runs: int = 3
    events: int = 5_000  # of a burst
    yardstick_events: int = 1_500
    connections: int = 32  # of the load generator
    rate: float = 20.0  # events/s of the latency phase
    seconds: float = 15.0  # of the latency phase
    slow_ms: float = 50.0  # what a slow target takes to answer
    slow_threads: int = 128  # of each worker, when the slow target's rate is wanted
    few_threads: int = 16  # of each worker, when one worker is held against two: so few that the target is the limit
    slow_events: int = 2_500  # for each worker
    grown: int = 1_000_000  # finished deliveries in the ledger that has grown; 0: not measured
    workers: int = 2
    threads: int = 32
    web_threads: int = 32
    log_level: str = "info"

    def quick(self) -> Plan:
        """The same in a minute or two: one run, fewer events."""
        return replace(
            self,
            runs=1,
            events=min(self.events, 1_000),
            yardstick_events=min(self.yardstick_events, 500),
            seconds=min(self.seconds, 5.0),
            slow_events=min(self.slow_events, 300),
            grown=min(self.grown, 20_000),
        )


@dataclass(frozen=True, slots=True)
class Deadlines:
    """No phase takes longer, in seconds."""

    start_s: float = 60.0
    load_s: float = 300.0
    stall_s: float = 20.0  # without a single new delivery
    stop_s: float = 40.0


DEADLINES = Deadlines()
#: Events that are sent before anything is measured; the most of a burst, which the load generator holds in memory.
WARM_UP, MOST_EVENTS = 200, 50_000
#: Orders that a burst shares when its look-ups are to be answered from the cross-references.
KNOWN_ORDERS = 50
