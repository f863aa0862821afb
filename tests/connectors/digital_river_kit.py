"""A hub in one process between a shop, where returns begin, and a simulated Digital River, which takes them back.

The ledger, the door, the network and the simulator are real; the clock is moved by hand.
"""

from __future__ import annotations

import atexit
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask

from app.adapters.files import load_site
from app.adapters.http import HttpSender
from app.adapters.system import SystemIds
from app.core.polls import PollKey
from app.core.site import Site
from app.pipeline.call import Caller
from app.pipeline.deliver import Deliverer
from app.pipeline.gates import Gates
from app.pipeline.poll import Poller
from app.pipeline.read import Reader
from app.pipeline.waits import Waits
from app.web.app import CLOSE, create_app
from connectors.digital_river import simulator
from connectors.digital_river.mail import HEADER, as_sent, signed
from connectors.simkit import TOKEN
from connectors.simserve import running
from tests.connectors.digital_river_site import CONNECTIONS, FILES, ORDER, ROUTES, SECRETS
from tests.support import HandClock

FIXTURES = Path(__file__).parents[2] / "connectors" / "digital_river" / "fixtures"


@dataclass
class Services:
    """What the web application is given."""

    site: Any
    ledger: Any
    clock: HandClock
    ids: SystemIds = field(default_factory=SystemIds)
    wakes: None = None


class Hub:
    """Takes in, reads and delivers whatever is due, one after the other, in this process."""

    def __init__(self, ledger: Any, clock: HandClock, vendor: Flask) -> None:
        self.ledger, self.clock, self.http, self.ids = ledger, clock, HttpSender(), SystemIds()
        self.vendor: Any = vendor.extensions["simulator"]
        self.door: Flask | None = None
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
        self.close()
        more = "\n".join(f"      {name}: {value}" for name, value in settings.items())
        files = {**FILES, "config/routes.yaml": routes, "config/connections.yaml": CONNECTIONS.replace("MORE", more)}
        self.site = _site(tuple(files.items()))
        self.door = create_app(Services(self.site, self.ledger, self.clock))
        limits = {name: connection.limits for name, connection in self.site.connections.items()}
        gates = Gates(limits, self.site.hub.breaker, self.ledger, self.clock, self.ids.new("wrk"))
        self.caller = Caller(self.site, gates, self.http, self.clock)
        waits = Waits(self.site.hub, self.clock, random.Random(1))
        given = (self.site, self.ledger, self.caller, self.clock, self.ids, waits, "test")
        self.reader, self.deliverer = Reader(*given), Deliverer(*given)
        self.poller = Poller(self.site, self.ledger, self.caller, gates, self.clock, self.ids, waits, "test")

    def close(self) -> None:
        """End the threads of the door."""
        if self.door is not None:
            self.door.extensions[CLOSE]()
            self.door = None

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

    def run(self) -> None:
        """Read and deliver until nothing is due."""
        for _ in range(200):
            done = sum(self._read(name) for name in self.site.connections)
            done += sum(self._deliver(name) for name in self.site.connections)
            if not done:
                return
        raise AssertionError("work goes round in circles")

    def poll(self, name: str) -> None:
        """Let a poll look until it has caught up, and do what follows."""
        for _ in range(100):
            token = self.ids.new("tok")
            work = self.ledger.claim_poll(PollKey("digital_river", name), 60, token)
            looked = self.poller.poll(work)
            assert looked.finish.good, looked.finish.because
            self.poller.commit(token, [looked])
            if looked.done:
                break
        self.run()

    def later(self, seconds: float = 60.0, times: int = 1) -> None:
        """Let time pass and do what has become due."""
        for _ in range(times):
            self.clock.move(seconds)
            self.run()

    def _read(self, connection: str) -> int:
        token = self.ids.new("tok")
        works = self.ledger.claim_events(connection, 10, 60, token)
        self.reader.commit(token, [self.reader.read(work) for work in works])
        return len(works)

    def _deliver(self, connection: str) -> int:
        token = self.ids.new("tok")
        works = self.ledger.claim_deliveries(connection, 10, 60, token)
        self.deliverer.commit(token, [self.deliverer.deliver(work) for work in works])
        return len(works)

    # --- what is seen ----------------------------------------------------------------------------

    def document(self, object_id: str) -> Any:
        """The newest document of one of the vendor's returns."""
        key = ("return", "digital_river", object_id)
        with self.ledger.write() as tx:
            head = tx.heads([key]).get(key)
        return head.body if head else None

    def facts(self, object_id: str) -> list[str]:
        """The facts of one of the vendor's returns by their keys, in order."""
        return [row["key"] for row in self.ledger.story([("return", "digital_river", object_id)]).changes]

    def events(self) -> list[dict[str, Any]]:
        """All events with their states, oldest first."""
        rows = self.ledger.events({}, 1000)
        return sorted((dict(row) for row in rows), key=lambda row: (str(row["received_at"]), row["id"]))

    def deliveries(self, route: str = "") -> list[dict[str, Any]]:
        """All deliveries, or those of a route, with their states."""
        rows = [dict(row) for row in self.ledger.deliveries({}, 1000)]
        return [row for row in rows if not route or row["route"] == route]

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
    return vendor, {"DR_URL": url, "DR_KEY": TOKEN, "DR_SECRET_1": SECRETS[0], "DR_SECRET_2": SECRETS[1]}


@cache
def _site(files: tuple[tuple[str, str], ...]) -> Site:
    """The site of these files: compiling one takes longer than most tests."""
    with TemporaryDirectory() as folder:
        for name, text in files:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_site(Path(folder), env={**_world()[1], "DR_USER": "dr", "DR_PASSWORD": "dr-password"})


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
