"""`/metrics` for Prometheus: counters that the ledger keeps, and how much waits for how long. Nothing is scanned."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from app.core import counting
from app.core.checkup import FACT, read_rounds
from app.core.jsontext import loads
from app.core.ports import Clock
from app.core.site import Site
from app.core.times import parse_time
from app.errors import LedgerUnavailable
from app.web.health import clock_age_s
from app.web.ports import WebLedger

#: What each kept counter counts, and its labels.
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    counting.EVENTS: ("Events by the state they came to.", ("connection", "state")),
    counting.ATTEMPTS: ("Tries at calls by outcome.", ("connection", "operation", "outcome")),
    counting.DELIVERIES: ("Deliveries by the state they came to.", ("connection", "route", "state")),
    counting.REJECTED: ("Requests turned away at the door; connection is empty when unknown.", ("connection", "cause")),
    counting.STALE: ("Documents that came after a newer one.", ("connection",)),
    counting.MERGED: ("Deliveries that a newer picture replaced before they were sent.", ("connection",)),
    counting.FENCED: ("Results of workers that had lost their claim.", ("connection",)),
    counting.POLLS: ("Looks of polls by what they came to.", ("connection", "poll", "outcome")),
    counting.HEALED: ("Polled events that brought a change no message had told.", ("connection", "poll")),
    counting.BRIDGE_REQUESTS: ("Questions of bridges by the status of their answer.", ("bridge", "status")),
    counting.BRIDGE_SECONDS: ("How long questions of bridges took, added up.", ("bridge",)),
}


def blueprint(site: Site, ledger: WebLedger, clock: Clock) -> Blueprint:
    """The page that Prometheus reads."""
    pages = Blueprint("metrics", __name__)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(site, ledger, clock))

    @pages.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return pages


class LedgerCollector(Collector):
    """Reads the ledger each time it is asked. With the ledger away it says only that."""

    def __init__(self, site: Site, ledger: WebLedger, clock: Clock) -> None:
        self._site, self._ledger, self._clock = site, ledger, clock

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: asking would read the ledger when the application starts."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All metrics as of now."""
        up = GaugeMetricFamily("backhaul_ledger_up", "1 when the ledger can be read.")
        try:
            found = [*self._counters(), *self._waiting(), *self._lanes(), *self._tasks(), *self._polls()]
            found += [*self._clock_age(), *self._verified()]
        except LedgerUnavailable:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *found]

    def _counters(self) -> list[Metric]:
        names = {name: list(labels) for name, (_, labels) in COUNTERS.items()}
        families = {name: CounterMetricFamily(name, what, labels=labels) for name, (what, labels) in COUNTERS.items()}
        for (name, text), amount in sorted(self._ledger.counters().items()):
            labels = {str(key): str(value) for key, value in loads(text or "{}").items()}
            if name not in families:
                names[name] = sorted(labels)
                families[name] = CounterMetricFamily(name, "Kept by the ledger.", labels=names[name])
            families[name].add_metric([labels.get(label, "") for label in names[name]], amount)
        return list(families.values())

    def _waiting(self) -> list[Metric]:
        labels = ("what", "lane", "state")
        many = GaugeMetricFamily("backhaul_waiting", "What is not final, by state.", labels=labels)
        oldest = GaugeMetricFamily(
            "backhaul_oldest_waiting_seconds", "Age of the oldest that is not final.", labels=labels
        )
        now = self._clock.now()
        for what, lane, state, count, created_at in self._ledger.waiting():
            many.add_metric([what, lane, state], count)
            oldest.add_metric([what, lane, state], max(0.0, (now - created_at).total_seconds()))
        return [many, oldest]

    def _lanes(self) -> list[Metric]:
        paused = GaugeMetricFamily(
            "backhaul_connection_paused", "1 when a connection is paused.", labels=("connection",)
        )
        opened = GaugeMetricFamily(
            "backhaul_breaker_open", "1 when a connection failed too often to be called now.", labels=("connection",)
        )
        states = {state.connection: state for state in self._ledger.lanes()}
        for name in sorted(self._site.connections):
            state = states.get(name)
            paused.add_metric([name], 1 if state and state.paused else 0)
            opened.add_metric([name], 1 if state and state.open_until else 0)
        return [paused, opened]

    def _tasks(self) -> list[Metric]:
        family = GaugeMetricFamily("backhaul_tasks_open", "What waits for a person: see `backhaul tasks`.")
        family.add_metric([], self._ledger.open_tasks())
        return [family]

    def _polls(self) -> list[Metric]:
        family = GaugeMetricFamily(
            "backhaul_poll_age_seconds",
            "Since when a poll that is on was not read to its end.",
            labels=("connection", "poll"),
        )
        now = self._clock.now()
        for state in self._ledger.polls():
            if state.on:
                since = state.good_at or state.since
                family.add_metric([state.key.connection, state.key.name], max(0.0, (now - since).total_seconds()))
        return [family]

    def _clock_age(self) -> list[Metric]:
        family = GaugeMetricFamily(
            "backhaul_clock_age_seconds", "Since when nobody holds the clock's lease; 0 while it runs."
        )
        age = clock_age_s(self._ledger, self._clock)
        if age is not None:
            family.add_metric([], age)
        return [family]

    def _verified(self) -> list[Metric]:
        ended = GaugeMetricFamily(
            "backhaul_ledger_verified_timestamp_seconds", "When the clock last came to the end of the whole ledger."
        )
        rows = GaugeMetricFamily("backhaul_ledger_verified_rows", "Rows that it looked at then.")
        unsound = GaugeMetricFamily(
            "backhaul_ledger_unsound", "What it found wrong then, or since: see `backhaul ledger verify`."
        )
        kept = self._ledger.fact(FACT)
        now, last = read_rounds(kept[1]) if kept else (None, None)
        if last is not None:
            ended.add_metric([], parse_time(last.ended).timestamp())
            rows.add_metric([], last.rows)
        if now is not None or last is not None:
            unsound.add_metric([], max(one.unsound for one in (now, last) if one is not None))
        return [ended, rows, unsound]
