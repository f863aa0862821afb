"""A hub in one process: what the kits of the connectors share.

The ledger, the door and the network are real; the clock is moved by hand.
"""

from __future__ import annotations

import atexit
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from pytest import MonkeyPatch

from app.adapters import files as site_files
from app.adapters.files import PROJECT, load_site
from app.adapters.http import HttpSender
from app.adapters.system import SystemIds
from app.core.networks import THIS_MACHINE
from app.core.polls import PollKey
from app.core.site import Site
from app.pipeline.call import Caller
from app.pipeline.deliver import Deliverer
from app.pipeline.gates import Gates
from app.pipeline.poll import Poller
from app.pipeline.read import Reader
from app.pipeline.waits import Waits
from app.web.app import CLOSE, create_app
from connectors.simserve import running
from tests.support import HandClock

_CONNECTOR = re.compile(r"\bconnector: *(\w+)")


@dataclass
class Services:
    """What the web application is given."""

    site: Any
    ledger: Any
    clock: HandClock
    http: HttpSender
    ids: SystemIds = field(default_factory=SystemIds)
    wakes: None = None
    tokens: None = None

    def hide(self, whose: str, secret: str) -> None:
        """There is no log to tell."""


class OneProcessHub:
    """Takes in, reads, delivers and answers whatever is due, one after the other, in this process."""

    def __init__(self, ledger: Any, clock: HandClock) -> None:
        self.ledger, self.clock, self.http, self.ids = ledger, clock, HttpSender(), SystemIds()
        self.door: Flask | None = None

    def open(self, site: Site) -> None:
        """Begin anew with this site."""
        self.close()
        self.site = site
        self.door = create_app(Services(site, self.ledger, self.clock, self.http))
        limits = {name: connection.limits for name, connection in site.connections.items()}
        gates = Gates(limits, site.hub.breaker, self.ledger, self.clock, self.ids.new("wrk"))
        self.caller = Caller(site, gates, self.http, self.clock)
        waits = Waits(site.hub, self.clock, random.Random(1))
        given = (site, self.ledger, self.caller, self.clock, self.ids, waits, "test")
        self.reader, self.deliverer = Reader(*given), Deliverer(*given)
        self.poller = Poller(site, self.ledger, self.caller, gates, self.clock, self.ids, waits, "test")

    def close(self) -> None:
        """End the threads of the door."""
        if self.door is not None:
            self.door.extensions[CLOSE]()
            self.door = None

    # --- work ------------------------------------------------------------------------------------

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

    def catch_up(self, connection: str, name: str) -> int:
        """Let a poll look until it has caught up, and do what follows; how many looks that took."""
        for looks in range(1, 51):
            token = self.ids.new("tok")
            looked = self.poller.poll(self.ledger.claim_poll(PollKey(connection, name), 60, token))
            assert looked.finish.good, looked.finish.because
            self.poller.commit(token, [looked])
            if looked.done:
                self.run()
                return looks
        raise AssertionError("the poll does not catch up")

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

    # --- what is seen ----------------------------------------------------------------------------

    def head(self, kind: str, source: str, object_id: str) -> Any:
        """The newest document of an object; None when there is none."""
        key = (kind, source, object_id)
        with self.ledger.write() as tx:
            head = tx.heads([key]).get(key)
        return head.body if head else None

    def changes_of(self, kind: str, source: str, object_id: str, column: str = "key") -> list[str]:
        """The facts of an object by their keys, or by their names, in order."""
        return [row[column] for row in self.ledger.story([(kind, source, object_id)]).changes]

    def events(self) -> list[dict[str, Any]]:
        """All events with their states, oldest first."""
        rows = self.ledger.events({}, 1000)
        return sorted((dict(row) for row in rows), key=lambda row: (str(row["received_at"]), row["id"]))

    def deliveries(self, route: str = "") -> list[dict[str, Any]]:
        """All deliveries, or those of a route, with their states."""
        rows = [dict(row) for row in self.ledger.deliveries({}, 1000)]
        return [row for row in rows if not route or row["route"] == route]


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
def socket(name: str) -> tuple[Socket, str]:
    """A socket and its address, served once for all tests of a run."""
    made, stack = Socket(), ExitStack()
    served: Any = made
    url = stack.enter_context(running(served))
    atexit.register(stack.close)
    return made, url


def compiled_site(files: Mapping[str, str], env: Mapping[str, str]) -> Site:
    """The site of these files, kept for all tests of a run: compiling one takes longer than most tests."""
    return _compiled(tuple(files.items()), tuple(env.items()))


@cache
def _compiled(files: tuple[tuple[str, str], ...], env: tuple[tuple[str, str], ...]) -> Site:
    with TemporaryDirectory() as folder, project_of(text for _, text in files):
        for name, text in files:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_site(Path(folder), env={"BACKHAUL_ALLOW": THIS_MACHINE, **dict(env)})


@contextmanager
def project_of(texts: Iterable[str]) -> Iterator[None]:
    """What comes with the project, but for the connectors that these texts do not name, and the mappings for them.

    Reading all of it takes four times as long; that it has no faults is what the unit suite shows.
    """
    used = {name for text in texts for name in _CONNECTOR.findall(text)}
    given = [path for path in PROJECT.glob("connectors/*/") if (path / "connector.yaml").is_file()]
    unused = [path.name for path in given if not any(name.startswith(path.name) for name in used)]
    with TemporaryDirectory() as folder, MonkeyPatch.context() as patch:
        for path in [*given, *PROJECT.glob("mappings/**/*.*")]:
            place = Path(folder) / path.relative_to(PROJECT)
            shared = place.parent.name in ("tables", "references")
            if shared or not any(name in place.name for name in unused):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path)
        patch.setattr(site_files, "PROJECT", Path(folder))
        yield
