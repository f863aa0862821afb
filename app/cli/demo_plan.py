"""The plans that `backhaul demo` plays: `config/demo.yaml` (who plays, which flows) and `config/demo/<flow>.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.core.times import seconds
from app.errors import ConfigError, HubError
from app.model import Json, Problem

T = TypeVar("T")

FILE = "config/demo.yaml"
#: Longer than this no process may take to be ready, unless its plan says so.
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class SimulatorPlan:
    """One vendor: `python -m <module>` with these options; a simulator, or a real system that listens on loopback."""

    name: str
    module: str
    options: tuple[str, ...]
    env: Mapping[str, str]  # what the site's ${…} shall be; {url} is the simulator's address
    patience_s: float = _PATIENCE_S  # a real system may have to be installed first


@dataclass(frozen=True, slots=True)
class Ask:
    """Something happens in the world: a simulator is told to do it."""

    say: str
    simulator: str
    path: str
    value: Json


@dataclass(frozen=True, slots=True)
class Run:
    """A command of the hub, where a person would type it or wait for the clock."""

    say: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Until so much has come of it since the flow began: effects at a simulator, or deliveries of a route done."""

    what: str
    simulator: str  # "" = the ledger is asked for a route
    operation: str
    route: str
    count: int


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow: fill the simulators, go step by step, tell the story of a number."""

    name: str
    title: str
    seed: Mapping[str, Json]  # by simulator
    steps: tuple[Ask | Run | Wait, ...]
    trace: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Who plays, on which site, and the flows in order."""

    title: str
    site: str  # the folder of the site that it plays, from the project's; "" = the one given with --site
    simulators: tuple[SimulatorPlan, ...]
    flows: tuple[Flow, ...]


def read_plan(site: Path, flow: str = "") -> Plan:
    """The whole demo, or one flow of it. A flow's file may bring simulators and a site of its own.

    Raises `HubError` for a flow that there is not, `ConfigError` for a file that cannot be played.
    """
    if not flow:
        whole = _yaml(site, FILE)
        names = [str(name) for name in _part(site, FILE, lambda: list(whole["flows"]))]
        stage = _part(site, FILE, lambda: _simulators(whole))
        title = _part(site, FILE, lambda: str(whole["title"]))
        return Plan(title, "", stage, tuple(_flow(site, name)[0] for name in names))
    if flow not in (known := flows(site)):
        raise HubError(f"there is no flow {flow!r} to play; there is {', '.join(known) or 'none in config/demo'}")
    played, value = _flow(site, flow)
    file = FILE if "simulators" not in value else _file(flow)
    own = value if "simulators" in value else _yaml(site, FILE)
    return Plan(played.title, str(value.get("site", "")), _part(site, file, lambda: _simulators(own)), (played,))


def flows(site: Path) -> list[str]:
    """The names of the flows that a site can play."""
    return sorted(path.stem for path in (site / "config" / "demo").glob("*.yaml"))


def fill(value: Json, names: Mapping[str, str]) -> Json:
    """A copy of a JSON value with {name} replaced in its texts."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, dict):
        return {key: fill(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    return value


def _file(flow: str) -> str:
    return f"config/demo/{flow}.yaml"


def _flow(site: Path, name: str) -> tuple[Flow, Mapping[str, Any]]:
    file = _file(name)
    value = _yaml(site, file)

    def read() -> Flow:
        return Flow(
            name=name,
            title=str(value["title"]),
            seed=value.get("seed") or {},
            steps=tuple(_step(one) for one in value["steps"]),
            trace=str(value["trace"]),
        )

    return _part(site, file, read), value


def _step(one: Mapping[str, Any]) -> Ask | Run | Wait:
    if "ask" in one:
        return Ask(str(one["say"]), str(one["ask"]), str(one.get("path", "/_sim/send")), one["value"])
    if "run" in one:
        return Run(str(one.get("say", "")), tuple(str(word) for word in one["run"]))
    wait = one["wait"]
    if bool(wait.get("simulator")) == bool(wait.get("route")):
        raise ValueError("a wait names either a simulator with its operation, or a route")
    return Wait(
        what=str(one["what"]),
        simulator=str(wait.get("simulator", "")),
        operation=str(wait["operation"]) if "simulator" in wait else "",
        route=str(wait.get("route", "")),
        count=int(wait.get("count", 1)),
    )


def _simulators(value: Mapping[str, Any]) -> tuple[SimulatorPlan, ...]:
    return tuple(
        SimulatorPlan(
            name,
            str(one.get("module") or f"connectors.{one['connector']}.simulator"),
            tuple(str(option) for option in one.get("options", ())),
            {key: str(text) for key, text in one.get("env", {}).items()},
            seconds(str(one["patience"])) if "patience" in one else _PATIENCE_S,
        )
        for name, one in value["simulators"].items()
    )


def _yaml(site: Path, file: str) -> Mapping[str, Any]:
    import yaml

    path = site / file
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError([Problem(str(path), 1, 1, "there is no demo to play", "copy the project's own")]) from None
    except yaml.YAMLError as error:
        raise _unplayable(path, error) from None
    if not isinstance(value, dict):
        raise _unplayable(path, ValueError("it is no mapping"))
    return value


def _part(site: Path, file: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _unplayable(site / file, error) from None


def _unplayable(path: Path, error: Exception) -> ConfigError:
    what = f"cannot be played: {type(error).__name__} {error}"
    return ConfigError([Problem(str(path), 1, 1, what, "compare it with the project's own")])
