"""A hub whose routes make several calls, at two invented targets: a job to be read and changed, a note to be left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.adapters.ledger import Ledger
from app.core.connectors import Connection
from app.model import NoResponse, Request, Response
from tests.pipeline.kit import MiniHub, Targets
from tests.support import HandClock

ROUTES = """
routes:
  - route: adjust
    change: return.registered
    calls:
      - {to: jobs.get_job, mapping: return.to_acme_job}
      - {to: jobs.change_job, mapping: return.to_acme_change, when: "{{ answers[0].state == 'open' }}"}
      - {to: notes.leave_note, mapping: return.to_acme_note}
"""

FILES = {
    "config/connections.yaml": """
connections:
  shop: {connector: acme_shop, system: store, settings: {base_url: "https://shop.example"}}
  erp: {connector: acme_erp, settings: {base_url: "https://erp.example"}}
  wms: {connector: acme_wms, settings: {base_url: "https://wms.example"}}
  jobs: {connector: acme_jobs, settings: {base_url: "https://jobs.example", team: blue}}
  notes: {connector: acme_notes, settings: {base_url: "https://notes.example"}}
""",
    "config/routes.yaml": ROUTES,
    "connectors/acme_shop/connector.yaml": """
connector: acme_shop
settings: {base_url: {required: true}}
auth: {scheme: none}
operations:
  get_return: {method: GET, path: "/returns/{{ args.id }}"}
inbound:
  verify: {scheme: none}
  event_id: "{{ payload.id }}"
  event_type: "{{ payload.type }}"
  types: {"return": return}
  fetch: {operation: get_return, with: {id: "{{ payload.return }}"}, as: detail}
  read: {operation: get_return, with: {id: "{{ return.id }}"}, as: detail}
  mapping: acme_shop.to_return
""",
    # An owner changes jobs too: a version that is no longer the newest is refused.
    "connectors/acme_jobs/connector.yaml": """
connector: acme_jobs
settings: {base_url: {required: true}, team: {default: red}}
auth: {scheme: none}
operations:
  get_job: {method: GET, path: "/jobs/{{ args.id }}"}
  find_job: {method: POST, path: /searches, safe: true}
  change_job:
    method: PATCH
    path: /changes/{{ args.id }}
    responses:
      - {status: 409, outcome: restart, because: somebody else changed it}
      - {status: 422, outcome: review, because: its owner has to look at it}
  order_job:
    method: POST
    path: /orders/{{ args.id }}
    idempotency: {header: Idempotency-Key}
    responses: [{status: 409, outcome: restart}]
""",
    # The same note may be there already: somebody looks before one is left.
    "connectors/acme_notes/connector.yaml": """
connector: acme_notes
settings: {base_url: {required: true}}
auth: {scheme: none}
operations:
  leave_note:
    method: POST
    path: /notes
    capture: [{reference: note, id: "{{ body.id }}", system: notes, from: "{{ request.body.return }}"}]
    probe:
      operation: list_notes
      with: {return: "{{ request.body.return }}"}
      before: true
      unclear: "{{ body.items | length > 1 }}"
      found: "{{ body.items | length == 1 }}"
      answer: "{{ body.items[0] }}"
  list_notes:
    method: GET
    path: /lists
    query: {of: "{{ args.return }}"}
    paging: {items: "{{ body.notes }}", next: "{{ body.next | default(none) }}", param: page, id: "{{ item.id }}"}
""",
    "mappings/return.to_acme_job.yaml": """
mapping: return.to_acme_job
args: {id: "{{ return.id }}"}
""",
    "mappings/return.to_acme_change.yaml": """
mapping: return.to_acme_change
args: {id: "{{ return.id }}"}
body:
  version: "{{ answers[0].version }}"
  team: "{{ settings.team }}"
  key: "{{ delivery.key }}"
  delivery: "{{ delivery.id }}"
""",
    "mappings/return.to_acme_note.yaml": """
mapping: return.to_acme_note
body:
  return: "{{ return.id }}"
  seen: "{{ answers[0].state | default('nothing') }}"
  changed: "{{ answers[1].version | default('not changed') }}"
""",
}


class Vendor(Targets):
    """Does what it is told: jobs change when their newest version is named, notes pile up. Keeps what it did."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self, *, others: int = 0, lost: int = 0) -> None:
        """Begin anew, with an open job and no notes.

        `others`: how often somebody else changes the job just before the hub does. `lost`: how many of the first
        answers to a change never arrive.
        """
        self.job: dict[str, Any] = {"state": "open", "version": 1}
        self.notes: list[dict[str, str]] = []
        self.did: list[str] = []
        self.others, self.lost = others, lost

    def send(self, connection: Connection, request: Request, timeout_s: float, /) -> Response | NoResponse:
        """Carry out a request to the targets; what goes elsewhere is answered as was said."""
        path = request.url.split(".example", 1)[1].split("?")[0]
        if connection.name not in ("jobs", "notes"):
            return super().send(connection, request, timeout_s)
        self.requests.append(request)
        status, body = self._carry_out(f"{request.method} {path}", request.body)
        if request.method == "PATCH" and self.lost:
            self.lost -= 1
            return NoResponse("timeout", "no answer within 20 s", True, 20_000)
        return Response(status, {}, body, "", 3)

    def _carry_out(self, call: str, body: Any) -> tuple[int, Any]:
        if call.startswith("PATCH /changes/"):
            if self.others > 0:
                self.others -= 1
                self.job = {**self.job, "version": self.job["version"] + 1}
            if body["version"] != self.job["version"]:
                return 409, {"message": "somebody else changed it"}
            self.job = {"state": "changed", "version": body["version"] + 1}
            self.did.append("change")
        if call == "POST /notes":
            self.notes.append({"id": f"n-{len(self.notes) + 1}"})
            self.did.append("note")
            return 201, self.notes[-1]
        return 200, {"notes": list(self.notes)} if call == "GET /lists" else dict(self.job)


