"""A site whose shop decides on lines, with a route that pays for what was accepted and one that looks again first."""

from __future__ import annotations

from typing import Any

from tests.pipeline.kit import FILES, MiniHub

SITE = {
    "config/routes.yaml": """
routes:
  - route: pay
    change: line.accepted
    calls: [{to: wms.track, mapping: return.to_payment}]
  - route: decide
    change: return.decided
    confirm: true
    calls: [{to: wms.track, mapping: return.to_payment}]
""",
    "mappings/return.to_payment.yaml": """
mapping: return.to_payment
args: {rma: "{{ return.id }}"}
body: {because: "{{ change.key }}"}
""",
    "mappings/acme_shop.to_return.yaml": FILES["mappings/acme_shop.to_return.yaml"]
    + """  lines: "{{ detail.lines | default([]) }}"
""",
    "connectors/acme_shop/connector.yaml": FILES["connectors/acme_shop/connector.yaml"]
    + """  read: {operation: get_return, with: {id: "{{ return.id }}"}, as: detail}
""",
}


class DecisionsHub(MiniHub):
    """A hub of that site, told what the shop shows."""

    def told(self, version: int, **quantity: Any) -> None:
        """The shop shows its return with one line of these quantities, and says so."""
        lines = [{"key": "l1", "quantity": quantity}] if quantity else []
        self.shows(version=version, lines=lines)
        self.receive(**{"return": "R-1"})

    def paid(self) -> list[str]:
        """What was paid for, in order."""
        return [request.body["because"] for request in self.targets.sent("/parcels")]

    def open_tasks(self) -> list[dict[str, Any]]:
        """The open tasks, oldest first."""
        return self.ledger.tasks({"state": "open"})[::-1]
