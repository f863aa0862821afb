"""A whole hub in one process: invented vendors, a real ledger, a clock moved by hand, targets told what to say.

Only the network is not there: `Targets` stands where HTTP would be.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict, deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from app.adapters.files import load_site
from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.core.connectors import Connection
from app.core.networks import THIS_MACHINE
from app.model import NoResponse, Receipt, Request, Response
from app.pipeline.call import Caller
from app.pipeline.deliver import Deliverer
from app.pipeline.gates import Gates
from app.pipeline.read import Reader
from app.pipeline.waits import Waits
from tests.support import HandClock

FILES = {
    "config/connections.yaml": """
connections:
  shop: {connector: acme_shop, system: store, settings: {base_url: "https://shop.example"}}
  erp: {connector: acme_erp, settings: {base_url: "https://erp.example"}}
  wms: {connector: acme_wms, settings: {base_url: "https://wms.example"}}
""",
    "config/routes.yaml": """
routes:
  - route: announce
    change: return.labelled
    calls: [{to: wms.announce, mapping: return.to_acme_wms}]
  - route: track
    change: parcel.labelled
    when: "{{ not change.first }}"
    calls: [{to: wms.track, mapping: return.to_acme_tracking}]
""",
    "connectors/acme_shop/connector.yaml": """
connector: acme_shop
settings: {base_url: {required: true}}
auth: {scheme: none}
operations:
  get_return: {method: GET, path: "/returns/{{ args.id }}"}
inbound:
  verify: {scheme: none}
  ack: {status: 200}
  event_id: "{{ payload.id }}"
  event_type: "{{ payload.type }}"
  types: {"return": return}
  ignore: [ping]
  skip: [{when: "{{ payload.test | default(false) }}", because: a test message}]
  fetch: {operation: get_return, with: {id: "{{ payload.return }}"}, as: detail, not_found: retry}
  mapping: acme_shop.to_return
""",
    "connectors/acme_erp/connector.yaml": """
connector: acme_erp
settings: {base_url: {required: true}}
auth: {scheme: none}
operations:
  find: {method: GET, path: /orders, query: {number: "{{ args.number }}"}}
""",
    "connectors/acme_wms/connector.yaml": """
connector: acme_wms
settings: {base_url: {required: true}}
auth: {scheme: none}
operations:
  announce:
    method: POST
    path: /announcements
    body: schemas/announce.json
    capture: [{reference: rma, id: "{{ body.number }}", system: wms, from: "{{ request.body.rma }}"}]
    probe:
      operation: look
      with: {rma: "{{ request.body.rma }}"}
      found: "{{ body.found }}"
  look: {method: GET, path: "/announcements/{{ args.rma }}"}
  track: {method: POST, path: "/announcements/{{ args.rma }}/parcels", idempotency: {header: Idempotency-Key}}
""",
    "connectors/acme_wms/schemas/announce.json": json.dumps(
        {
            "type": "object",
            "required": ["rma", "order"],
            "properties": {"rma": {"type": "string"}, "order": {"type": "string", "maxLength": 12}},
        }
    ),
    "mappings/acme_shop.to_return.yaml": """
mapping: acme_shop.to_return
document:
  id: "{{ detail.id }}"
  source: shop
  version: "{{ detail.version | default(omit) }}"
  state: "{{ detail.state | table('acme_states') }}"
  orders: {$each: "{{ detail.orders }}", $as: number, $do: {number: "{{ number }}"}}
  parcels: "{{ detail.parcels }}"
""",
    "mappings/return.to_acme_wms.yaml": """
mapping: return.to_acme_wms
split: {each: "{{ return.orders }}", as: one, key: "{{ one.number }}"}
references:
  order: {kind: order, from: store, to: erp, id: "{{ one.number }}"}
body: {rma: "{{ return.id }}/{{ one.number }}", order: "{{ refs.order }}", parcels: "{{ return.parcels | length }}"}
""",
    "mappings/return.to_acme_tracking.yaml": """
mapping: return.to_acme_tracking
split: {each: "{{ return.orders }}", as: one, key: "{{ one.number }}"}
args: {rma: "{{ return.id }}/{{ one.number }}"}
body: {parcels: "{{ return.parcels | length }}"}
""",
    "mappings/references/order.yaml": """
reference: order
from: store
to: erp
steps:
  - stored: true
  - lookup: {operation: erp.find, with: {number: "{{ id }}"}, take: "{{ body.numbers }}", none: miss, many: conflict}
