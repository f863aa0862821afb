"""The whole example site with all its vendors simulated, in one process: what the tests of flows share.

The ledger, the door and the network are real; the clock begins now and is moved by hand. Every test has simulators that
hold nothing and an empty ledger; the site is read once for all tests.

    def test_an_order_is_pushed(flows: Flows) -> None:
        flows.seed("shop", orders=[ORDER])
        flows.ask("shop", "/_sim/tell", number="W-1", event="order.placed", url="{hub}/webhooks/store")
        assert flows.effects("portal", "push_orders") == ["pushed W-1"]
        assert flows.states("push_placed_order") == ["done"]

Simulators are called as in config/demo.yaml: platform, erp, warehouse, refunds, shop, portal, stores. Beside what is
here there is what `OneProcessHub` has: `run`, `later`, `head`, `changes_of`, `deliveries`, `events`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import yaml
from flask import Flask

from app.adapters.files import load_site
from app.core.connectors import Limits
from app.core.networks import THIS_MACHINE
from app.core.site import Site
from connectors.digital_river import simulator as digital_river
from connectors.fulfillmenttools import simulator as fulfillmenttools
from connectors.fulfillmenttools.identity import Identity
from connectors.generic_erp import simulator as generic_erp
from connectors.generic_shop import simulator as generic_shop
from connectors.generic_wms import simulator as generic_wms
from connectors.nshift import simulator as nshift
from connectors.returnista import simulator as returnista
from connectors.simkit import Recorded, Simulator
from connectors.simsend import send_signed
from tests.connectors.example_site import ROOT
from tests.connectors.hub_kit import OneProcessHub, socket
from tests.support import HandClock

HUB = "hub"
#: So long a step of a demo may take on the hand clock.
_PATIENCE_S = 60
_LAG_S = 120


class NowClock(HandClock):
    """A clock that begins now, where the simulators are, and is moved by hand from there."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)


class Flows(OneProcessHub):
    """The hub of the example site between all its simulated vendors."""

    def __init__(self, ledger: Any, clock: HandClock) -> None:
        super().__init__(ledger, clock)
        self.sims = _Simulators(clock)
        self.url = socket(HUB)[1]
        self.open(example_site())

    def open(self, site: Site) -> None:
        """Begin anew with this site; the ledger and the simulators stay as they are."""
        super().open(site)
        assert self.door is not None
        # Simulators send over the network, so the door is served at an address too.
        self.door.extensions["simulator"] = _Unmade(self.sims, HUB)
        socket(HUB)[0].app = self.door

    def close(self) -> None:
        """End the threads of the door, and the connections."""
        super().close()
        self.http.close()

    def only(self, *routes: str) -> None:
        """Begin anew with these routes alone, for a test that wants no other flow to speak."""
        kept = tuple(route for route in self.site.routes if route.name in routes)
        assert {route.name for route in kept} == set(routes), f"no such routes: {set(routes)}"
        self.open(replace(self.site, routes=kept))

    # --- what happens in the world ---------------------------------------------------------------

    def seed(self, name: str, **data: Any) -> Any:
        """Put something into a simulator, as `POST /_sim/seed` does; its answer."""
        return self._post(name, "/_sim/seed", data)

    def ask(self, name: str, path: str = "/_sim/send", *, run: bool = True, **value: Any) -> Any:
        """Let a simulator do something and do what follows; its answer. `{hub}` in a text is the hub's address."""
        answer = self._post(name, path, value)
        if run:
            self.run()
        return answer

    def hear(self, name: str, connection: str, event: Any) -> None:
        """Take in an event that the shop or the warehouse signs, as it is given here, and do what follows."""
        sent = send_signed(f"{self.url}/webhooks/{connection}", event, _options(name)["secret"])
        assert sent == [200]
        self.run()

    def poll(self, connection: str, name: str = "") -> None:
        """Let time pass, read a connection's lists (or one of them) until they are caught up, do what follows."""
        # Lists are read up to a minute ago, and some simulators go by the real time.
        self.clock.move(_LAG_S)
        for one in [name] if name else list(self.site.connections[connection].connector.polls):
            self.catch_up(connection, one)

    def misbehave(self, name: str, operation: str, mode: str, **details: Any) -> None:
        """Let the next requests of an operation go wrong: see `connectors.simkit.MODES`."""
        self.sims[name].misbehave(operation, mode, **details)

    def bridge(self, path: str, question: Any, headers: Mapping[str, str]) -> Any:
        """Ask a bridge (`<connection>/<path>`) with these headers; the answer, with `status_code` and `json`."""
        assert self.door is not None
        with self.door.test_client() as client:
            return client.post(f"/bridge/{path}", json=question, headers=dict(headers))

    def play(self, name: str) -> None:
        """Play config/demo/<name>.yaml to its end. Raises `AssertionError` when something does not happen in time."""
        plan = _read(f"config/demo/{name}.yaml")
        numbers = {sim: self.sims[sim]._count for sim in _plan()["simulators"]}
        done = {row["id"] for row in self.deliveries() if row["state"] == "done"}
        for sim, data in (plan.get("seed") or {}).items():
            self._post(sim, "/_sim/seed", data)
        for step in plan["steps"]:
            if "ask" in step:
                self.ask(step["ask"], step.get("path", "/_sim/send"), **step["value"])
            elif "run" in step:
                self._command(step["run"])
            else:
                self._wait(step["wait"], numbers, done)

    # --- what is seen ----------------------------------------------------------------------------

    def made(self, name: str, operation: str = "") -> list[Recorded]:
        """The requests that a simulator received, of one operation or all."""
        return [one for one in self.sims[name].requests if operation in ("", one.operation)]

    def effects(self, name: str, operation: str = "") -> list[str]:
        """What calls have changed at a simulator, in its own words, in order."""
        return [one.effect for one in self.made(name, operation) if one.effect]

    def states(self, route: str) -> list[str]:
        """The states of a route's deliveries; a name that no route has is an error."""
        assert route in {one.name for one in self.site.routes}, f"there is no route {route}"
        return [str(row["state"]) for row in self.deliveries(route)]

    def routes(self) -> dict[str, list[str]]:
        """Every route that has deliveries, with their states."""
        found: dict[str, list[str]] = {}
        for row in self.deliveries():
            found.setdefault(str(row["route"]), []).append(str(row["state"]))
        return found

    def because(self, route: str) -> list[str]:
        """Why each of a route's deliveries is in its state."""
        return [str(row["because"]) for row in self.deliveries(route)]

    def tasks(self) -> list[dict[str, Any]]:
        """What a person is asked to look at."""
        return [dict(row) for row in self.ledger.tasks({}, 100)]

    # --- how -------------------------------------------------------------------------------------

    def _post(self, name: str, path: str, value: Any) -> Any:
        answer = self.sims[name].app.test_client().post(path, json=_filled(value, self.url))
        assert answer.status_code == 200, f"{name} {path}: {answer.status_code} {answer.text}"
        return answer.json

    def _command(self, words: Sequence[str]) -> None:
        assert list(words[:1]) == ["poll"], f"this kit knows no command {words}"
        self.poll(words[1], words[words.index("--name") + 1] if "--name" in words else "")

    def _wait(self, wanted: Mapping[str, Any], numbers: Mapping[str, int], done: set[Any]) -> None:
        def count() -> int:
            if "route" in wanted:
                rows = self.deliveries(wanted["route"])
                return sum(1 for row in rows if row["state"] == "done" and row["id"] not in done)
            made = self.made(wanted["simulator"], wanted["operation"])
            return sum(1 for one in made if one.effect and one.number > numbers[wanted["simulator"]])

        self.run()
        for _ in range(_PATIENCE_S):
            if count() >= wanted["count"]:
                return
            self.later(1)
        raise AssertionError(f"{wanted}: there are {count()}; {self.routes()}")


