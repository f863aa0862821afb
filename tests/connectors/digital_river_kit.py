"""A hub in one process between a shop, where returns begin, and a simulated Digital River, which takes them back.

The ledger, the door, the network and the simulator are real; the clock is moved by hand.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask

from connectors.digital_river import simulator
from connectors.digital_river.mail import HEADER, as_sent, signed
from connectors.simkit import TOKEN
from connectors.simserve import running
from tests.connectors.digital_river_site import CONNECTIONS, FILES, ORDER, ROUTES, SECRETS
from tests.connectors.hub_kit import OneProcessHub, compiled_site
from tests.support import HandClock

FIXTURES = Path(__file__).parents[2] / "connectors" / "digital_river" / "fixtures"


class Hub(OneProcessHub):
    """The hub between the shop and the vendor."""

    def __init__(self, ledger: Any, clock: HandClock, vendor: Flask) -> None:
        super().__init__(ledger, clock)
        self.vendor: Any = vendor.extensions["simulator"]
        self._told = 0
        self.use()

    @property
    def fulfiller(self) -> Any:
        """The orders, returns and events that the vendor holds."""
        return self.vendor.coordination

    @property
    def refunds(self) -> dict[str, Any]:
        """The refunds that the vendor holds."""
        found: dict[str, Any] = self.vendor.refunds.refunds
        return found

    def use(self, routes: str = ROUTES, **settings: str) -> None:
        """Begin anew with these routes and settings."""
        more = "\n".join(f"      {name}: {value}" for name, value in settings.items())
        files = {**FILES, "config/routes.yaml": routes, "config/connections.yaml": CONNECTIONS.replace("MORE", more)}
        self.open(compiled_site(files, _world()[1]))

    # --- messages --------------------------------------------------------------------------------

    def ask(
        self, *lines: tuple[str, int], return_: str = "R-1", order: str = "#192251820336", run: bool = True
    ) -> None:
        """Let a customer of the shop register a return of articles, and do what follows."""
        told = [
            {"key": f"l-{place}", "order": order, "sku": sku, "quantity": {"announced": quantity}}
            for place, (sku, quantity) in enumerate(lines, 1)
        ]
        self.tell_shop({"return": return_, "order": order, "lines": told}, run=run)

    def tell_shop(self, message: Mapping[str, Any], *, run: bool = True) -> None:
        """Send a message of the shop, and do what follows."""
        self._told += 1
        at = self.clock.now().isoformat()
        assert self.post(as_sent({"event": f"m{self._told}", "at": at, **message}), to="shop", headers={}) == 200
        if run:
            self.run()

    def post(
        self,
        message: Any,
        *,
        to: str = "digital_river",
        secrets: Sequence[str] = SECRETS[:1],
        form: str = "dr_base64",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Send a message to the door as the vendor would, or with headers of one's own; the status of the answer."""
        assert self.door is not None
        body = message if isinstance(message, bytes) else as_sent(message)
        given = {HEADER: signed(body, secrets, self.clock.now(), form=form)} if headers is None else dict(headers)
        answer = self.door.test_client().post(
            f"/webhooks/{to}", data=body, headers={"Content-Type": "application/json", **given}
        )
        return answer.status_code

    def tell(self, *events: Any) -> None:
        """Send events, each answered with 202, and do all that is due after each."""
        for event in events:
            assert self.post(event) == 202
            self.run()

    def news(self) -> list[Any]:
        """The events of fulfillment returns that the vendor had so far."""
        return [event for event in self.fulfiller.events if event["type"].startswith("fulfillment_return.")]

    # --- work ------------------------------------------------------------------------------------

    def poll(self, name: str) -> None:
        """Let a poll look until it has caught up, and do what follows."""
        self.catch_up("digital_river", name)

    # --- what is seen ----------------------------------------------------------------------------

    def document(self, object_id: str) -> Any:
        """The newest document of one of the vendor's returns."""
        return self.head("return", "digital_river", object_id)

    def facts(self, object_id: str) -> list[str]:
        """The facts of one of the vendor's returns by their keys, in order."""
        return self.changes_of("return", "digital_river", object_id)

    def states(self, route: str = "") -> list[str]:
        """The states of the deliveries."""
        return [row["state"] for row in self.deliveries(route)]

    def made(self, operation: str) -> list[Any]:
        """The requests of an operation that the vendor received."""
        return [one for one in self.vendor.requests if one.operation == operation]

    def effects(self, what: str = "") -> list[str]:
        """What changed at the vendor by our calls, in order."""
        found: list[str] = self.vendor.effects()
        return [one for one in found if one.startswith(what)]

    def paid(self, item: str) -> list[int]:
        """How many of an order's item each refund was for, in order."""
        lines = [line for one in self.refunds.values() for line in one["items"]]
        return [line["quantity"] for line in lines if line["itemId"] == item]


@cache
def _world() -> tuple[Flask, dict[str, str]]:
    """The simulator, served once for all tests of a run, and what the site needs to be told of it."""
    vendor, stack = simulator.create_app(secret=SECRETS[0]), ExitStack()
    atexit.register(stack.close)
    url = stack.enter_context(running(vendor))
    return vendor, {
        "DR_URL": url,
        "DR_KEY": TOKEN,
        "DR_SECRET_1": SECRETS[0],
        "DR_SECRET_2": SECRETS[1],
        "DR_USER": "dr",
        "DR_PASSWORD": "dr-password",
    }


@contextmanager
def running_hub(ledger: Any, clock: HandClock) -> Iterator[Hub]:
    """A hub whose vendor has forgotten what was before, and holds one shipped order."""
    vendor, _ = _world()
    sim: Any = vendor.extensions["simulator"]
    sim.forget()
    sim.coordination.now = clock.now
    sim.coordination.seed({"orders": [ORDER]})
    hub = Hub(ledger, clock, vendor)
    try:
        yield hub
    finally:
        hub.close()
        hub.http.close()


def fixture(name: str) -> Any:
    """A recorded example by its name."""
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
