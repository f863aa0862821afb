"""A hub in one process that speaks to the simulated nShift over real HTTP: what the tests of its flows share.

A warehouse of our own tells what it found (`graded`), a shop of our own tells its orders (`ordered`); both send
documents as they are, so that a test says exactly what the hub knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask

from app.adapters.files import load_site
from app.adapters.http import HttpSender
from app.adapters.ledger import Ledger, open_ledger
from app.core.connectors import Connection
from app.core.site import Site
from app.core.times import iso
from app.model import NoResponse, Receipt, Reference, ReferenceKey, Request, Response
from app.pipeline.call import Caller
from app.pipeline.gates import Gates
from app.pipeline.poll import Polled, Poller
from app.pipeline.worker import polls_on
from connectors.nshift.simulator import create_app
from connectors.simkit import Recorded, Simulator
from connectors.simserve import running
from tests.connectors.hub_kit import project_of
from tests.connectors.nshift_site import FILES
from tests.pipeline.kit import MiniHub
from tests.support import HandClock

#: When the open return was created in nShift.
CREATED = "2026-11-20T09:30:00.000Z"
PRICE = {"net": "31.20", "tax": "7.80", "gross": "39.00", "currency": "SEK"}

_sites: dict[str, Site] = {}


class _Http:
    """Sends for real, and keeps what was sent."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._http = HttpSender()

    def send(self, connection: Connection, request: Request, timeout_s: float, /, *more: Any) -> Response | NoResponse:
        self.requests.append(request)
        return self._http.send(connection, request, timeout_s, *more)

    def say(self, path: str, *answers: Any) -> None:
        """Nothing: the simulator answers."""

    def close(self) -> None:
        self._http.close()


