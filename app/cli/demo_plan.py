"""The plan that `backhaul demo` plays: `config/demo.yaml` of the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.times import seconds
from app.errors import ConfigError
from app.model import Json, Problem

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
class Plan:
    """A demo: start the simulators, seed them, let one send, wait for another to have received, tell the story."""

    title: str
    site: str  # the folder of the site that it plays, from the project's; "" = the one given with --site
    simulators: tuple[SimulatorPlan, ...]
    seed: Mapping[str, Json]  # by simulator
    sender: str
    message: Mapping[str, Json]
    receiver: str  # the simulator that shall have received something; "" = the ledger is asked for a route
    operation: str
    route: str
    count: int
    what: str  # what is counted, for people
    trace: str


def read_plan(site: Path, file: str = FILE) -> Plan:
    """The site's plan `file`. Raises `ConfigError` when there is none, or when something in it is missing."""
    import yaml

    path = site / file
    try:
        value: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Plan(
            title=str(value["title"]),
            site=str(value.get("site", "")),
            simulators=tuple(
                SimulatorPlan(
                    name,
                    str(one.get("module") or f"connectors.{one['connector']}.simulator"),
                    tuple(str(option) for option in one.get("options", ())),
                    {key: str(text) for key, text in one.get("env", {}).items()},
                    seconds(str(one["patience"])) if "patience" in one else _PATIENCE_S,
                )
                for name, one in value["simulators"].items()
            ),
            seed=value.get("seed") or {},
            sender=str(value["send"]["simulator"]),
            message=value["send"]["value"],
            receiver=str(value["wait"].get("simulator", "")),
            operation=str(value["wait"].get("operation", "")),
            route=str(value["wait"].get("route", "")),
            count=int(value["wait"]["count"]),
            what=str(value["wait"]["what"]),
            trace=str(value["trace"]),
        )
    except OSError:
        raise ConfigError([Problem(str(path), 1, 1, "there is no demo to play", "copy the project's own")]) from None
    except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as error:
        what = f"cannot be played: {type(error).__name__} {error}"
        raise ConfigError([Problem(str(path), 1, 1, what, "compare it with the project's own")]) from None


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
