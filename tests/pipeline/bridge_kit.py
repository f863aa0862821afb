"""A site whose bridge is asked by an invented platform and answers from an invented shop, behind the real web door."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.adapters.files import load_site
from app.adapters.system import SystemIds
from app.core.connectors import Connection
from app.core.networks import THIS_MACHINE
from app.core.ports import Clock
from app.core.signatures import sign
from app.core.site import Site
from app.model import NoResponse, Request, Response
from app.web.app import CLOSE, create_app
from tests.unit.site_kit import write

SECRET = "bridge-s3cret"
FILES = {
    "config/connections.yaml": """
connections:
  portal: {connector: acme_portal, settings: {secret: "${SECRET}"}}
  shop: {connector: acme_shop, system: store, settings: {base_url: "https://shop.example"}}
  erp: {connector: acme_erp, settings: {base_url: "https://erp.example"}}
""",
    "config/bridges.yaml": """
bridges:
  - bridge: get_purchases
    source: portal
    path: get-purchases
    deadline: 5s
    calls: [{to: shop.find_order, mapping: purchases.to_shop_lookup}]
    answer: purchases.from_shop
    empty: {body: {purchases: []}}
    trace: ["{{ request.orderNumber }}"]
  - bridge: resolve
    source: portal
    path: resolve-return
    deadline: 5s
    calls:
      - {to: shop.find_order, mapping: purchases.to_shop_lookup}
      - {to: shop.refund, mapping: resolve.to_shop_refund}
      - {to: shop.note, mapping: resolve.to_shop_note, when: "{{ request.note is defined }}"}
    answer: resolve.from_shop
    once: "{{ request.transactionId }}"
    trace: ["{{ request.orderNumber }}", "{{ request.transactionId }}"]
""",
    "connectors/acme_portal/connector.yaml": """
connector: acme_portal
settings: {secret: {required: true, secret: true}}
bridge:
  verify: {scheme: hmac_sha256, header: X-Portal-Signature, encoding: hex, secrets: "{{ settings.secret }}"}
personal: [nick]
""",
    "connectors/acme_shop/connector.yaml": """
connector: acme_shop
settings: {base_url: {required: true}}
operations:
  find_order: {method: GET, path: "/orders/{{ args.number }}", query: {email: "{{ args.email | default(omit) }}"}}
  refund:
    method: POST
    path: /refunds
    idempotency: {header: Idempotency-Key}
    capture: [{reference: refund, id: "{{ body.id }}"}]
  note:
    method: POST
    path: /notes
    probe: {operation: find_note, with: {mark: "{{ delivery.key }}"}, found: "{{ body.found }}"}
  find_note: {method: GET, path: "/notes/{{ args.mark }}"}
  scribble: {method: POST, path: /scribbles}
""",
    "connectors/acme_erp/connector.yaml": """
connector: acme_erp
settings: {base_url: {required: true}}
operations:
  find: {method: GET, path: /orders, query: {number: "{{ args.number }}"}}
""",
    "mappings/purchases.to_shop_lookup.yaml": """
mapping: purchases.to_shop_lookup
args: {number: "{{ request.orderNumber | strip_prefix('#') }}", email: "{{ request.email | default(omit) }}"}
""",
    "mappings/purchases.from_shop.yaml": """
mapping: purchases.from_shop
body:
  purchases:
    $each: "{{ answers[0].lines }}"
    $as: line
    $do: {id: "{{ line.id }}", paidAmount: {value: "{{ line.paid | money }}", currency: "{{ answers[0].currency }}"}}
""",
    "mappings/resolve.to_shop_refund.yaml": """
mapping: resolve.to_shop_refund
body: {order: "{{ answers[0].id }}", amount: "{{ request.amount }}", memo: "{{ delivery.id }}"}
""",
    "mappings/resolve.to_shop_note.yaml": """
mapping: resolve.to_shop_note
body: {refund: "{{ answers[1].id }}", mark: "{{ delivery.key }}", text: "{{ request.note }}"}
""",
    "mappings/resolve.from_shop.yaml": """