class NshiftHub(MiniHub):
    """The hub of the tests, with its simulated nShift."""

    def __init__(
        self, folder: Path, ledger: Ledger, clock: HandClock, url: str, app: Flask, settings: str = "", **files: str
    ) -> None:
        self.sim: Simulator = app.extensions["simulator"]
        connections = f"""
connections:
  dock: {{connector: acme_dock, settings: {{}}}}
  store: {{connector: acme_store, settings: {{}}}}
  nshift:
    connector: nshift
    poll: true
    settings:
      base_url: {url}/public-api/v3
      username: sim-user
      password: ${{NSHIFT_PASSWORD:-sim-token}}
      market_code: root
{settings}
    limits: {{rate: 1000/s, concurrency: 1, timeout: 10s}}
"""
        self.sim.requests.clear()
        self.sim.behave()
        self.sim_seed(forget=True, now=iso(clock.now()))
        self.http = _Http()
        super().__init__(folder, ledger, clock, **{**FILES, "config/connections.yaml": connections, **files})

    def write(self, files: dict[str, str]) -> None:
        """Write files of the site and start anew; equal files are read once for all tests."""
        self._texts = {**getattr(self, "_texts", {}), **files}
        key = json.dumps(self._texts, sort_keys=True)

        def once(folder: Path, **how: Any) -> Site:
            if key not in _sites:
                with project_of(self._texts.values()):
                    _sites[key] = load_site(folder, **how)
            return _sites[key]

        with patch("tests.pipeline.kit.load_site", once):
            super().write(files)

    @property
    def targets(self) -> Any:  # type: ignore[override]
        """Where requests go: over HTTP, whatever the base class puts here."""
        return self.http

    @targets.setter
    def targets(self, _: Any) -> None:
        pass

    def opens(self, *items: dict[str, Any], known: bool = True, **more: Any) -> None:
        """nShift holds the open return 4711 of order A-1; `known`: the hub has learned when it was created."""
        record = {"returnOrderId": 4711, "orderId": "A-1", "createdAt": CREATED, "items": list(items), **more}
        self.sim_seed(returns=[record])
        if known:
            self.learns("4711", CREATED)

    def learns(self, number: str, created: str) -> None:
        """The hub learns when a return was created in nShift."""
        key = ReferenceKey("return_created", "nshift", "nshift", number)
        with self.ledger.write() as tx:
            tx.put_reference(Reference(key, created, "manual", self.clock.now(), {"by": "test"}))

    def sim_seed(self, **data: Any) -> Any:
        """Tell the simulated nShift what it holds."""
        answer = self.sim.app.test_client().post("/_sim/seed", json=data)
        assert answer.status_code == 200, answer.text
        return answer.json

    def graded(self, *lines: dict[str, Any], **more: Any) -> None:
        """The warehouse has decided on every item; all that follows at once is done."""
        document = {
            "id": "WR-1",
            "source": "dock",
            "updated_at": "2026-11-22T11:00:00Z",
            "upstream": [{"id": "4711", "kind": "return"}],
            "currency": "SEK",
            "orders": [{"number": "A-1"}],
            "lines": list(lines),
            **more,
        }
        self.tells("dock", "return", document)
        self.run()

    def ordered(self, **order: Any) -> None:
        """The shop tells an order."""
        self.tells("store", "order", order)

    def tells(self, connection: str, kind: str, document: dict[str, Any]) -> None:
        """Take in a message that holds a document."""
        number = f"d{next(self._numbers)}"
        self.tells_whole(connection, kind, {"id": number, "type": kind, "document": document})

    def tells_whole(self, connection: str, word: str, payload: dict[str, Any]) -> None:
        """Take in a message as it is."""
        number, body = f"m{next(self._numbers)}", json.dumps(payload).encode()
        receipt = Receipt(self.ids.new("evt"), connection, number, word, self.clock.now(), {}, body, "received")
        self.ledger.receive([receipt])

    def polls(self) -> list[Polled]:
        """Poll all that is due, and do what follows; what came of each look."""
        limits = {name: connection.limits for name, connection in self.site.connections.items()}
        gates = Gates(limits, self.site.hub.breaker, self.ledger, self.clock, self.ids.new("wrk"))
        caller, waits = Caller(self.site, gates, self.targets, self.clock), self.deliverer._finisher._waits
        poller = Poller(self.site, self.ledger, caller, gates, self.clock, self.ids, waits, "test")
        self.ledger.keep_polls(polls_on(self.site))
        looks: list[Polled] = []
        for _ in range(500):
            if "poll:nshift" not in self.ledger.due_lanes():
                break
            token = self.ids.new("tok")
            done = [poller.poll(work) for work in poller.claim("nshift", 5, 60, token)]
            poller.commit(token, done)
            looks += done
        # The hub's own gate takes the only share next.
        gates.release()
        self.run()
        return looks

    def head(self, connection: str, object_id: str) -> Any:
        """What the hub knows of a return now."""
        key = ("return", connection, object_id)
        with self.ledger.write() as tx:
            return tx.heads([key])[key].body

    def read(self) -> int:
        """Read what is due on every connection."""
        done = 0
        for name in self.site.connections:
            token = self.ids.new("tok")
            works = self.ledger.claim_events(name, 100, 60, token)
            self.reader.commit(token, [self.reader.read(work) for work in works])
            done += len(works)
        return done

    def deliver(self, meanwhile: Any = lambda: None) -> int:
        """Deliver what is due to every connection."""
        done = 0
        for name in self.site.connections:
            token = self.ids.new("tok")
            works = self.ledger.claim_deliveries(name, 100, 60, token)
            finishes = [self.deliverer.deliver(work) for work in works]
            meanwhile()
            self.deliverer.commit(token, finishes)
            done += len(works)
        return done

    def delivery(self) -> dict[str, Any]:
        """The only delivery."""
        (row,) = self.ledger.deliveries({}, 10)
        return row

    def state(self) -> tuple[str, str]:
        """State and reason of the only delivery."""
        row = self.delivery()
        return str(row["state"]), str(row["because"])

    def received(self, operation: str) -> list[Recorded]:
        """What nShift received of an operation."""
        return [one for one in self.sim.requests if one.operation == operation]

    def updates(self) -> list[Any]:
        """The returns that nShift was told, in order."""
        return [one.body["returns"][0] for one in self.received("wms_update")]


def line(sku: str = "hera", accepted: int = 1, rejected: int = 0, **more: Any) -> dict[str, Any]:
    """A decided line of a return: so many accepted and so many rejected."""
    quantity = {"announced": accepted + rejected, "accepted": accepted, "rejected": rejected}
    return {"key": f"k-{sku}", "order_line": "1", "sku": sku, "quantity": quantity, "price": PRICE, **more}


Make = Callable[..., NshiftHub]


@pytest.fixture(scope="module")
def nshift() -> Iterator[tuple[str, Flask]]:
    """The simulated nShift: where it listens, and its app."""
    app = create_app()
    with running(app) as url:
        yield url, app


@pytest.fixture
def sqlite_ledger(sqlite_ledger_url: str, clock: HandClock) -> Iterator[Ledger]:
    """An empty ledger; that PostgreSQL does the same is what the contract suite shows."""
    opened = open_ledger(sqlite_ledger_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def make(tmp_path: Path, sqlite_ledger: Ledger, clock: HandClock, nshift: tuple[str, Flask]) -> Iterator[Make]:
    """Makes the hub, with more settings of nShift and more files when they are given."""
    made: list[NshiftHub] = []

    def build(files: dict[str, str] | None = None, **settings: str) -> NshiftHub:
        told = "\n".join(f"      {name}: {value}" for name, value in settings.items())
        made.append(NshiftHub(tmp_path / "site", sqlite_ledger, clock, *nshift, told, **(files or {})))
        return made[-1]

    yield build
    for hub in made:
        hub.http.close()
