"""Returnista as its public documents and public client code describe it: returns with their shipments, and webhooks.

Served with and without the prefix /api/v0. Beside what `connectors.simkit` tells:

    POST /_sim/seed   {"return_orders": [whole objects], "build": [short forms, see `samples`],
                       "visible_after": {"<return order id>": 2},        the first 2 reads of it answer 404
                       "quirks": {"short_pages": true, …},               see `QUIRKS`
                       "consumers": [{"order": "#1", "email": "…", "purchases": [{"id": "p-1", "sku": "A"}]}]}
    POST /_sim/send   {"event": "shipment.label_created", "id": "<shipment or return order id>", "url": "http://…",
                       "copies": 10, "concurrent": true, "set": {"updatedAt": "…"}, "secret": "…", "tamper": false}
                      sends the signed event and answers {"statuses": [200, …], "answers": […]}
    POST /_sim/decide {"id": "<return order or return request id>", "status": "Approved", "type": "Exchange"}
                      the merchant decides one return request, or all of a return order
    POST /_sim/ask    {"url": "http://…/bridge/…/get-purchases", "request": {…}, "token": "…"} and what /_sim/send knows
                      asks a bridge as the vendor would, signed, or with a bearer token when one is given

    python -m connectors.returnista.simulator --port 8703 --secret whsec
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import requests
from flask import Flask, Response, jsonify, request

from app.core.signatures import sign
from connectors import simserve
from connectors.returnista.consumers import Consumers, register
from connectors.returnista.samples import ACCOUNT, build_return_order, sample_id
from connectors.simkit import TOKEN, Answer, Simulator

SECRET = "sim-webhook-secret"
#: Oddities of list answers that a reader has to survive.
QUIRKS = ("short_pages", "repeat_last", "next_page_stuck", "no_next_page", "ignore_filter", "ignore_expand")
_EXPANSIONS = ("consumer", "shipments", "returnRequests")


class Platform:
    """The return orders that the platform holds, and how it answers lists."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.hidden: dict[str, int] = {}
        self.quirks: dict[str, bool] = {}
        self.consumers = Consumers(self.orders)
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Add or replace return orders; those just built are answered whole."""
        built = [build_return_order(spec) for spec in data.get("build", ())]
        for order in [*data.get("return_orders", ()), *built]:
            self.orders[order["id"]] = order
        self.hidden.update(data.get("visible_after", {}))
        self.quirks.update(data.get("quirks", {}))
        self.consumers.seed(data.get("consumers", []))
        return {"return_orders": len(self.orders), "built": built}

    def read(self, order_id: str) -> dict[str, Any] | None:
        """A return order as the API shows it now; None while the read side does not have it yet."""
        if self.hidden.get(order_id, 0) > 0:
            self.hidden[order_id] -= 1
            return None
        return self.orders.get(order_id)

    def requests(self) -> list[dict[str, Any]]:
        """All return requests of all return orders."""
        return [one for order in self.orders.values() for one in order["returnRequests"]]

    def resolve(self, request_id: str, status: str, **more: str) -> bool:
        """Set the status of a resolution; False when there is no such return request."""
        found = [one for one in self.requests() if one["id"] == request_id]
        for one in found:
            one["resolution"].update(status=status, **more)
            one["updatedAt"] = self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return bool(found)

    def event_data(self, event: str, object_id: str) -> dict[str, Any]:
        """What the event `event` carries about a shipment or return order. Raises KeyError when there is none."""
        for order in self.orders.values():
            for shipment in order["shipments"]:
                if event.startswith("shipment.") and shipment["id"] == object_id:
                    return copy.deepcopy(shipment)
        order = self.orders[object_id]
        if event.startswith("sales_order."):
            return {
                "id": sample_id(object_id, "sales"),
                "returnRequests": order["returnRequests"],
                "relatedReturnOrders": [{"id": object_id}],
                "updatedAt": order["updatedAt"],
            }
        hidden = () if event == "return_order.completed" else _EXPANSIONS
        return {key: value for key, value in copy.deepcopy(order).items() if key not in hidden}

    def page(self, rows: list[dict[str, Any]]) -> Answer:
        """One page of a list, as asked for by the request at hand."""
        try:
            limit, page = int(request.args.get("limit", "20")), int(request.args.get("page", "1"))
        except ValueError:
            limit = page = 0
        if not 1 <= limit <= 50 or page < 1:
            return Answer({"errors": [{"message": "limit is 1 to 50 and page starts at 1"}]}, 400)
        rows = self._sorted(rows if self.quirks.get("ignore_filter") else self._filtered(rows))
        size = max(1, limit // 2) if self.quirks.get("short_pages") else limit
        start = (page - 1) * size
        shown = rows[start : start + size]
        if self.quirks.get("repeat_last") and start:
            shown = [rows[start - 1], *shown]
        stuck = bool(self.quirks.get("next_page_stuck"))
        more = start + size < len(rows) or stuck
        answer = {"data": [self.shown(row) for row in shown], "limit": limit, "page": page, "hasMore": more}
        if not self.quirks.get("no_next_page"):
            answer["nextPage"] = (page if stuck else page + 1) if more else None
        return Answer(answer)

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with the expansions that the request at hand asks for."""
        wanted = () if self.quirks.get("ignore_expand") else request.args.getlist("expand")
        return {key: value for key, value in row.items() if key not in _EXPANSIONS or key in wanted}

    def _filtered(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        wanted = request.args.get("filter", "")
        for sign_ in (">=", "<=", ">", "<", ":"):
            name, found, value = wanted.partition(sign_)
            if found:
                return [row for row in rows if _fits(_at(row, name), sign_, value)]
        return rows

    def _sorted(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        key = request.args.get("sortBy", "createdAt")
        return sorted(rows, key=lambda row: str(row.get(key, "")), reverse=request.args.get("orderBy") == "desc")


def _at(row: Any, path: str) -> Any:
    for key in path.split("."):
        row = row.get(key) if isinstance(row, dict) else None
    return row


def _fits(value: Any, sign_: str, wanted: str) -> bool:
    have = str(value)
    return {":": have == wanted, ">=": have >= wanted, "<=": have <= wanted, ">": have > wanted, "<": have < wanted}[
        sign_
    ]


def create_app(*, token: str = TOKEN, secret: str = SECRET) -> Flask:
    """The simulated platform, with one account."""
    platform = Platform()
    sim = Simulator("returnista", token=token, seed=platform.seed)
    sim.app.extensions["platform"] = platform
    subscriptions: dict[str, Any] = {}

    def paths(*ends: str) -> list[str]:
        return [f"{prefix}/account/{ACCOUNT}/{end}" for prefix in ("", "/api/v0") for end in ends]

    @sim.operation("get_return_order", "GET", *paths("return-order/<order_id>"))
    def get_return_order(order_id: str) -> Answer:
        order = platform.read(order_id)
        return Answer(platform.shown(order)) if order else _not_found("return order", order_id)

    @sim.operation("list_return_orders", "GET", *paths("return-orders"))
    def list_return_orders() -> Answer:
        return platform.page([order for key, order in platform.orders.items() if not platform.hidden.get(key)])

    @sim.operation("get_return_request", "GET", *paths("return-request/<id_>", "return-requests/<id_>"))
    def get_return_request(id_: str) -> Answer:
        found = [row for row in platform.requests() if row["id"] == id_]
        return Answer(found[0]) if found else _not_found("return request", id_)

    @sim.operation("list_return_requests", "GET", *paths("return-requests"))
    def list_return_requests() -> Answer:
        return platform.page(platform.requests())

    # By which call a resolution is updated is not documented: these are the likely ones.
    def update_resolution(id_: str) -> Answer:
        wanted = request.get_json(force=True)
        status = str(wanted.get("resolution", wanted).get("status", ""))
        if not platform.resolve(id_, status):
            return _not_found("return request", id_)
        return Answer({"id": id_, "resolution": {"status": status}}, effect=f"resolution of {id_}: {status}")

    likely = paths("return-request/<id_>", "return-requests/<id_>", "return-request/<id_>/resolution")
    for method, name in (("PATCH", ""), ("PUT", "_by_put"), ("POST", "_by_post")):
        sim.operation(f"update_resolution{name}", method, *likely)(update_resolution)
    register(sim, platform.consumers)

    @sim.operation("create_subscription", "POST", *paths("webhook-subscription"))
    def create_subscription() -> Answer:
        wanted = request.get_json(force=True)
        made = {"id": sample_id("subscription", str(len(subscriptions))), **wanted}
        subscriptions[made["id"]] = made
        return Answer(made, 201, effect=f"subscribed to {made.get('eventName')}")

    @sim.operation("list_subscriptions", "GET", *paths("webhook-subscriptions"))
    def list_subscriptions() -> Answer:
        return platform.page(list(subscriptions.values()))

    @sim.operation("delete_subscription", "DELETE", *paths("webhook-subscription/<id_>"))
    def delete_subscription(id_: str) -> Answer:
        gone = subscriptions.pop(id_, None)
        return Answer({}, effect=f"unsubscribed {id_}") if gone else _not_found("webhook subscription", id_)

    @sim.app.post("/_sim/send")
    def send() -> tuple[Response, int]:
        wanted = request.get_json(force=True)
        try:
            with sim.lock:
                data = platform.event_data(wanted["event"], wanted["id"])
        except KeyError as missing:
            return jsonify(message=f"there is no {missing}"), 404
        message = {"event": wanted["event"], "data": {**data, **wanted.get("set", {})}}
        sent = send_event(wanted["url"], message, wanted.get("secret", secret), **_how(wanted))
        return jsonify(statuses=[status for status, _ in sent], answers=[text for _, text in sent]), 200

    @sim.app.post("/_sim/decide")
    def decide() -> tuple[Response, int]:
        wanted = request.get_json(force=True)
        id_ = wanted.pop("id")
        with sim.lock:
            found = [one["id"] for one in platform.requests() if id_ in (one["id"], one["returnOrderId"])]
            for one in found:
                platform.resolve(one, **wanted)
        return jsonify(decided=found), 200 if found else 404

    @sim.app.post("/_sim/ask")
    def ask() -> Response:
        wanted = request.get_json(force=True)
        asked = send_event(wanted["url"], wanted["request"], wanted.get("secret", secret), **_how(wanted))
        return jsonify(statuses=[status for status, _ in asked], answers=[text for _, text in asked])

    return sim.app


def send_event(
    url: str,
    message: Any,
    secret: str,
    *,
    copies: int = 1,
    concurrent: bool = False,
    tamper: bool = False,
    token: str = "",
) -> list[tuple[int, str]]:
    """POST a signed event and give (status, answer) of each copy; status 0 is no answer. `tamper` spoils a byte.

    With a `token` it is shown instead of the signature.
    """
    body = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
    scheme = {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": [secret]}
    proof = {"Authorization": f"Bearer {token}"} if token else sign(scheme, body, datetime.now(UTC))
    headers = {"Content-Type": "application/json", **proof}
    if tamper:
        body = body.replace(b":", b": ", 1)

    def post(_: int) -> tuple[int, str]:
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(url, data=body, headers=headers, timeout=30)
            except requests.RequestException as error:
                return 0, str(error)
            return answer.status_code, answer.text[:20_000]

    with ThreadPoolExecutor(copies if concurrent else 1) as pool:
        return list(pool.map(post, range(copies)))


def _how(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: wanted[name] for name in ("copies", "concurrent", "tamper", "token") if name in wanted}


def _not_found(what: str, id_: str) -> Answer:
    return Answer({"errors": [{"message": f"no {what} {id_}"}]}, 404)


def main(argv: Sequence[str] | None = None) -> None:
    """Run as a program."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--secret", default=SECRET, help=f"signs the webhooks (default {SECRET})")

    simserve.main(
        lambda chosen: create_app(token=chosen.token, secret=chosen.secret), argv, about=__doc__ or "", options=options
    )


if __name__ == "__main__":
    main()
