"""nShift Return as its public documents describe it: returns, the warehouse's result, pushed orders.

Served with and without the prefix /public-api/v3, with basic auth. Beside what `connectors.simkit` tells:

    POST /_sim/seed   {"returns": [{"returnOrderId": 4711, "orderId": "A-1", "createdAt": "2026-11-20T09:30:00Z",
                                    "items": [{"sku": "hera", "orderItemId": "1", "quantity": 2}]}],
                                                                  or "createdAgo": "2h", for a poll that is now
                       "process": {"4711": 39.0},                     somebody processes it, with that gross refund
                       "forget": true,                                first of all, what it held
                       "now": "2026-11-22T10:00:00Z",                 its own clock stands still there
                       "quirks": {"page_cap": 50, …}}                 see `store.QUIRKS`

    python -m connectors.nshift.simulator --port 8704 --username shop --token sim-password
"""

from __future__ import annotations

import argparse
import base64
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, request

from app.core.times import parse_time
from connectors import simserve
from connectors.nshift.store import Refused, Store
from connectors.simkit import TOKEN, Answer, Misbehaviour, Simulator

USERNAME = "sim-user"
_RETURN = ("forwardOrderId", "returnId", "updatedAt", "itemCount", "items")
_ITEM = ("forwardOrderItemId", "sku", "isAccepted", "netAmount", "taxAmount", "grossAmount")
_ORDER = ("orderId", "marketCode", "customer", "items")
_FILTERS = ("createdAfter", "createdBefore", "updatedAfter", "updatedBefore")


class _BasicSimulator(Simulator):
    """A simulator that asks for user and password, and errs in the vendor's own form."""

    username = USERNAME

    def _authorized(self) -> bool:
        wanted = "Basic " + base64.b64encode(f"{self.username}:{self.token}".encode()).decode()
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), wanted.encode())

    def _refuse(self, fault: Misbehaviour) -> Answer:
        answer = super()._refuse(fault)
        if isinstance(answer.body, dict):
            answer.body = _error(answer.status, str(answer.body["message"]))
        return answer


def _error(status: int, message: str) -> dict[str, Any]:
    """The error body that the vendor documents."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"code": status, "error": HTTPStatus(status).phrase, "message": message, "timestamp": now}


def _refused(error: Refused) -> Answer:
    return Answer(_error(error.status, error.message), error.status)


def _need(value: Any, fields: Sequence[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(400, f"{what} is no object")
    for field in fields:
        if value.get(field) is None:
            raise Refused(400, f"{what}: {field} is missing")
    return value


def _checked_update(body: Any) -> dict[str, Any]:
    returns = _need(body, ("returns",), "request")["returns"]
    if not isinstance(returns, list) or len(returns) != 1:
        raise Refused(400, "returns must hold one return")
    told = _need(returns[0], _RETURN, "return")
    for item in told["items"]:
        _need(item, _ITEM, "item")
    return told


def _checked_orders(body: Any) -> list[dict[str, Any]]:
    """The pushed orders. One that is wrong refuses all: the vendor does not say otherwise."""
    if not isinstance(body, list):
        raise Refused(400, "request is no array")
    for order in body:
        _need(order, _ORDER, "order")
        _need(order["customer"], ("customerId",), "customer")
        for item in order["items"]:
            _need(
                _need(item, ("statusOfDelivery", "productVariant"), "item")["productVariant"], ("productName",), "item"
            )
            if "quantity" in item and not 1 < item["quantity"] < 99:
                raise Refused(400, "quantity must be greater than 1 and less than 99")
        for field in ("createdAt", "updatedAt", "shipmentDate"):
            if field in order:
                _time(order[field], field)
    return body


def _time(text: str, name: str) -> datetime:
    try:
        return parse_time(text)
    except (ValueError, TypeError):
        raise Refused(400, f"{name}: {text!r} is no date-time") from None


def create_app(
    *, token: str = TOKEN, username: str = USERNAME, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Flask:
    """The simulated nShift Return, with one organization."""
    store = Store(now)
    sim = _BasicSimulator("nshift", token=token, seed=store.seed)
    sim.username = username

    def paths(end: str) -> list[str]:
        return [end, f"/public-api/v3{end}"]

    @sim.operation("wms_update", "POST", *paths("/wms-update"))
    def wms_update() -> Answer:
        try:
            return Answer({}, effect=store.update(_checked_update(request.get_json(force=True, silent=True))))
        except Refused as error:
            return _refused(error)

    @sim.operation("push_orders", "POST", *paths("/push-api/push-orders-consolidated"))
    def push_orders() -> Answer:
        try:
            return Answer({}, effect=store.push(_checked_orders(request.get_json(force=True, silent=True))))
        except Refused as error:
            return _refused(error)

    @sim.operation("list_return_orders", "GET", *paths("/return-orders"))
    def list_return_orders() -> Answer:
        try:
            if unknown := sorted(set(request.args) - set(_FILTERS)):
                raise Refused(400, f"unknown parameter {unknown[0]}")
            bounds = {name: _time(request.args[name], name) if name in request.args else None for name in _FILTERS}
        except Refused as error:
            return _refused(error)
        records, total = store.listed(**bounds)
        return Answer({"records": records, "totalRecords": total})

    return sim.app


def main(argv: Sequence[str] | None = None) -> None:
    """Run as a program."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--username", default=USERNAME, help=f"the user it takes (default {USERNAME})")

    simserve.main(
        lambda chosen: create_app(token=chosen.token, username=chosen.username),
        argv,
        about=__doc__ or "",
        options=options,
    )


if __name__ == "__main__":
    main()
