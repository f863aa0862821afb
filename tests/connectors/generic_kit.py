"""A hub in one process between an invented platform, where returns begin, and the generic warehouse, ERP and shop.

The ledger, the door, the network and the simulators are real; the clock is moved by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from flask import Flask, request

from app.core.signatures import sign
from app.core.site import Site
from connectors.simkit import Simulator
from connectors.simserve import running
from tests.connectors.hub_kit import OneProcessHub, compiled_site, socket
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


class Hub(OneProcessHub):
    """The hub between the platform and the generic systems."""

    def __init__(self, ledger: Any, clock: HandClock, site: Site, urls: dict[str, str], apps: dict[str, Flask]) -> None:
        super().__init__(ledger, clock)
        self.urls, self._told = urls, 0
        self.sims = {name: app.extensions["simulator"] for name, app in apps.items()}
        self.open(site)

    def close(self) -> None:
        """End the threads of the door, and the connections."""
        super().close()
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

    def made(self, name: str, operation: str) -> list[Any]:
        """The requests of an operation that a simulator received."""
        return [one for one in self.sims[name].requests if one.operation == operation]


@contextmanager
def running_hub(
    ledger: Any, clock: HandClock, routes: str, connections: str, apps: dict[str, Flask], **files: str
) -> Iterator[Hub]:
    """A hub with these simulators, each under the connection that it is given for."""
    urls: dict[str, str] = {}
    for name, app in apps.items():
        place, urls[name] = socket(name)
        place.app = app
    env = {"SIM_TOKEN": "sim-token", "SIM_SECRET": SECRET, **{f"URL_{name}": url for name, url in urls.items()}}
    texts = {"config/connections.yaml": CONNECTIONS + connections, "config/routes.yaml": routes, **FILES, **files}
    hub = Hub(ledger, clock, compiled_site(texts, env), urls, apps)
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
