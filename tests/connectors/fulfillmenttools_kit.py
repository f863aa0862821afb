"""A hub in one process between a simulated fulfillmenttools, a book that notes effects, and somebody who grades goods.

The ledger, the door, the network and the simulators are real; the clock is moved by hand.
"""

from __future__ import annotations

import atexit
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask, request

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
from connectors.fulfillmenttools import simulator
from connectors.fulfillmenttools.identity import API_KEY, EMAIL, PASSWORD, Identity
from connectors.fulfillmenttools.jobs import Jobs
from connectors.simkit import TOKEN, Answer, Simulator
from connectors.simserve import running
from tests.connectors.fulfillmenttools_site import FILES, ROUTES
from tests.support import HandClock

FOLDER = Path(__file__).parents[2] / "connectors" / "fulfillmenttools"
FIXTURES = FOLDER / "fixtures"
SECRETS = ("Bearer first-secret", "Bearer next-secret")


def book_app() -> Flask:
    """Notes what it is told, once for each key."""
    sim, keys = Simulator("book"), set()

    @sim.operation("note", "POST", "/notes")
    def note() -> Answer:
        body, key = request.get_json(force=True), request.headers["Idempotency-Key"]
        new = key not in keys
        keys.add(key)
        told = " ".join(str(part) for part in (body["return"], body["change"], body.get("line")) if part)
        return Answer({}, 201, effect=told if new else "")

    return sim.app


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

    def __init__(self, ledger: Any, clock: HandClock, fft: Flask, book: Flask) -> None:
        self.ledger, self.clock = ledger, clock
        self.fft: Any = fft.extensions["simulator"]
        self.book: Any = book.extensions["simulator"]
        self.http = HttpSender()
        self.ids = SystemIds()
        self.door: Flask | None = None
        self.use(ROUTES)

    @property
    def jobs(self) -> Jobs:
        """What the simulated tenant holds."""
        found: Jobs = self.fft.jobs
        return found

    def use(self, routes: str, **files: str) -> None:
        """Begin anew with these routes."""
        self.close()
        self.site = _site(tuple({**FILES, "config/routes.yaml": routes, **files}.items()))
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

    def post(self, message: Any, *, secret: str = SECRETS[0], to: str = "fft", **headers: str) -> int:
        """Send a message to the door as the vendor would; the status of the answer."""
        assert self.door is not None
        body = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()
        given = {"Content-Type": "application/json", "Authorization": secret, **headers}
        return self.door.test_client().post(f"/webhooks/{to}", data=body, headers=given).status_code

    def grade(self, **said: Any) -> None:
        """Let the grader tell a return, and do what follows."""
        line = {"key": "1", "sku": said.pop("sku"), "quantity": said.pop("quantity")}
        message = {"id": self.ids.new("msg"), "version": 1, "return": "W-1", "lines": [line], **said}
        assert self.post(message, to="grader") == 200
        self.run()

    def tell(self, *messages: Any) -> None:
        """Send messages, each answered with 200, and do all that is due after each."""
        for message in messages:
            assert self.post(message) == 200
            self.run()

    def poll(self, name: str) -> None:
        """Look into a list now, and do what follows."""
        token = self.ids.new("tok")
        work = self.ledger.claim_poll(PollKey("fft", name), 60, token)
        assert work is not None
        polled = self.poller.poll(work)
        assert polled.finish.good and polled.done, polled.finish.because
        self.poller.commit(token, [polled])
        self.run()

    def calls(self) -> list[str]:
        """What was asked of the platform, but for logins."""
        return [one.operation for one in self.fft.requests if one.operation not in ("login", "refresh")]

    def run(self) -> None:
        """Read and deliver until nothing is due."""
        for _ in range(200):
            done = sum(self._read(name) for name in self.site.connections)
            done += sum(self._deliver(name) for name in self.site.connections)
            if not done:
                return
        raise AssertionError("work goes round in circles")

    def later(self, seconds: float = 60.0, times: int = 1) -> None:
        """Let time pass and do what has become due."""
        for _ in range(times):
            self.clock.move(seconds)
            self.run()

    def document(self, object_id: str) -> Any:
        """The newest document of a job."""
        key = ("return", "fft", object_id)
        with self.ledger.write() as tx:
            head = tx.heads([key]).get(key)
        return head.body if head else None

    def changes(self, object_id: str, source: str = "fft") -> list[str]:
        """The facts of a return by their keys, in order."""
        return [row["key"] for row in self.ledger.story([("return", source, object_id)]).changes]

    def facts(self, object_id: str) -> list[str]:
        """The facts of a job by their names, in order."""
        return [row["name"] for row in self.ledger.story([("return", "fft", object_id)]).changes]

    def effects(self, object_id: str = "") -> list[str]:
        """What was noted in the book, about one job or all, in order."""
        return [effect.removeprefix(f"{object_id} ") for effect in self.book.effects() if effect.startswith(object_id)]

    def events(self) -> list[dict[str, Any]]:
        """All events with their states, oldest first."""
        rows = self.ledger.events({}, 1000)
        return sorted((dict(row) for row in rows), key=lambda row: (str(row["received_at"]), row["id"]))

    def deliveries(self) -> list[dict[str, Any]]:
        """All deliveries with their states."""
        return [dict(row) for row in self.ledger.deliveries({}, 1000)]

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


