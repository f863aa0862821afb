"""A small ERP that finds its orders by the number the shop gave them.

Seed: {"orders": [{"externalNumber": "1004800", "number": "0000012E4"}]}; several orders may share an external number.
{"forget": ["1004800"]} takes the orders of these external numbers away. `--derive PREFIX` answers for every number
that was not seeded with one order called PREFIX + external number. {"credit_notes": [{"number": …}]} puts credit notes
there that somebody else made.

    python -m connectors.generic_erp.simulator --port 8701
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from flask import Flask, request

from connectors import simserve
from connectors.generic_erp.credit_notes import Notes, register
from connectors.simkit import TOKEN, Answer, Simulator


class Orders:
    """The orders that this ERP holds."""

    def __init__(self, derive: str | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._derive = derive

    def seed(self, data: dict[str, Any]) -> dict[str, int]:
        """Add and take away orders; the count of those held now."""
        gone = set(data.get("forget", ()))
        self.rows = [row for row in self.rows if row["externalNumber"] not in gone]
        for row in data.get("orders", ()):
            self.rows.append({"status": "SHIPPED", "customerNumber": "C-1001", **row})
        return {"orders": len(self.rows)}

    def by_external(self, external: str) -> list[dict[str, Any]]:
        """Every order with exactly this external number."""
        found = [row for row in self.rows if row["externalNumber"] == external]
        if not found and self._derive is not None:
            return [{"externalNumber": external, "number": f"{self._derive}{external}", "status": "SHIPPED"}]
        return found


def create_app(*, token: str = TOKEN, derive: str | None = None) -> Flask:
    """The simulated ERP."""
    orders, notes = Orders(derive), Notes()

    def seed(data: dict[str, Any]) -> dict[str, int]:
        for row in data.get("credit_notes", ()):
            notes.rows[row["number"]] = row
        return {**orders.seed(data), "credit_notes": len(notes.rows)}

    sim = Simulator("generic_erp", token=token, seed=seed)

    @sim.operation("find_order", "GET", "/orders")
    def find_order() -> Answer:
        external = request.args.get("externalNumber")
        if external is None:
            return Answer({"message": "externalNumber is missing"}, 400)
        found = orders.by_external(external)
        return Answer({"items": found, "total": len(found)})

    register(sim, notes)

    @sim.operation("get_order", "GET", "/orders/<path:number>")
    def get_order(number: str) -> Answer:
        for row in orders.rows:
            if row["number"] == number:
                return Answer(row)
        return Answer({"message": f"no order {number}"}, 404)

    return sim.app


def main(argv: Sequence[str] | None = None) -> None:
    """Run as a program."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--derive", metavar="PREFIX", help="know every order, as PREFIX + its external number")

    simserve.main(
        lambda chosen: create_app(token=chosen.token, derive=chosen.derive), argv, about=__doc__ or "", options=options
    )


if __name__ == "__main__":
    main()
