"""A hub in one process between an invented platform, where returns begin, and the generic warehouse, ERP and shop.

The ledger, the door, the network and the simulators are real; the clock is moved by hand.
"""

from __future__ import annotations

import atexit
import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from flask import Flask, request

from app.adapters.files import load_site
from app.adapters.http import HttpSender
from app.adapters.system import SystemIds
from app.core.polls import PollKey
from app.core.signatures import sign
from app.core.site import Site
from app.pipeline.call import Caller
from app.pipeline.deliver import Deliverer
from app.pipeline.gates import Gates
from app.pipeline.poll import Poller
from app.pipeline.read import Reader
from app.pipeline.waits import Waits
from app.web.app import CLOSE, create_app
from connectors.simkit import Simulator
from connectors.simserve import running
from tests.connectors.digital_river_kit import Services
from tests.support import HandClock

SECRET = "generic-test-secret"
CONNECTIONS = """
connections:
  platform: {connector: acme_platform, system: shop, settings: {base_url: "http://platform.example.com"}}
"""
#: What a connection needs beside its address.
SIGNED = """  {name}:
    connector: {connector}
    settings: {{base_url: "${{URL_{name}}}", token: "${{SIM_TOKEN}}", webhook_secrets: ["${{SIM_SECRET}}"]}}
    limits: {{rate: 100000/s}}
"""
PLAIN = """  {name}:
    connector: {connector}
    settings: {{base_url: "${{URL_{name}}}", token: "${{SIM_TOKEN}}"}}
    limits: {{rate: 100000/s}}
"""
FILES = {
    "connectors/acme_platform/connector.yaml": """
connector: acme_platform
settings: {base_url: {required: true}}
inbound:
  verify: {scheme: none}
  event_id: "{{ payload.event }}"
  event_type: told
  types: {told: return}
  mapping: acme_platform.to_return
""",
    "mappings/acme_platform.to_return.yaml": """
mapping: acme_platform.to_return
document:
  id: "{{ payload.id }}"
  number: "{{ payload.id }}"
  source: platform
  updated_at: "{{ payload.at }}"
  state: "{{ payload.state }}"
  orders: "{{ payload.orders }}"
  lines: "{{ payload.lines }}"
  parcels: "{{ payload.parcels }}"
  currency: EUR
""",
}