@cache
def _world() -> tuple[Flask, Flask, dict[str, str]]:
    """The simulators, served once for all tests of a run, and what the site needs to be told of them."""
    fft, book = simulator.create_app(secret=SECRETS[0]), book_app()
    stack = ExitStack()
    atexit.register(stack.close)
    env = {
        "FFT_URL": stack.enter_context(running(fft)),
        "BOOK_URL": stack.enter_context(running(book)),
        "FFT_KEY": API_KEY,
        "FFT_EMAIL": EMAIL,
        "FFT_PASSWORD": PASSWORD,
        "FFT_SECRET_1": SECRETS[0],
        "FFT_SECRET_2": SECRETS[1],
        "BOOK_TOKEN": TOKEN,
    }
    return fft, book, env


@cache
def _site(files: tuple[tuple[str, str], ...]) -> Site:
    """The site of these files: compiling one takes longer than most tests."""
    with TemporaryDirectory() as folder:
        for name, text in files:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_site(Path(folder), env=_world()[2])


@contextmanager
def running_hub(ledger: Any, clock: HandClock) -> Iterator[Hub]:
    """A hub whose simulators have forgotten what was before."""
    fft, book, _ = _world()
    for app in (fft, book):
        app.extensions["simulator"].behave()
        app.extensions["simulator"].requests.clear()
    fft.extensions["simulator"].jobs.forget()
    # The tokens' lives are counted on the clock that the test moves.
    fft.extensions["simulator"].identity = Identity(clock=lambda: clock.now().timestamp())
    hub = Hub(ledger, clock, fft, book)
    try:
        yield hub
    finally:
        hub.close()
        hub.http.close()


def fixture(name: str) -> Any:
    """A recorded example by its name."""
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def chain(order: str) -> list[Any]:
    """The recorded snapshots of an order's job, oldest first."""
    paths = FIXTURES.glob(f"ITEM_RETURN_JOB_*__{order}_v*.json")
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return sorted(found, key=lambda event: int(event["payload"]["version"]))


def snapshots(job: Any, *steps: tuple[int, dict[str, Any]]) -> list[Any]:
    """Events of a job with one line: each step is (version, what of the line is new since the step before)."""
    made, line = [], {}
    for version, new in steps:
        line = {**line, **new}
        now = json.loads(json.dumps(job))
        now["version"] = version
        now["itemReturns"][0]["returnedLineItems"][0].update(line)
        made.append({"event": "ITEM_RETURN_JOB_UPDATED", "payload": now, "eventId": f"{now['id']}-{version}"})
    return made


def renamed(events: Sequence[Any], job: str) -> list[Any]:
    """The same events of another job, with event ids of their own."""
    text = json.dumps(list(events)).replace(events[0]["payload"]["id"], job)
    return [{**event, "eventId": f"{job}-{number}"} for number, event in enumerate(json.loads(text))]