mapping: resolve.from_shop
body: {transactionId: "{{ request.transactionId }}", refund: "{{ answers[1].id }}"}
""",
}
ASKED = {"orderNumber": "#4711", "email": "anna@acme.example"}
RESOLVE = {"transactionId": "t-1", "orderNumber": "4711", "amount": "5.00", "nick": "Anni"}
ORDER = {"id": "o-1", "currency": "EUR", "lines": [{"id": "l-1", "paid": "19.9"}, {"id": "l-2", "paid": 5}]}


class Shop:
    """Stands where HTTP would: one order, refunds by idempotency key, notes by mark. Misbehaves when told."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.timeouts: list[float] = []
        self.refunds: dict[str, str] = {}
        self.notes: Counter[str] = Counter()
        self.scribbles = 0
        self.said: dict[str, deque[Any]] = {}
        self.order: Any = ORDER
        self.meanwhile: Callable[[str], None] = lambda path: None
        self._lock = threading.Lock()

    def say(self, path: str, *answers: Any) -> None:
        """What is answered first: a status, a body, "lost" before or "done, then lost" after it took effect."""
        self.said[path] = deque(answers)

    def sent(self, path: str) -> list[Request]:
        """The requests to a path."""
        return [one for one in self.requests if one.url.split(".example", 1)[1].startswith(path)]

    def send(
        self, connection: Connection, request: Request, timeout_s: float, credentials: Any = None, /
    ) -> Response | NoResponse:
        """One call."""
        path = request.url.split(".example", 1)[1].partition("?")[0]
        with self._lock:
            self.requests.append(request)
            self.timeouts.append(timeout_s)
            told = next((said for start, said in self.said.items() if path.startswith(start) and said), None)
            said = told.popleft() if told else None
        self.meanwhile(path)
        if said == "lost":
            return NoResponse("timeout", "no answer in time", True, 10)
        if isinstance(said, NoResponse):
            return said
        if isinstance(said, int):
            return Response(said, {}, {"message": "no"}, "", 3)
        if isinstance(said, dict):
            return Response(200, {}, said, "", 3)
        answer = self._do(path, request)
        return NoResponse("timeout", "no answer in time", True, 10) if said == "done, then lost" else answer

    def _do(self, path: str, request: Request) -> Response:
        with self._lock:
            if path == "/refunds":
                number = self.refunds.setdefault(request.idempotency_key, f"rf-{len(self.refunds) + 1}")
                return Response(201, {}, {"id": number, "for": request.body["order"]}, "", 3)
            if path == "/notes":
                self.notes[request.body["mark"]] += 1
                return Response(201, {}, {"id": "n-1"}, "", 3)
            if path.startswith("/notes/"):
                return Response(200, {}, {"found": self.notes[path.removeprefix("/notes/")] > 0}, "", 3)
            if path == "/scribbles":
                self.scribbles += 1
                return Response(201, {}, {"id": f"s-{self.scribbles}"}, "", 3)
            if path == "/orders/4711":
                return Response(200, {}, self.order, "", 3)
            return Response(404, {}, {"message": "no such order"}, "", 3)


@dataclass
class Services:
    """What the web application is given."""

    site: Site
    ledger: Any
    clock: Clock
    http: Shop
    ids: SystemIds = field(default_factory=SystemIds)
    wakes: None = None
    tokens: None = None

    def hide(self, whose: str, secret: str) -> None:
        """There is no log to tell."""


class Portal:
    """The platform that asks, and what a process of the hub answers it."""

    def __init__(self, app: Any, site: Site) -> None:
        self.app, self._site = app, site

    def ask(self, path: str, question: Any, secret: str = SECRET, **headers: str) -> Any:
        """Ask, signed as the platform would."""
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        config = {**(self._site.connections["portal"].bridge_verify or {}), "secrets": secret}
        signed = sign(config, body, datetime.now(UTC))
        with self.app.test_client() as client:
            return client.post(f"/bridge/portal/{path}", data=body, headers={**signed, **headers})


def site_of(folder: Path, **files: str) -> Site:
    """The site, with some files written otherwise."""
    return load_site(write(folder, {**FILES, **files}), env={"SECRET": SECRET, "BACKHAUL_ALLOW": THIS_MACHINE})


@contextmanager
def process(site: Site, ledger: Any, clock: Clock, shop: Shop) -> Iterator[Portal]:
    """A web process of the hub, as the platform sees it."""
    app = create_app(Services(site, ledger, clock, shop))
    try:
        yield Portal(app, site)
    finally:
        app.extensions[CLOSE]()


def other(tmp_path: Path, ledger: Any, clock: Clock, shop: Shop, **bridge: str) -> Any:
    """A process whose bridges.yaml reads otherwise."""
    text = FILES["config/bridges.yaml"]
    for old, new in bridge.values():
        assert old in text
        text = text.replace(old, new)
    return process(site_of(tmp_path / "other", **{"config/bridges.yaml": text}), ledger, clock, shop)


def scribbling(tmp_path: Path, ledger: Any, clock: Clock, shop: Shop) -> Any:
    """A process whose second call nobody can look for, and that takes no key."""
    return other(tmp_path, ledger, clock, shop, to=("shop.refund", "shop.scribble"))