missing: park
""",
    "mappings/tables/acme_states.csv": "from,to\nopen,requested\ngone,cancelled\n",
}


class Targets:
    """Answers what was said for a path, in order; the last answer stays. Keeps every request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, deque[Any]] = defaultdict(deque)

    def say(self, path: str, *answers: Any) -> None:
        """Answers for a path prefix: a body (200), a status, or "lost" for an answer that never comes."""
        self._answers[path] = deque(answers)

    def send(self, connection: Connection, request: Request, timeout_s: float, /) -> Response | NoResponse:
        """Stands where HTTP would."""
        self.requests.append(request)
        path = request.url.split(".example", 1)[1]
        found = max((key for key in self._answers if path.startswith(key)), key=len, default=None)
        assert found is not None, f"nothing is said for {path}"
        said = self._answers[found]
        answer = said.popleft() if len(said) > 1 else said[0]
        if answer == "lost":
            return NoResponse("timeout", "no answer within 20 s", True, 20_000)
        status, body = (answer, {"message": "no"}) if isinstance(answer, int) else (200, answer)
        return Response(status, {}, body, "", 3)

    def sent(self, path: str) -> list[Request]:
        """The requests to a path."""
        return [request for request in self.requests if path in request.url]


class MiniHub:
    """Reads and delivers whatever is due, one after the other, in this process."""

    def __init__(self, folder: Path, ledger: Ledger, clock: HandClock, **files: str) -> None:
        self.folder, self.ledger, self.clock, self.targets = folder, ledger, clock, Targets()
        self._numbers = count(1)
        self.write({**FILES, **files})
        self.targets.say("/orders", {"numbers": ["E-1"]})
        self.targets.say("/announcements", {"number": "W-1"})

    def write(self, files: dict[str, str]) -> None:
        """Write files of the site and start anew with them."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.site = load_site(self.folder, env={"BACKHAUL_ALLOW": THIS_MACHINE})
        ids, rng = SystemIds(), random.Random(1)
        limits = {name: connection.limits for name, connection in self.site.connections.items()}
        gates = Gates(limits, self.site.hub.breaker, self.ledger, self.clock, ids.new("wrk"))
        caller = Caller(self.site, gates, self.targets, self.clock)
        waits = Waits(self.site.hub, self.clock, rng)
        given = (self.site, self.ledger, caller, self.clock, ids, waits, "test")
        self.ids, self.reader, self.deliverer = ids, Reader(*given), Deliverer(*given)

    def receive(self, **payload: Any) -> str:
        """Take in a message; the event's id."""
        payload = {"id": f"m{next(self._numbers)}", "type": "return", **payload}
        receipt = Receipt(
            self.ids.new("evt"),
            "shop",
            payload["id"],
            payload["type"],
            self.clock.now(),
            {},
            json.dumps(payload).encode(),
            "received",
        )
        return self.ledger.receive([receipt])[0].event_id

    def shows(self, **detail: Any) -> None:
        """What the shop answers when it is asked for the return."""
        self.targets.say("/returns/", {"id": "R-1", "state": "open", "orders": ["#1"], "parcels": [], **detail})

    def run(self) -> None:
        """Read and deliver until nothing is due."""
        for _ in range(100):
            if not self.read() + self.deliver():
                return
        raise AssertionError("work goes round in circles")

    def read(self) -> int:
        """Read what is due; how much that was."""
        token = self.ids.new("tok")
        works = self.ledger.claim_events("shop", 10, 60, token)
        self.reader.commit(token, [self.reader.read(work) for work in works])
        return len(works)

    def deliver(self, meanwhile: Callable[[], None] = lambda: None) -> int:
        """Deliver what is due; `meanwhile` happens between the tries and their commit."""
        token = self.ids.new("tok")
        works = self.deliverer.claim("wms", 10, 60, token)
        finishes = [self.deliverer.deliver(work) for work in works]
        meanwhile()
        self.deliverer.commit(token, finishes)
        return len(works)

    def later(self, seconds: float) -> None:
        """Let time pass and do what has become due."""
        self.clock.move(seconds)
        self.run()

    def deliveries(self) -> dict[str, str]:
        """The state of each delivery by route and part."""
        return {f"{row['route']} {row['part']}": row["state"] for row in self.ledger.deliveries({}, 100)}

    def event(self, event_id: str) -> dict[str, Any]:
        """An event's row."""
        row = self.ledger.event(event_id)
        assert row is not None
        return row


LABELLED = [{"id": "p1", "state": "labelled", "tracking_number": "T1"}]
