"""A hub in one process between a simulated Returnista and an invented shop that settles returns by itself.

The ledger, the doors, the network and the simulators are real; the clock is moved by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, request

from app.core.signatures import sign
from connectors.returnista import simulator
from connectors.returnista.samples import ACCOUNT
from connectors.simkit import TOKEN, Answer, Simulator
from tests.connectors.hub_kit import OneProcessHub, compiled_site, socket
from tests.connectors.returnista_site import BRIDGE_SECRET, BRIDGE_TOKEN, CONFIGURED, CONNECTIONS, FILES, SECRET
from tests.support import HandClock


class Shop:
    """The merchant's own shop: orders, settlements and labels by idempotency key."""

    def __init__(self) -> None:
        self.sim = Simulator("acme_shop")
        self.orders: dict[str, dict[str, Any]] = {}
        self.done: dict[str, dict[str, Any]] = {}
        serve = self.sim.operation
        serve("get_order", "GET", "/orders/<number>")(self._order)
        serve("list_orders", "GET", "/orders")(self._orders)
        serve("settle", "POST", "/settlements")(lambda: self._make("settled"))
        serve("make_label", "POST", "/labels")(lambda: self._make("label"))

    def _order(self, number: str) -> Answer:
        found = self.orders.get(number)
        return Answer(found) if found else Answer({"message": "no such order"}, 404)

    def _orders(self) -> Answer:
        email = request.args["email"]
        return Answer({"orders": [one for one in self.orders.values() if one["email"] == email]})

    def _make(self, what: str) -> Answer:
        key = request.headers["Idempotency-Key"]
        known = key in self.done
        number = f"{what}-{len(self.done) + 1}"
        url = f"https://labels.example.com/{number}.pdf"
        made = self.done.setdefault(key, {"resolutionId": number, "label_url": url, "tracking_number": number})
        return Answer(made, 201, effect="" if known else what)


class Hub(OneProcessHub):
    """The hub between the platform and the shop."""

    def __init__(self, ledger: Any, clock: HandClock, stack: ExitStack, folder: Path) -> None:
        super().__init__(ledger, clock)
        self.folder = folder
        stack.callback(self.http.close)
        vendor = simulator.create_app(secret=SECRET)
        self.vendor: Simulator = vendor.extensions["simulator"]
        self.platform: simulator.Platform = vendor.extensions["platform"]
        self.platform.now = clock.now
        self.shop = Shop()
        self._env = {
            "RETURNISTA_URL": _served("returnista", vendor),
            "SHOP_URL": _served("acme_shop", self.shop.sim.app),
            "ACCOUNT": ACCOUNT,
            "KEY": TOKEN,
            "SECRET": SECRET,
            "BRIDGE_SECRET": BRIDGE_SECRET,
            "BRIDGE_TOKEN": BRIDGE_TOKEN,
        }
        stack.callback(self.close)
        self.use()

    def use(self, proof: str = "hmac", **settings: str) -> None:
        """Begin anew with these settings of the connection to Returnista, in place of those of a configured one."""
        more = "\n".join(f"      {name}: {value}" for name, value in {**CONFIGURED, **settings}.items())
        told = CONNECTIONS.replace("MORE", more).replace("PROOF", proof)
        self.open(compiled_site({**FILES, "config/connections.yaml": told}, self._env))

    # --- what comes in ---------------------------------------------------------------------------

    def returns(self, *specs: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        """Let the platform have return orders, changed now unless they say otherwise."""
        at = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
        built: list[dict[str, Any]] = self.platform.seed(
            {"build": [{"updated_at": at, **spec} for spec in specs], **more}
        )["built"]
        return built

    def tell(self, event: str, object_id: str) -> int:
        """Send a webhook about an object, and do what follows; the status of the answer."""
        status = self.post(event, object_id)
        self.run()
        return status

    def post(self, event: str, object_id: str) -> int:
        """Send a webhook about an object; the status of the answer."""
        assert self.door is not None
        body = json.dumps({"event": event, "data": self.platform.event_data(event, object_id)}).encode()
        with self.door.test_client() as client:
            return client.post("/webhooks/returnista_eu", data=body, headers=self._signed(body, SECRET)).status_code

    def ask(self, path: str, question: Any, **headers: str) -> Any:
        """Ask a bridge as the platform would: signed, unless other headers are given."""
        assert self.door is not None
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        with self.door.test_client() as client:
            return client.post(
                f"/bridge/portal/{path}", data=body, headers=headers or self._signed(body, BRIDGE_SECRET)
            )

    def _signed(self, body: bytes, secret: str) -> dict[str, str]:
        scheme = {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": [secret]}
        return dict(sign(scheme, body, self.clock.now()))

    # --- work ------------------------------------------------------------------------------------

    def poll(self, name: str) -> None:
        """Let a poll look until it has caught up, and do what follows."""
        self.catch_up("returnista_eu", name)

    # --- what is seen ----------------------------------------------------------------------------

    def document(self, object_id: str) -> Any:
        """The newest document of a return order."""
        return self.head("return", "returnista_eu", object_id)

    def made(self, operation: str) -> list[Any]:
        """The requests of an operation that either side received."""
        return [one for one in [*self.vendor.requests, *self.shop.sim.requests] if one.operation == operation]


def _served(name: str, app: Flask) -> str:
    place, url = socket(name)
    place.app = app
    return url


@contextmanager
def running_hub(ledger: Any, clock: HandClock, folder: Path) -> Iterator[Hub]:
    """A hub with a platform and a shop that hold nothing yet."""
    with ExitStack() as stack:
        yield Hub(ledger, clock, stack, folder)
