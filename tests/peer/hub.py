"""A whole hub in one process between a simulated returns platform and the real Tryton, its clock moved by hand."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from app.adapters.files import load_site
from app.adapters.http import HttpSender
from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.core.connectors import Connection
from app.core.networks import THIS_MACHINE
from app.model import NoResponse, Receipt, Reference, ReferenceKey, Request, Response
from app.pipeline.call import Called, Caller
from app.pipeline.deliver import Deliverer
from app.pipeline.gates import Gates
from app.pipeline.read import Reader
from app.pipeline.waits import Waits
from connectors.returnista.samples import ACCOUNT
from connectors.simkit import TOKEN
from tests.peer.tryton import Tryton
from tests.support import HandClock

ROOT = Path(__file__).parents[2]
SITE = ROOT / "connectors" / "tryton" / "site"
SOURCE, TARGET = "returnista_eu", "erp"


class Wire:
    """The real HTTP, with a person who looks on: what happens before a request, and whether its answer arrives."""

    def __init__(self, http: HttpSender) -> None:
        self._http = http
        self.requests: list[Request] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.lose: set[str] = set()

    def send(self, connection: Connection, request: Request, timeout_s: float, /) -> Response | NoResponse:
        """Send it; the next answer of an operation in `lose` is lost after the request has had its effect."""
        self.requests.append(request)
        self.before.pop(request.operation, lambda: None)()
        answer = self._http.send(connection, request, timeout_s)
        if request.operation in self.lose:
            self.lose.remove(request.operation)
            return NoResponse("timeout", "no answer within 45 s", True, 45_000)
        return answer

    def sent(self, operation: str) -> list[Request]:
        """The requests of an operation."""
        return [request for request in self.requests if request.operation == operation]


class PeerHub:
    """Reads and delivers whatever is due, one after the other."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        clock: HandClock,
        http: HttpSender,
        platform: FlaskClient,
        urls: dict[str, str],
    ) -> None:
        self.folder, self.ledger, self.clock, self._platform = folder, ledger, clock, platform
        self.wire, self._numbers = Wire(http), count(1)
        self.env = {
            "RETURNISTA_ACCOUNT_ID": ACCOUNT,
            "RETURNISTA_API_KEY": TOKEN,
            "RETURNISTA_WEBHOOK_SECRET": "not-used-here",
            "BACKHAUL_ALLOW": THIS_MACHINE,
            **urls,
        }
        shutil.copytree(SITE, folder)
        self.start()

    def start(self, **env: str) -> None:
        """Start with the site's files as they are now, and this environment."""
        self.env.update(env)
        self.site = load_site(self.folder, env=self.env)
        ids, rng = SystemIds(), random.Random(1)
        # Whoever waits for a turn waits by the clock, which stands still; here one call follows the other anyway.
        limits = {
            name: replace(connection.limits, rate=None, concurrency=32)
            for name, connection in self.site.connections.items()
        }
        gates = Gates(limits, self.site.hub.breaker, self.ledger, self.clock, ids.new("wrk"))
        self.caller = Caller(self.site, gates, self.wire, self.clock)
        waits = Waits(self.site.hub, self.clock, rng)
        given = (self.site, self.ledger, self.caller, self.clock, ids, waits, "test")
        self.ids, self.reader, self.deliverer = ids, Reader(*given), Deliverer(*given)

    def rewrite(self, name: str, old: str, new: str) -> None:
        """Change a file of the site, or a copy of the project's, and start with it."""
        path = self.folder / name
        text = (path if path.exists() else ROOT / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(old, new))
        self.start()

    # --- what happens at the platform --------------------------------------------------------------

    def show(self, name: str, *lines: dict[str, Any], **more: Any) -> Any:
        """What the platform shows of the return `name` from now on, one parcel with a label unless `more` says else."""
        spec = {"id": name, "parcels": [{"id": f"{name}-p"}], "lines": list(lines), **more}
        spec["updated_at"] = f"2026-11-20T10:{next(self._numbers):02d}:00.000Z"
        for parcel in spec["parcels"]:
            parcel["updated_at"] = spec["updated_at"]
        return self._platform.post("/_sim/seed", json={"build": [spec]}).get_json()["built"][0]

    def tell(self, order: Any, event: str = "shipment.label_created", *, run: bool = True) -> None:
        """Take in the platform's event about a return that it shows, and do all that follows at once if `run`."""
        data = order["shipments"][0] if event.startswith("shipment.") else order
        number = next(self._numbers)
        body = json.dumps({"event": event, "data": data}).encode()
        receipt = Receipt(self.ids.new("evt"), SOURCE, f"m{number}", event, self.clock.now(), {}, body, "received")
        self.ledger.receive([receipt])
        if run:
            self.run()

    def label(self, name: str, *lines: dict[str, Any], run: bool = True) -> None:
        """The customer has printed the label of a return."""
        self.tell(self.show(name, *lines), run=run)

    def arrive(self, name: str, *lines: dict[str, Any]) -> None:
        """The carrier has handed its parcel over."""
        order = self.show(name, *lines, parcels=[{"id": f"{name}-p", "delivered": True}])
        self.tell(order, "shipment.received_tracking_updates.delivered")

    def decide(self, name: str, *lines: dict[str, Any]) -> None:
        """Every item of it is accepted (resolution Approved) or rejected (denial)."""
        order = self.show(name, *lines, parcels=[{"id": f"{name}-p", "delivered": True}], status="Completed")
        self.tell(order, "return_order.completed")

    # --- the hub's work ----------------------------------------------------------------------------

    def run(self) -> None:
        """Read and deliver until nothing is due."""
        for _ in range(100):
            if not self.read() + self.deliver():
                return
        raise AssertionError("work goes round in circles")

    def later(self, seconds: float) -> None:
        """Let time pass and do what has become due."""
        self.clock.move(seconds)
        self.run()

    def read(self) -> int:
        """Read what is due; how much that was."""
        token = self.ids.new("tok")
        works = self.ledger.claim_events(SOURCE, 10, 60, token)
        self.reader.commit(token, [self.reader.read(work) for work in works])
        return len(works)

    def deliver(self, *, crash: bool = False) -> int:
        """Deliver what is due; with `crash` the worker is gone before it could write down what came of it."""
        token = self.ids.new("tok")
        works = self.deliverer.claim(TARGET, 10, 60, token)
        finishes = [self.deliverer.deliver(work) for work in works]
        if not crash:
            self.deliverer.commit(token, finishes)
        return len(works)

    def ask(self, operation: str, **args: Any) -> Called:
        """Make one call at Tryton as a route would."""
        called = self.caller.call(TARGET, operation, args)
        assert isinstance(called, Called), called
        return called

    def know(self, shop: str, number: str) -> None:
        """Set a translation by hand, as `backhaul refs set` does."""
        key = ReferenceKey("order", "shop", TARGET, shop)
        with self.ledger.write() as tx:
            tx.put_reference(Reference(key, number, "manual", self.clock.now(), {"by": "test"}))

    def states(self, route: str = "") -> dict[str, str]:
        """The state of each delivery by route and part, or of one route's by part."""
        rows = self.ledger.deliveries({}, 100)
        if route:
            return {row["part"]: row["state"] for row in rows if row["route"] == route}
        return {f"{row['route']} {row['part']}": row["state"] for row in rows}

    def delivery(self, route: str) -> dict[str, Any]:
        """The only delivery of a route."""
        (row,) = [row for row in self.ledger.deliveries({}, 100) if row["route"] == route]
        return row


def shipments(tryton: Tryton, reference: str) -> list[dict[str, Any]]:
    """The return shipments that Tryton keeps under our reference, each with its moves."""
    found = tryton.rows("stock.shipment.out.return", reference=reference)
    for one in found:
        moves = tryton.rows("stock.move", shipment=f"stock.shipment.out.return,{one['id']}")
        one["moves"] = [
            {**move, "sku": tryton.rows("product.product", id=move["product"])[0]["code"]} for move in moves
        ]
    return found
