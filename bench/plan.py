"""What a bench run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: The credentials of everything on loopback.
SECRET, TOKEN = "bench-webhook-secret", "bench-token"
SITE = Path(__file__).parent / "site"
PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of the command. Everything is bounded: counts here, times in `DEADLINES`."""

    ledgers: tuple[str, ...] = ("sqlite", "postgresql")
    runs: int = 3
    events: int = 3_000  # of the burst
    orders: int = 0  # distinct orders of the burst; 0: each event has its own, so that no look-up is answered twice
    connections: int = 32  # of the load generator
    rate: float = 20.0  # events/s of the latency phase
    seconds: float = 15.0  # of the latency phase
    target_ms: float = 0.0  # what ERP and warehouse take to answer
    workers: int = 2
    threads: int = 32
    web_threads: int = 32
    log_level: str = "info"

    def quick(self) -> Plan:
        """The same in a minute or so: one run, fewer events."""
        return Plan(
            **{
                **{name: getattr(self, name) for name in self.__slots__},
                "runs": 1,
                "events": min(self.events, 1_000),
                "seconds": min(self.seconds, 5.0),
            }
        )


@dataclass(frozen=True, slots=True)
class Deadlines:
    """No phase takes longer, in seconds."""

    start_s: float = 60.0
    load_s: float = 300.0
    stall_s: float = 20.0  # without a single new delivery
    stop_s: float = 40.0


DEADLINES = Deadlines()
#: Events that are sent before anything is measured, and that are received only.
WARM_UP, MOST_EVENTS = 200, 100_000
