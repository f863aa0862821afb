"""Names and labels of the kept counters, in one place, so that writers and `/metrics` agree."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from app.core.jsontext import dump_text

EVENTS = "backhaul_events_total"
ATTEMPTS = "backhaul_attempts_total"
DELIVERIES = "backhaul_deliveries_total"
REJECTED = "backhaul_rejected_total"
STALE = "backhaul_stale_documents_total"
MERGED = "backhaul_merged_total"
FENCED = "backhaul_fenced_total"
BRIDGE_REQUESTS = "backhaul_bridge_requests_total"
BRIDGE_SECONDS = "backhaul_bridge_seconds_total"
POLLS = "backhaul_polls_total"
HEALED = "backhaul_healed_total"


class Tally:
    """Adds up counters until they are written with the transaction that they count."""

    def __init__(self) -> None:
        self._amounts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def add(self, name: str, **labels: str) -> None:
        """One more. Label values come from configuration only, never from a payload."""
        self.add_many(name, 1, **labels)

    def add_many(self, name: str, amount: int, /, **labels: str) -> None:
        """So many more, and nothing for none."""
        if amount:
            self._amounts[name, tuple(labels.items())] += amount

    def amounts(self) -> dict[tuple[str, str], float]:
        """{(name, labels as JSON): amount}, as the ledger takes them."""
        found: Counter[tuple[str, str]] = Counter()
        for (name, labels), amount in self._amounts.items():
            found[name, _text(labels)] += amount
        return {key: float(amount) for key, amount in found.items()}


@lru_cache(maxsize=1024)
def _text(labels: tuple[tuple[str, str], ...]) -> str:
    return dump_text(dict(sorted(labels)))
