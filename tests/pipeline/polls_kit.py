"""A hub with one vendor whose list is polled. The vendor keeps records that change, and shows them page by page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.adapters.ledger import Ledger
from app.core.connectors import Connection
from app.core.polls import PollKey, PollState
from app.core.times import iso, parse_time
from app.model import NoResponse, Receipt, Request, Response
from app.pipeline.call import Caller
from app.pipeline.gates import Gates
from app.pipeline.poll import Polled, Poller
from app.pipeline.read import Reader
from app.pipeline.waits import Waits
from app.pipeline.worker import polls_on
from tests.pipeline import kit
from tests.pipeline.kit import MiniHub
from tests.support import HandClock

KEY = PollKey("club", "changed")
CONNECTION = """\
  club: {connector: acme_club, system: store, settings: {base_url: "https://club.example"}, poll: {changed: 10m}}
"""
CONNECTOR = """
connector: acme_club
settings: {base_url: {required: true}}
auth: {scheme: none}
operations:
  list_returns:
    method: GET
    path: /returns
    query: {after: "{{ args.after }}", before: "{{ args.before }}"}
    paging:
      items: "{{ body.records }}"
      next: "{{ page + 1 if page < body.pages else none }}"
      param: page
      size_param: size
      size: 2
      id: "{{ item.id }}"
  get_return: {method: GET, path: "/returns/{{ args.id }}"}
poll:
  - poll: changed
    operation: list_returns
    with: {after: "{{ window.from }}", before: "{{ window.to }}"}
    every: 1h
    window: {overlap: 5m, behind: 60s, longest: 1d, start: 2d}
    payload: {event: polled, of: "{{ item.id }}", at: "{{ item.updated }}", data: "{{ item }}"}
inbound:
  verify: {scheme: none}
  event_id: "{{ payload.event }}:{{ payload.of }}:{{ payload.at }}"
  event_type: "{{ payload.event }}"
  types: {polled: return, told: return}
  ignore: [closed]
  skip: [{when: "{{ payload.data.test | default(false) }}", because: a test record}]
  read: {operation: get_return, with: {id: "{{ return.id }}"}}
  mapping: acme_club.to_return
"""
MAPPING = """
mapping: acme_club.to_return
document:
  id: "{{ detail.id | default(payload.data.id) }}"
  source: club
  updated_at: "{{ detail.updated | default(payload.data.updated) }}"
  state: "{{ detail.state | default(payload.data.state) }}"
  parcels: "{{ detail.parcels | default(payload.data.parcels) | default([]) }}"
