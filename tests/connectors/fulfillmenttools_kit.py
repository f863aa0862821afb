"""A hub in one process between a simulated fulfillmenttools, a book that notes effects, and somebody who grades goods.

The ledger, the door, the network and the simulators are real; the clock is moved by hand.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, request

from connectors.fulfillmenttools import simulator
from connectors.fulfillmenttools.identity import API_KEY, EMAIL, PASSWORD, Identity
from connectors.fulfillmenttools.jobs import Jobs
from connectors.simkit import TOKEN, Answer, Simulator
from connectors.simserve import running
from tests.connectors.fulfillmenttools_site import FILES, ROUTES
from tests.connectors.hub_kit import OneProcessHub, compiled_site
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


class Hub(OneProcessHub):
    """The hub between the platform, the book and the grader."""

    def __init__(self, ledger: Any, clock: HandClock, fft: Flask, book: Flask) -> None:
        super().__init__(ledger, clock)
        self.fft: Any = fft.extensions["simulator"]
        self.book: Any = book.extensions["simulator"]
        self.use(ROUTES)

    @property
    def jobs(self) -> Jobs:
        """What the simulated tenant holds."""
        found: Jobs = self.fft.jobs
        return found

    def use(self, routes: str, **files: str) -> None:
        """Begin anew with these routes."""
        self.open(compiled_site({**FILES, "config/routes.yaml": routes, **files}, _world()[2]))

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
        """Look into a list now, which takes one look, and do what follows."""
        assert self.catch_up("fft", name) == 1

    def calls(self) -> list[str]:
        """What was asked of the platform, but for logins."""
        return [one.operation for one in self.fft.requests if one.operation not in ("login", "refresh")]

    def document(self, object_id: str) -> Any:
        """The newest document of a job."""
        return self.head("return", "fft", object_id)

    def changes(self, object_id: str, source: str = "fft") -> list[str]:
        """The facts of a return by their keys, in order."""
        return self.changes_of("return", source, object_id)

    def facts(self, object_id: str) -> list[str]:
        """The facts of a job by their names, in order."""
        return self.changes_of("return", "fft", object_id, "name")

    def effects(self, object_id: str = "") -> list[str]:
        """What was noted in the book, about one job or all, in order."""
        return [effect.removeprefix(f"{object_id} ") for effect in self.book.effects() if effect.startswith(object_id)]


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