class CallsHub(MiniHub):
    """Delivers to all of its targets. The job is open, can be changed, and has no note."""

    def __init__(self, folder: Path, ledger: Ledger, clock: HandClock) -> None:
        super().__init__(folder, ledger, clock, **FILES)
        self.targets.say("/jobs/", {"state": "open", "version": 1})
        self.targets.say("/changes/", {"version": 2})
        self.targets.say("/orders/", {"version": 2})
        self.targets.say("/searches", {"version": 7, "state": "open"})
        self.targets.say("/notes", {"id": "n-1"})
        self.targets.say("/lists", {"notes": []})
        self.shows()

    def register(self) -> str:
        """Let the shop tell of its return, and do what follows at once; the delivery's id."""
        self.receive(**{"return": "R-1"})
        self.run()
        return str(self.row()["id"])

    def registered(self) -> str:
        """Let the shop tell of its return, and leave what follows; the delivery's id."""
        self.receive(**{"return": "R-1"})
        self.read()
        return str(self.row()["id"])

    def meets(self, vendor: Vendor) -> None:
        """Deliver to this vendor from now on."""
        self.targets = vendor
        self.shows()
        self.write({})

    def can_look(self) -> None:
        """Let a look at the job tell whether it was changed."""
        look = (
            """    probe: {operation: get_job, with: {id: "{{ args.id }}"}, found: "{{ body.state == 'changed' }}"}"""
        )
        old = "    path: /changes/{{ args.id }}\n"
        self.edit("connectors/acme_jobs/connector.yaml", old, f"{old}{look}\n")

    def route(self, *calls: str, **more: str) -> None:
        """Work by a route with these calls."""
        head = "".join(f"    {key}: {value}\n" for key, value in {"change": "return.registered", **more}.items())
        listed = "".join(f"      - {call}\n" for call in calls)
        self.write({"config/routes.yaml": f"routes:\n  - route: adjust\n{head}    calls:\n{listed}"})

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a file of the site."""
        text = (self.folder / file).read_text()
        assert old in text
        self.write({file: text.replace(old, new)})

    def deliver(self, meanwhile: Any = lambda: None) -> int:
        """Deliver what is due, to all targets."""
        done = 0
        for lane in ("jobs", "notes"):
            token = self.ids.new("tok")
            works = self.deliverer.claim(lane, 10, 60, token)
            finishes = [self.deliverer.deliver(work) for work in works]
            meanwhile()
            self.deliverer.commit(token, finishes)
            done += len(works)
        return done

    def die(self, *, sending: bool) -> None:
        """Claim what is due and be killed: before anything is sent, or before its outcome is written."""
        for lane in ("jobs", "notes"):
            for work in self.deliverer.claim(lane, 1, 60, self.ids.new("tok")):
                if sending:
                    self.deliverer.deliver(work)
                return

    def live(self) -> None:
        """Carry out one call that is due, and write its outcome."""
        for lane in ("jobs", "notes"):
            token = self.ids.new("tok")
            if works := self.deliverer.claim(lane, 1, 60, token):
                self.deliverer.commit(token, [self.deliverer.deliver(work) for work in works])
                return

    def row(self, return_id: str = "R-1") -> dict[str, Any]:
        """The only delivery of a return."""
        (row,) = [row for row in self.ledger.deliveries({}, 1000) if row["object_id"] == return_id]
        return dict(row)

    def tell(self) -> str:
        """Let the shop tell of a new return; its id. Nothing is read yet."""
        return_id = self.ids.new("R")
        self.shows(id=return_id)
        self.receive(id=return_id, **{"return": return_id})
        return return_id

    @property
    def state(self) -> str:
        """The state of the only delivery."""
        return str(self.row()["state"])

    def calls(self) -> list[str]:
        """The calls to the targets so far: method and path."""
        hosts = ("https://jobs.example", "https://notes.example")
        sent = [request for request in self.targets.requests if request.url.startswith(hosts)]
        return [f"{request.method} {request.url.split('.example', 1)[1]}" for request in sent]

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a path."""
        return [request.body for request in self.targets.sent(path) if request.body is not None]

    def attempts(self) -> list[dict[str, Any]]:
        """The tries of the only delivery, in order."""
        rows = self.ledger.story([("return", "shop", "R-1")]).attempts
        return [row for row in rows if row["delivery_id"]]
