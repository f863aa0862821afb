"""The figures that the report shows: what each is called, and what the project promises of it."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
#: What is promised of PostgreSQL is this share of what is promised of SQLite; of its aims, all.
_POSTGRES_SHARE = 0.7
_PARTS = ("web", "worker", "clock", "redis", "supervisor", "postgres")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `floor` is the least (or with `at_most` the most) that is promised, `aim` what is wanted."""

    name: str
    title: str
    floor: float | None = None
    aim: float | None = None
    at_most: bool = False
    alike: bool = False  # the same is promised of both ledgers

    def promised(self, ledger: str) -> float | None:
        """The floor on a ledger."""
        if self.floor is None or self.alike or ledger == "sqlite":
            return self.floor
        return self.floor / _POSTGRES_SHARE if self.at_most else self.floor * _POSTGRES_SHARE

    def holds(self, value: float, ledger: str = "sqlite") -> bool:
        """Whether a value keeps the promise."""
        floor = self.promised(ledger)
        return floor is None or (value <= floor if self.at_most else value >= floor)

    def reaches(self, value: float) -> bool:
        """Whether a value is as good as was aimed at, which is the same on both ledgers."""
        return self.aim is not None and (value <= self.aim if self.at_most else value >= self.aim)


def _most(name: str, title: str, floor: float, aim: float, alike: bool = False) -> Row:
    return Row(name, title, floor, aim, at_most=True, alike=alike)


#: What is promised.
PROMISES = (
    Row("deliveries_per_s", "deliveries/s, burst, look-up uncached", 900, 1_600),
    Row("known_per_s", "the same, look-up answered from the cross-references", 1_300, 2_000),
    Row("receive_per_s", "acknowledged events/s, durable, receiving only", 2_500, 4_000),
    _most("receive_p99_ms", "  p99 ms", 30, 20),
    Row("acks_per_s", "acknowledged events/s during the burst"),
    _most("acks_p99_ms", "  p99 ms", 30, 20),
    _most("latency_p50_ms", "event to warehouse at 20 events/s, p50 ms", 20, 8),
    _most("latency_p99_ms", "  p99 ms", 60, 25),
    Row("slow_per_s", "deliveries/s with a target of 50 ms", 1_000, 1_800),
    _most("cpu_all_ms", "CPU of all processes, ms an event", 1.8, 1.0),
    _most("idle_mb", "memory idle, MB (PSS, all processes)", 220, 150),
    _most("peak_mb", "memory at its peak in the burst, MB", 350, 250),
    _most("growth_receive_ratio", "receive in a grown ledger, times an empty one", 1.3, 1.1, alike=True),
    _most("growth_claim_events_ratio", "claim of events, the same", 1.3, 1.1, alike=True),
    _most("growth_claim_deliveries_ratio", "claim of deliveries, the same", 1.3, 1.1, alike=True),
    _most("trace_ms", "`trace` by any number in a grown ledger, ms", 100, 20),
    Row("slow_ratio", "two worker processes instead of one, target of 50 ms, times", 1.8, 1.95, alike=True),
    _most("start_s", "start of `backhaul up` to the first event accepted, s", 3, 1.5),
)

#: What tells why.
DETAILS = (
    Row("receive_p50_ms", "acknowledgement, receiving only, p50 ms"),
    Row("acks_p50_ms", "acknowledgement during the burst, p50 ms"),
    Row("trickle_ack_p50_ms", "acknowledgement at 20 events/s, p50 ms"),
    Row("trickle_ack_p99_ms", "  p99 ms"),
    Row("known_lookups", "look-ups made in the burst of known orders"),
    Row("slow_by_one_per_s", "deliveries/s, target of 50 ms, one worker of few calls at a time"),
    Row("slow_by_two_per_s", "  two workers"),
    *(Row(f"cpu_{part}_ms", f"CPU ms an event: {part}") for part in _PARTS),
    Row("cpu_bench_ms", "CPU ms an event: load generator and stubs"),
    *(Row(f"idle_{part}_mb", f"memory idle, MB: {part}") for part in _PARTS),
    *(Row(f"peak_{part}_mb", f"memory at its peak, MB: {part}") for part in _PARTS),
    Row("receive_empty_ms", "receive 24 events, empty ledger, ms"),
    Row("receive_grown_ms", "  grown ledger"),
    Row("claim_events_empty_ms", "claim 24 events, empty ledger, ms"),
    Row("claim_events_grown_ms", "  grown ledger"),
    Row("claim_deliveries_empty_ms", "claim 24 deliveries, empty ledger, ms"),
    Row("claim_deliveries_grown_ms", "  grown ledger"),
    Row("trace_most_ms", "the slowest `trace`, ms"),
    Row("trace_cli_ms", "`backhaul trace` as a command, its start included, ms"),
    Row("fill_s", "filling the ledger took, s"),
)