"""
FILES = {
    "config/connections.yaml": kit.FILES["config/connections.yaml"] + CONNECTION,
    "connectors/acme_club/connector.yaml": CONNECTOR,
    "mappings/acme_club.to_return.yaml": MAPPING,
}


@dataclass
class Club:
    """The vendor. Its clock is the hub's; `lags` seconds pass before its list shows a change."""

    clock: HandClock
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    lags: float = 0.0
    filters: bool = True  # False: what it is asked for does not matter, it shows everything
    shows_most: int = 1_000_000  # of a list, without saying so
    down: int | str = 0  # a status, or "lost"
    asked: list[dict[str, str]] = field(default_factory=list)
    meanwhile: Callable[[int], None] = lambda page: None  # happens before a page is shown

    def change(self, *names: str, ago: float = 0.0, **more: Any) -> None:
        """These records change now, or some seconds ago."""
        for name in names:
            at = iso(self.clock.now() - timedelta(seconds=ago))
            known = self.records.get(name, {"id": name, "state": "requested"})
            self.records[name] = {**known, "updated": at, **more}

    def send(
        self, connection: Connection, request: Request, timeout_s: float, credentials: Any = None, /
    ) -> Response | NoResponse:
        """Stands where HTTP would."""
        parts = urlsplit(request.url)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.asked.append(query)
        if self.down == "lost":
            return NoResponse("timeout", "no answer within 20 s", True, 20_000)
        if self.down:
            return Response(int(self.down), {}, {"message": "no"}, "", 3)
        name = parts.path.removeprefix("/returns").strip("/")
        if name:
            found = self.records.get(name)
            return Response(200 if found else 404, {}, found, "", 3)
        page, size = int(query.get("page", 1)), int(query.get("size", 1000))
        self.meanwhile(page)
        all_ = self._between(query)
        shown = all_[: self.shows_most]
        records = [dict(one) for one in shown[(page - 1) * size : page * size]]
        body = {"records": records, "pages": -(-len(shown) // size), "total": len(all_)}
        return Response(200, {}, body, "", 3)

    def _between(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """By what changed last, which is the worst: what changes while pages are read moves all others."""
        found = sorted(self.records.values(), key=lambda one: (one["updated"], one["id"]))
        visible = self.clock.now() - timedelta(seconds=self.lags)
        found = [one for one in found if parse_time(one["updated"]) <= visible]
        if not self.filters:
            return found
        # Neither end counts: the strictest way to read "after" and "before".
        after, before = parse_time(query["after"]), parse_time(query["before"])
        return [one for one in found if after < parse_time(one["updated"]) < before]

    @property
    def spans(self) -> list[tuple[str, str]]:
        """The spans of time that were asked for."""
        return list(dict.fromkeys((one["after"], one["before"]) for one in self.asked if "after" in one))


class PollHub(MiniHub):
    """Polls what is due, then reads it."""

    def __init__(self, folder: Path, ledger: Ledger, clock: HandClock) -> None:
        self.club = Club(clock)
        super().__init__(folder, ledger, clock, **FILES)

    def write(self, files: dict[str, str]) -> None:
        """Write files of the site and start anew with them."""
        super().write(files)
        self.poller, self.reader = self.worker()
        self.ledger.keep_polls(polls_on(self.site))

    def edit(self, old: str, new: str, file: str = "connectors/acme_club/connector.yaml") -> None:
        """Change one place of a file and start anew."""
        text = (self.folder / file).read_text()
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        self.write({file: text.replace(old, new)})

    def worker(self) -> tuple[Poller, Reader]:
        """What one more worker process would poll and read with."""
        limits = {name: connection.limits for name, connection in self.site.connections.items()}
        gates = Gates(limits, self.site.hub.breaker, self.ledger, self.clock, self.ids.new("wrk"))
        caller = Caller(self.site, gates, self.club, self.clock)
        waits = Waits(self.site.hub, self.clock, self.deliverer._finisher._waits.rng)
        reader = Reader(self.site, self.ledger, caller, self.clock, self.ids, waits, "test")
        return Poller(self.site, self.ledger, caller, gates, self.clock, self.ids, waits, "test"), reader

    def look(self) -> list[Polled]:
        """Poll what is due, once; what came of it."""
        if "poll:club" not in self.ledger.due_lanes():
            return []
        token = self.ids.new("tok")
        done = [self.poller.poll(work) for work in self.poller.claim("club", 5, 60, token)]
        self.poller.commit(token, done)
        return done

    def run(self) -> None:
        """Poll and read until nothing is due."""
        for _ in range(200):
            if not len(self.look()) + self.read():
                return
        raise AssertionError("work goes round in circles")

    def read(self) -> int:
        """Read what is due; how much that was."""
        token = self.ids.new("tok")
        works = self.ledger.claim_events("club", 10, 60, token)
        self.reader.commit(token, [self.reader.read(work) for work in works])
        return len(works)

    def told(self, **payload: Any) -> str:
        """Take in a message; the event's id."""
        number = str(next(self._numbers))
        payload = {"event": "told", "of": number, "at": "", **payload}
        body = json.dumps(payload).encode()
        receipt = Receipt(self.ids.new("evt"), "club", f"told:{number}", "told", self.clock.now(), {}, body, "received")
        return self.ledger.receive([receipt])[0].event_id

    @property
    def state(self) -> PollState:
        """Where the poll stands."""
        [found] = [one for one in self.ledger.polls() if one.key == KEY]
        return found

    def events(self) -> list[dict[str, Any]]:
        """All events, the oldest first."""
        return self.ledger.events({}, 1000)[::-1]

    def known(self) -> dict[str, str]:
        """The states of the returns that the hub knows, by their ids."""
        with self.ledger.write() as tx:
            keys = [("return", "club", name) for name in self.club.records]
            return {key[2]: document.body["state"] for key, document in sorted(tx.heads(keys).items())}

    def counted(self, name: str, **labels: str) -> float:
        """What a counter stands at, over all labels but those given."""
        wanted = [f'"{key}":"{value}"' for key, value in labels.items()]
        found = self.ledger.counters().items()
        return sum(value for (key, text), value in found if key == name and all(one in text for one in wanted))


def at(moment: datetime) -> str:
    """A time as windows write it."""
    return moment.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
