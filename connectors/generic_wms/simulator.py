"""A small warehouse that is told which returns are coming.

It takes an Idempotency-Key: the same key with the same body gets the first answer again and changes nothing, with
another body it is refused. An RMA number can be announced once. Seed: {"locked": ["<rma>"]} makes it answer 423 for
these, {"unlocked": [...]} ends that; {"refuse": [...]} and {"accept": [...]} do so with 422;
{"returns": [{"rmaNumber": …}]} puts returns there that somebody else announced.

    POST /_sim/grade  {"rma": "R-1/#1004800", "event": "return.graded", "url": "http://…/webhooks/wms_eu",
                       "lines": [{"sku": "A", "received": 3, "accepted": 2, "rejected": 1, "condition": "B"}],
                       "unexpected": [{"sku": "B", "received": 1}], "set": {"status": "…"},
                       "copies": 10, "concurrent": true, "tamper": false, "secret": "…"}
                      counts and grades (numbers are totals), and sends the signed event where there is a "url"; without
                      an "rma" it is a parcel that nobody announced. Answers {"event": …, "statuses": [200, …]}

    python -m connectors.generic_wms.simulator --port 8702 --secret whsec
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, request
from jsonschema import Draft202012Validator

from connectors import simserve
from connectors.generic_wms.dock import Dock
from connectors.simkit import TOKEN, Answer, Simulator
from connectors.simsend import tells_of

_SCHEMAS = Path(__file__).parent / "schemas"


class Warehouse:
    """The returns that this warehouse expects, and the answers it gave by idempotency key."""

    def __init__(self) -> None:
        self.returns: dict[str, dict[str, Any]] = {}
        self.dock = Dock(self.returns)
        self.locked: set[str] = set()
        self.refused: set[str] = set()
        self._answers: dict[str, tuple[str, Answer]] = {}
        self._validators = {
            name: Draft202012Validator(json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))
            for name in ("announce_return", "announce_grouped_return", "update_tracking", "cancel_return")
        }

    def seed(self, data: dict[str, Any]) -> dict[str, int]:
        """Put returns there, lock and unlock them; the count of those expected now."""
        for body in data.get("returns", ()):
            self._add(body)
        self.locked |= set(data.get("locked", ()))
        self.locked -= set(data.get("unlocked", ()))
        self.refused |= set(data.get("refuse", ()))
        self.refused -= set(data.get("accept", ()))
        return {"returns": len(self.returns)}

    def announce(self, body: Any) -> Answer:
        """Expect a return."""
        schema = "announce_grouped_return" if isinstance(body, dict) and "orders" in body else "announce_return"
        if refused := self._invalid(schema, body):
            return refused
        rma = body["rmaNumber"]
        if rma in self.locked:
            return Answer({"code": "LOCKED", "message": "the return is being counted"}, 423)
        if rma in self.refused:
            return Answer({"code": "INVALID", "message": "this warehouse takes no such return"}, 422)
        if known := self.returns.get(rma):
            told = {
                "code": "DUPLICATE",
                "message": f"{rma} is announced already",
                "returnNumber": known["returnNumber"],
            }
            return Answer(told, 409)
        row = self._add(body)
        return Answer(row, 201, effect=f"announced {rma} as {row['returnNumber']}")

    def track(self, rma: str, body: Any) -> Answer:
        """Replace the parcels of an expected return."""
        if refused := self._invalid("update_tracking", body):
            return refused
        if rma not in self.returns:
            return Answer({"code": "UNKNOWN_RETURN", "message": f"no return {rma}"}, 404)
        if rma in self.locked:
            return Answer({"code": "LOCKED", "message": "the return is being counted"}, 423)
        self.returns[rma]["parcels"] = body["parcels"]
        return Answer(self.returns[rma], effect=f"tracking of {rma} is {_numbers(body['parcels'])}")

    def cancel(self, rma: str, body: Any) -> Answer:
        """Wait for a return no longer, unless it has arrived."""
        if refused := self._invalid("cancel_return", body):
            return refused
        row = self.returns.get(rma)
        if row is None:
            return Answer({"code": "UNKNOWN_RETURN", "message": f"no return {rma}"}, 404)
        if rma in self.locked:
            return Answer({"code": "LOCKED", "message": "the return is being counted"}, 423)
        if row["status"] == "CANCELLED":
            return Answer({"code": "ALREADY_CANCELLED", "message": f"{rma} is cancelled"}, 409)
        if row["status"] != "EXPECTED":
            return Answer({"code": "ALREADY_RECEIVED", "message": f"{rma} has arrived"}, 409)
        row["status"] = "CANCELLED"
        row.pop("updatedAt", None)
        return Answer(self.dock.shown(row), effect=f"cancelled {rma}")

    def once(self, key: str | None, body: Any, act: Callable[[], Answer]) -> Answer:
        """Act, unless the same request came with this key before: then its first answer again."""
        if not key:
            return act()
        asked = json.dumps([request.method, request.path, body], sort_keys=True)
        if key in self._answers:
            first, answer = self._answers[key]
            if first != asked:
                return Answer({"code": "KEY_REUSED", "message": "this Idempotency-Key came with another request"}, 422)
            return Answer(answer.body, answer.status, headers={"Idempotent-Replay": "true"})
        answer = act()
        # A refusal for the moment is no result: the same key may try again.
        if answer.status != 423:
            self._answers[key] = (asked, answer)
        return answer

    def _add(self, body: dict[str, Any]) -> dict[str, Any]:
        row = {**body, "returnNumber": f"WR-{len(self.returns) + 1:06d}", "status": "EXPECTED"}
        self.returns[body["rmaNumber"]] = row
        return row

    def _invalid(self, schema: str, body: Any) -> Answer | None:
        errors = [f"{error.json_path}: {error.message}" for error in self._validators[schema].iter_errors(body)]
        return Answer({"code": "INVALID", "message": errors[0], "details": errors}, 422) if errors else None


def _numbers(parcels: list[dict[str, Any]]) -> str:
    return ", ".join(parcel["trackingNumber"] for parcel in parcels)


def create_app(*, token: str = TOKEN, secret: str = "") -> Flask:
    """The simulated warehouse. Without a secret it signs with the token."""
    warehouse = Warehouse()
    sim = Simulator("generic_wms", token=token, seed=warehouse.seed)

    @sim.operation("announce_return", "POST", "/returns")
    def announce_return() -> Answer:
        body, key = request.get_json(force=True, silent=True), request.headers.get("Idempotency-Key")
        return warehouse.once(key, body, lambda: warehouse.announce(body))

    @sim.operation("update_tracking", "PUT", "/returns/<path:rma>/tracking")
    def update_tracking(rma: str) -> Answer:
        body, key = request.get_json(force=True, silent=True), request.headers.get("Idempotency-Key")
        return warehouse.once(key, body, lambda: warehouse.track(rma, body))

    @sim.operation("find_return", "GET", "/returns")
    def find_return() -> Answer:
        wanted = request.args.get("rma")
        found = [row for rma, row in warehouse.returns.items() if wanted in (None, rma)]
        return Answer({"items": found, "total": len(found)})

    @sim.operation("get_return", "GET", "/returns/<number>")
    def get_return(number: str) -> Answer:
        found = [row for row in warehouse.returns.values() if row["returnNumber"] == number]
        if not found:
            return Answer({"code": "UNKNOWN_RETURN", "message": f"no return {number}"}, 404)
        return Answer(warehouse.dock.shown(found[0]))

    @sim.operation("cancel_return", "POST", "/returns/<path:rma>/cancel")
    def cancel_return(rma: str) -> Answer:
        body, key = request.get_json(force=True, silent=True), request.headers.get("Idempotency-Key")
        return warehouse.once(key, body, lambda: warehouse.cancel(rma, body))

    tells_of(sim, "grade", warehouse.dock.grade, secret or token)
    return sim.app


def main(argv: Sequence[str] | None = None) -> None:
    """Run as a program."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--secret", default="", help="signs what it sends; without one the token does")

    simserve.main(
        lambda chosen: create_app(token=chosen.token, secret=chosen.secret), argv, about=__doc__ or "", options=options
    )


if __name__ == "__main__":
    main()