class Hub:
    """Takes in, reads and delivers whatever is due, one after the other, in this process."""

    def __init__(self, ledger: Any, clock: HandClock, site: Site, urls: dict[str, str], apps: dict[str, Flask]) -> None:
        self.ledger, self.clock, self.site, self.urls = ledger, clock, site, urls
        self.sims = {name: app.extensions["simulator"] for name, app in apps.items()}
        self.http, self.ids, self._told = HttpSender(), SystemIds(), 0
        self.door = create_app(Services(site, ledger, clock))
        limits = {name: connection.limits for name, connection in site.connections.items()}
        gates = Gates(limits, site.hub.breaker, ledger, clock, self.ids.new("wrk"))
        caller = Caller(site, gates, self.http, clock)
        waits = Waits(site.hub, clock, random.Random(1))
        given = (site, ledger, caller, clock, self.ids, waits, "test")
        self.reader, self.deliverer = Reader(*given), Deliverer(*given)
        self.poller = Poller(site, ledger, caller, gates, clock, self.ids, waits, "test")

    def close(self) -> None:
        """End the threads of the door."""
        self.door.extensions[CLOSE]()
        self.http.close()

    def tell(self, return_: str, **document: Any) -> None:
        """Let the platform tell how a return looks now, and do what follows."""
        self._told += 1
        parts = {"state": "approved", "orders": [{"number": "#1004800"}], "lines": [], "parcels": []}
        at = self.clock.now().isoformat()
        message = {"event": f"m{self._told}", "at": at, "id": return_, **parts, **document}
        assert self.post("platform", message, signed=False) == 200
        self.run()

    def post(self, connection: str, message: Any, *, signed: bool = True, secret: str = SECRET) -> int:
        """Send a message to the door; the status of the answer."""
        body = json.dumps(message).encode()
        scheme = {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": secret}
        headers = sign(scheme, body, self.clock.now()) if signed else {}
        return self.door.test_client().post(f"/webhooks/{connection}", data=body, headers=headers).status_code

    def control(self, name: str, path: str, **wanted: Any) -> Any:
        """Tell a simulator something over its control paths; its answer."""
        answer = requests.post(f"{self.urls[name]}/_sim/{path}", json=wanted, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def hear(self, connection: str, event: Any) -> None:
        """Take in a signed event, and do what follows."""
        assert self.post(connection, event) == 200
        self.run()

    def run(self) -> None:
        """Read and deliver until nothing is due."""
        for _ in range(200):
            if not sum(self._read(name) + self._deliver(name) for name in self.site.connections):
                return
        raise AssertionError("work goes round in circles")

    def poll(self, connection: str, name: str) -> None:
        """Let a poll look until it has caught up, and do what follows."""
        for _ in range(100):
            token = self.ids.new("tok")
            looked = self.poller.poll(self.ledger.claim_poll(PollKey(connection, name), 60, token))
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

    def document(self, kind: str, source: str, id_: str) -> Any:
        """The newest document of an object."""
        key = (kind, source, id_)
        with self.ledger.write() as tx:
            head = tx.heads([key]).get(key)
        return head.body if head else None

    def facts(self, kind: str, source: str, id_: str) -> list[str]:
        """The facts of an object by their keys, in order."""
        return [row["key"] for row in self.ledger.story([(kind, source, id_)]).changes]

    def events(self) -> list[dict[str, Any]]:
        """All events with their states, oldest first."""
        return sorted(
            (dict(row) for row in self.ledger.events({}, 1000)), key=lambda row: (row["received_at"], row["id"])
        )

    def deliveries(self, route: str) -> list[dict[str, Any]]:
        """The deliveries of a route with their states."""
        return [row for row in map(dict, self.ledger.deliveries({}, 1000)) if row["route"] == route]

    def made(self, name: str, operation: str) -> list[Any]:
        """The requests of an operation that a simulator received."""
        return [one for one in self.sims[name].requests if one.operation == operation]


@cache
def _site(files: tuple[tuple[str, str], ...], env: tuple[tuple[str, str], ...]) -> Site:
    """The site of these files: compiling one takes longer than most tests."""
    with TemporaryDirectory() as folder:
        for name, text in files:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_site(Path(folder), env=dict(env))


class Socket:
    """One address behind which another simulator stands in every test: the site, which holds it, stays the same."""

    def __init__(self) -> None:
        self.app = Flask("nobody")

    @property
    def extensions(self) -> Any:
        """Those of the simulator that is there now."""
        return self.app.extensions

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


@cache
def _socket(name: str) -> tuple[Socket, str]:
    """The address of a connection, served once for all tests of a run."""
    socket, stack = Socket(), ExitStack()
    served: Any = socket
    url = stack.enter_context(running(served))
    atexit.register(stack.close)
    return socket, url


@contextmanager
def running_hub(
    ledger: Any, clock: HandClock, routes: str, connections: str, apps: dict[str, Flask], **files: str
) -> Iterator[Hub]:
    """A hub with these simulators, each under the connection that it is given for."""
    urls: dict[str, str] = {}
    for name, app in apps.items():
        socket, urls[name] = _socket(name)
        socket.app = app
    env = {"SIM_TOKEN": "sim-token", "SIM_SECRET": SECRET, **{f"URL_{name}": url for name, url in urls.items()}}
    texts = {"config/connections.yaml": CONNECTIONS + connections, "config/routes.yaml": routes, **FILES, **files}
    hub = Hub(ledger, clock, _site(tuple(texts.items()), tuple(env.items())), urls, apps)
    try:
        yield hub
    finally:
        hub.close()


@contextmanager
def listener() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Somebody who hears messages: the address, and the headers (in lower case) and body of what came."""
    app, heard = Simulator("listener").app, list[tuple[dict[str, str], bytes]]()

    @app.post("/hear")
    def hear() -> str:
        heard.append(({name.lower(): text for name, text in request.headers.items()}, request.get_data()))
        return "ok"

    with running(app) as url:
        yield f"{url}/hear", heard
