"""Names and labels of the kept counters, in one place, so that writers and `/metrics` agree."""

from __future__ import annotations

from collections import Counter

from app.core.jsontext import dump_text

EVENTS = "backhaul_events_total"
ATTEMPTS = "backhaul_attempts_total"
DELIVERIES = "backhaul_deliveries_total"
REJECTED = "backhaul_rejected_total"
STALE = "backhaul_stale_documents_total"
FENCED = "backhaul_fenced_total"


class Tally:
    """Adds up counters until they are written with the transaction that they count."""

    def __init__(self) -> None:
        self._amounts: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, **labels: str) -> None:
        """One more. Label values come from configuration only, never from a payload."""
        self._amounts[name, dump_text(dict(sorted(labels.items())))] += 1

    def amounts(self) -> dict[tuple[str, str], float]:
        """{(name, labels as JSON): amount}, as the ledger takes them."""
        return {key: float(amount) for key, amount in self._amounts.items()}
