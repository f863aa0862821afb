"""A small shop: it knows orders, tells the hub about them, and resolves returns once per Idempotency-Key.

Seed: {"orders": [whole orders as in fixtures/get_order__two_lines.json]}.

    POST /_sim/tell   {"number": "1004800", "event": "order.updated", "url": "http://…/webhooks/shop",
                       "set": {"state": "SHIPPED"}, "lines": {"<line id>": {"delivered": 2}},
                       "copies": 10, "concurrent": true, "tamper": false, "secret": "…"}
                      changes an order, and sends the signed event where there is a "url"; without one only a poll can
                      find it. Answers {"event": …, "statuses": [200, …]}

    python -m connectors.generic_shop.simulator --port 8704 --secret whsec
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from flask import Flask, request
from jsonschema import Draft202012Validator

from connectors import simserve
from connectors.simkit import TOKEN, Answer, Simulator
from connectors.simsend import tells_of

_SCHEMA = Path(__file__).parent / "schemas" / "resolve_return.json"
_ADDRESS = _SCHEMA.with_name("set_return_address.json")


class Shop:
    """The orders of a shop by their numbers, and what was resolved on them."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.resolved: list[dict[str, Any]] = []
        self.addresses: dict[tuple[str, str], dict[str, Any]] = {}
        self._answers: dict[str, tuple[str, Answer]] = {}
        self._events = count(1)
        self._last = datetime.min.replace(tzinfo=UTC)
        self._resolution = Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))
        self._address = Draft202012Validator(json.loads(_ADDRESS.read_text(encoding="utf-8")))

    def seed(self, data: dict[str, Any]) -> dict[str, int]:
        """Add or replace orders; the count of those known now."""
        self.orders.update({row["number"]: row for row in data.get("orders", ())})
        return {"orders": len(self.orders)}

    def change(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Change an order and give the event that tells it. Raises KeyError for an unknown order or line."""
        order = self.orders[wanted["number"]]
        lines = {line["id"]: line for line in order["lines"]}
        for key, said in wanted.get("lines", {}).items():
            lines[key].update(said)
        # Two changes in one millisecond are still one after the other.
        self._last = max(datetime.now(UTC), self._last + timedelta(milliseconds=1))
        told = self._last.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        order.update({"updatedAt": told, **wanted.get("set", {})})
        event = wanted.get("event", "order.updated")
        return {"event": event, "eventId": f"shop-{next(self._events):06d}", "data": copy.deepcopy(order)}

    def find(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        """The orders that fit all that is asked for: number, email, updatedAfter (with it), updatedBefore (without)."""
        number, email = asked.get("number"), asked.get("email")
        after, before = _time(asked.get("updatedAfter")), _time(asked.get("updatedBefore"))
        return [
            row
            for row in self.orders.values()
            if number in (None, row["number"])
            and (email is None or email.casefold() == str(row.get("email", "")).casefold())
            and (after is None or (_time(row["updatedAt"]) or after) >= after)
            and (before is None or (_time(row["updatedAt"]) or before) < before)
        ]

    def resolve(self, number: str, body: Any, key: str | None) -> Answer:
        """Resolve a return, unless the same request came with this key before: then its first answer again."""
        asked = json.dumps([number, body], sort_keys=True)
        if key in self._answers:
            first, answer = self._answers[key]
            if first != asked:
                return Answer({"code": "KEY_REUSED", "message": "this Idempotency-Key came with another request"}, 422)
            return Answer(answer.body, answer.status, headers={"Idempotent-Replay": "true"})
        answer = self._resolve(number, body)
        if key:
            self._answers[key] = (asked, answer)
        return answer

    def set_address(self, number: str, return_: str, body: Any) -> Answer:
        """Keep where the goods of a return go. The order may have been bought elsewhere: it need not be known here."""
        errors = [f"{error.json_path}: {error.message}" for error in self._address.iter_errors(body)]
        if errors:
            return Answer({"code": "INVALID", "message": errors[0]}, 422)
        kept = {"order": number, "return": return_, **body}
        street = body["address"]["street"]
        news = "" if self.addresses.get((number, return_)) == kept else f"return {return_} of {number} goes to {street}"
        self.addresses[number, return_] = kept
        return Answer(kept, effect=news)

    def _resolve(self, number: str, body: Any) -> Answer:
        errors = [f"{error.json_path}: {error.message}" for error in self._resolution.iter_errors(body)]
        if errors:
            return Answer({"code": "INVALID", "message": errors[0]}, 422)
        if number not in self.orders:
            return Answer({"message": f"no order {number}"}, 404)
        bought = {line["id"]: line["quantity"] for line in self.orders[number]["lines"]}
        earlier = [line for one in self.resolved if one["order"] == number for line in one["lines"]]
        for key in {line["line"] for line in body["lines"]}:
            taken = sum(line["quantity"] for line in [*earlier, *body["lines"]] if line["line"] == key)
            if taken > bought.get(key, 0):
                return Answer({"code": "INVALID", "message": f"line {key} has {bought.get(key, 0)} items"}, 422)
        made = {"resolutionId": f"RES-{len(self.resolved) + 1:06d}", "state": "DONE", "order": number, **body}
        self.resolved.append(made)
        return Answer(made, 201, effect=f"resolved {made['resolutionId']} of {number}: {body['type']}")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def create_app(*, token: str = TOKEN, secret: str = "") -> Flask:
    """The simulated shop. Without a secret it signs with the token."""
    shop = Shop()
    sim = Simulator("generic_shop", token=token, seed=shop.seed)

    @sim.operation("get_order", "GET", "/orders/<path:number>")
    def get_order(number: str) -> Answer:
        row = shop.orders.get(number)
        return Answer(row) if row else Answer({"message": f"no order {number}"}, 404)

    @sim.operation("find_orders", "GET", "/orders")
    def find_orders() -> Answer:
        found = shop.find(request.args)
        page, limit = int(request.args.get("page", "1")), int(request.args.get("limit", "50"))
        shown = found[(page - 1) * limit : page * limit]
        more = {"nextPage": page + 1} if page * limit < len(found) else {}
        return Answer({"orders": shown, "total": len(found), **more})

    @sim.operation("resolve_return", "POST", "/orders/<path:number>/resolutions")
    def resolve_return(number: str) -> Answer:
        body, key = request.get_json(force=True, silent=True), request.headers.get("Idempotency-Key")
        return shop.resolve(number, body, key)

    @sim.operation("set_return_address", "PUT", "/orders/<path:number>/returns/<path:return_>/address")
    def set_return_address(number: str, return_: str) -> Answer:
        return shop.set_address(number, return_, request.get_json(force=True, silent=True))

    tells_of(sim, "tell", shop.change, secret or token)
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