class _Simulators(dict[str, Simulator]):
    """The simulators by name, each made when it is asked for first: to make one takes longer than most tests."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock
        for name in _plan()["simulators"]:
            socket(name)[0].app = _Unmade(self, name)

    def __missing__(self, name: str) -> Simulator:
        app = _app(name, self._clock)
        socket(name)[0].app = app
        self[name] = found = app.extensions["simulator"]
        return found


class _Unmade:
    """Stands at the address of a simulator that nobody has asked for yet."""

    def __init__(self, simulators: _Simulators, name: str) -> None:
        self._simulators, self._name = simulators, name
        self.extensions = {"simulator": self}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._simulators[self._name].app(environ, start_response)

    def behave(self) -> None:
        """Nothing: it never misbehaved."""


def _read(file: str) -> Any:
    return yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))


@cache
def _plan() -> Any:
    return _read("config/demo.yaml")


def _options(name: str) -> dict[str, str]:
    """What config/demo.yaml gives a simulator: {"token": …, "secret": …}."""
    words = iter(_plan()["simulators"][name].get("options", ()))
    return {str(word)[2:].replace("-", "_"): str(next(words)) for word in words}


def _app(name: str, clock: HandClock) -> Flask:
    """A simulator as config/demo.yaml starts it, on this clock where it can be told one."""
    told = _options(name)
    makers: dict[str, Callable[[], Flask]] = {
        "platform": lambda: returnista.create_app(**told),
        "erp": lambda: generic_erp.create_app(**told),
        "warehouse": lambda: generic_wms.create_app(**told),
        "refunds": lambda: digital_river.create_app(**told, now=clock.now),
        "shop": lambda: generic_shop.create_app(**told),
        "portal": lambda: nshift.create_app(**told, now=clock.now),
        "stores": lambda: fulfillmenttools.create_app(
            secret=told["secret"],
            identity=Identity(told["api_key"], told["email"], told["password"], clock=lambda: clock.now().timestamp()),
        ),
    }
    app = makers[name]()
    if name == "platform":
        app.extensions["platform"].now = clock.now
    return app


def _filled(value: Any, hub: str) -> Any:
    if isinstance(value, str):
        return value.replace("{hub}", hub)
    if isinstance(value, dict):
        return {key: _filled(item, hub) for key, item in value.items()}
    return [_filled(item, hub) for item in value] if isinstance(value, list) else value


@cache
def example_site() -> Site:
    """The site as it is shipped, with the simulators' addresses; no rates, for a clock that stands still keeps them."""
    env = {
        key: _with_address(str(text), name)
        for name, one in _plan()["simulators"].items()
        for key, text in one.get("env", {}).items()
    }
    site = load_site(ROOT, env={**env, "BACKHAUL_ALLOW": THIS_MACHINE})
    connections = {name: replace(one, limits=Limits()) for name, one in site.connections.items()}
    return replace(site, connections=connections)


def _with_address(text: str, simulator: str) -> str:
    return text.replace("{url}", socket(simulator)[1]) if "{url}" in text else text
