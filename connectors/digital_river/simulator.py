"""Digital River as its public documents and client code say: coordinated returns, refunds, events, webhooks.

Beside what `connectors.simkit` tells:

    POST /_sim/seed     {"orders": [short forms, see `samples`], "returns": [whole returns], "live": false,
                         "quirks": {"stuck_cursor": true, "ignore_filters": true, "brackets": true,
                                    "event_first": "http://…"}}
                        event_first: the created event is sent there before the POST is answered
    POST /_sim/fulfill  {"return": "ret_…", "do": "approve"}      approve, accept or reject
                        {"return": "ret_…", "do": "accept", "items": {"<item>": 1}, "state": "pending", "quiet": true}
                        {"order": "US-1", "do": "approve", "url": "http://…"}   the newest return of an order; the
                        event is sent where there is a url
                        {"warehouse": {"fulfillmentOrderId": "…", "items": [{"fulfillmentOrderItemId", "quantity"}]}}
    POST /_sim/settle   {"refund": "re_…", "state": "succeeded" | "failed" | "expired", "because": "…"}
    POST /_sim/secrets  {"secrets": ["new", "old"]}               all of them sign, as while one is rotated
    POST /_sim/send     {"url": "http://…", "events": [whole events; default: all that happened], "order": [2, 0, 1],
                         "copies": 3, "concurrent": true, "tries": 3, "form": "dr_base64" | "stripe_like",
                         "user": "…", "password": "…"}
                        answers {"statuses": [202, …], "untaken": 0}

    python -m connectors.digital_river.simulator --port 8705 --secret whsec
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from flask import Flask, Response, jsonify, request

from connectors import simserve
from connectors.digital_river.coordination import Coordination
from connectors.digital_river.lists import TYPES, fault, page
from connectors.digital_river.mail import Mail
from connectors.digital_river.refunds import Refunds
from connectors.digital_river.samples import sample_id, written
from connectors.simkit import TOKEN, Answer, Simulator

SECRET = "sim-webhook-secret"
_EVENTS_KEPT = timedelta(days=30)


class Vendor(Simulator):
    """The simulator with all that it holds."""

    def __init__(self, token: str, secret: str, now: Callable[[], datetime]) -> None:
        self.coordination = Coordination(now)
        self.refunds = Refunds(self.coordination)
        self.mail = Mail(lambda: self.coordination.now(), [secret])
        self.webhooks: dict[str, dict[str, Any]] = {}
        super().__init__("digital_river", token=token, seed=self.coordination.seed)

    def forget(self) -> None:
        """Begin anew, as just started."""
        self.behave()
        self.requests.clear()
        self.coordination.forget()
        self.refunds.forget()
        self.webhooks.clear()
        self.mail.untaken.clear()


def create_app(
    *, token: str = TOKEN, secret: str = SECRET, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Flask:
    """The simulated platform, in test mode."""
    sim = Vendor(token, secret, now)
    _return_routes(sim)
    _refund_routes(sim)
    _webhook_routes(sim)
    _control_routes(sim)

    @sim.app.after_request
    def in_the_vendors_shape(response: Response) -> Response:
        # What every simulator refuses alike comes with a bare message.
        body = response.get_json(silent=True) if response.status_code in TYPES else None
        if isinstance(body, dict) and set(body) == {"message"} and not request.path.startswith("/_sim/"):
            told = {"type": TYPES[response.status_code], "errors": [{"code": "unknown_error", **body}]}
            response.set_data(json.dumps(told))
        return response

    return sim.app


def _return_routes(sim: Vendor) -> None:
    coordination = sim.coordination

    @sim.operation("create_fulfillment_return", "POST", "/fulfillment-returns")
    def create() -> Answer:
        answer = coordination.create(request.get_json(force=True, silent=True))
        if answer.status == 201 and coordination.quirks.get("event_first"):
            sim.mail.send(coordination.quirks["event_first"], coordination.events[-1:])
        return answer

    @sim.operation("get_fulfillment_return", "GET", "/fulfillment-returns/<id_>")
    def get(id_: str) -> Answer:
        return _one(coordination.returns.get(id_), "fulfillment return", id_)

    @sim.operation("list_fulfillment_returns", "GET", "/fulfillment-returns")
    def list_() -> Answer:
        return page(
            list(coordination.returns.values()),
            coordination.quirks,
            equal={"state": "state", "fulfillmentOrderId": "fulfillmentOrderId"},
            many={"ids": "id", "upstreamIds": "upstreamId"},
        )

    @sim.operation("get_fulfillment_order", "GET", "/fulfillment-orders/<id_>")
    def get_order(id_: str) -> Answer:
        return _one(coordination.orders.get(id_), "fulfillment order", id_)

    @sim.operation("list_fulfillment_orders", "GET", "/fulfillment-orders")
    def list_orders() -> Answer:
        rows = list(coordination.orders.values())
        return page(rows, coordination.quirks, many={"ids": "id", "upstreamIds": "upstreamId"}, with_more=False)


def _refund_routes(sim: Vendor) -> None:
    @sim.operation("create_refund", "POST", "/refunds")
    def create() -> Answer:
        return sim.refunds.create(request.get_json(force=True, silent=True))

    @sim.operation("get_refund", "GET", "/refunds/<id_>")
    def get(id_: str) -> Answer:
        return _one(sim.refunds.refunds.get(id_), "refund", id_)

    @sim.operation("list_refunds", "GET", "/refunds")
    def list_() -> Answer:
        rows = list(sim.refunds.refunds.values())
        return page(rows, sim.coordination.quirks, equal={"orderId": "orderId", "state": "state"})

    @sim.operation("list_events", "GET", "/events")
    def list_events() -> Answer:
        wanted, first = request.args.get("type", "*"), written(sim.coordination.now() - _EVENTS_KEPT)
        rows = [row for row in sim.coordination.events if row["createdTime"] >= first]
        return page([row for row in rows if fnmatchcase(row["type"], wanted)], sim.coordination.quirks)


def _webhook_routes(sim: Vendor) -> None:
    @sim.operation("create_webhook", "POST", "/webhooks")
    def create() -> Answer:
        body = request.get_json(force=True)
        if not body.get("address"):
            return fault(400, "missing_parameter", "address is required.", "address")
        now = written(sim.coordination.now())
        id_ = sample_id("webhook", str(len(sim.webhooks)))
        sim.webhooks[id_] = {"id": id_, "createdTime": now, "updatedTime": now, "enabled": True, "types": ["*"], **body}
        return Answer(sim.webhooks[id_], 201, effect=f"webhook {id_} to {body['address']}")

    @sim.operation("list_webhooks", "GET", "/webhooks")
    def list_() -> Answer:
        return page(list(sim.webhooks.values()), {})

    @sim.operation("get_webhook", "GET", "/webhooks/<id_>")
    def get(id_: str) -> Answer:
        return _one(sim.webhooks.get(id_), "webhook", id_)

    @sim.operation("update_webhook", "PATCH", "/webhooks/<id_>")
    def update(id_: str) -> Answer:
        if id_ in sim.webhooks:
            sim.webhooks[id_].update(request.get_json(force=True), updatedTime=written(sim.coordination.now()))
        return _one(sim.webhooks.get(id_), "webhook", id_)

    @sim.operation("delete_webhook", "DELETE", "/webhooks/<id_>")
    def delete(id_: str) -> Answer:
        gone = sim.webhooks.pop(id_, None)
        return Answer("", 204, effect=f"deleted {id_}") if gone else _one(None, "webhook", id_)


def _control_routes(sim: Vendor) -> None:
    @sim.app.post("/_sim/fulfill")
    def fulfill() -> tuple[Response, int]:
        wanted = request.get_json(force=True)
        act: dict[str, Callable[..., dict[str, Any]]] = {
            "approve": sim.coordination.approve,
            "accept": sim.coordination.accept,
            "reject": sim.coordination.reject,
        }
        with sim.lock:
            try:
                if "warehouse" in wanted:
                    made = sim.coordination.refuse_shipment(wanted["warehouse"])
                else:
                    id_ = wanted["return"] if "return" in wanted else sim.coordination.newest(wanted["order"])
                    how = {name: wanted[name] for name in ("items", "state", "quiet") if name in wanted}
                    made = act[wanted["do"]](id_, **how)
                news = sim.coordination.events[-1:]
            except KeyError as missing:
                return jsonify(message=f"there is no {missing}"), 404
        if "url" in wanted:
            sim.mail.send(wanted["url"], news)
        return jsonify(made), 200

    @sim.app.post("/_sim/settle")
    def settle() -> tuple[Response, int]:
        wanted = request.get_json(force=True)
        with sim.lock:
            if wanted.get("refund") not in sim.refunds.refunds:
                return jsonify(message=f"there is no refund {wanted.get('refund')}"), 404
            return jsonify(sim.refunds.settle(wanted["refund"], wanted["state"], wanted.get("because", ""))), 200

    @sim.app.post("/_sim/secrets")
    def secrets() -> Response:
        sim.mail.secrets = list(request.get_json(force=True)["secrets"])
        return jsonify(secrets=len(sim.mail.secrets))

    @sim.app.post("/_sim/send")
    def send() -> Response:
        wanted = request.get_json(force=True)
        url, events = wanted.pop("url"), wanted.pop("events", None)
        statuses = sim.mail.send(url, events if events is not None else list(sim.coordination.events), **wanted)
        return jsonify(statuses=statuses, untaken=len(sim.mail.untaken))


def _one(found: dict[str, Any] | None, what: str, id_: str) -> Answer:
    if found is None:
        return fault(404, "not_found", f"The {what} '{id_}' is not found.", "id")
    return Answer(found)


def main(argv: Sequence[str] | None = None) -> None:
    """Run as a program."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--secret", default=SECRET, help=f"signs the webhooks (default {SECRET})")

    simserve.main(
        lambda chosen: create_app(token=chosen.token, secret=chosen.secret), argv, about=__doc__ or "", options=options
    )


if __name__ == "__main__":
    main()
