"""The plan that `backhaul demo` plays: `config/demo.yaml` of the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ConfigError
from app.model import Json, Problem

FILE = "config/demo.yaml"


@dataclass(frozen=True, slots=True)
class SimulatorPlan:
    """One simulated vendor: `python -m connectors.<connector>.simulator` with these options."""

    name: str
    connector: str
    options: tuple[str, ...]
    env: Mapping[str, str]  # what the site's ${…} shall be; {url} is the simulator's address


@dataclass(frozen=True, slots=True)
class Plan:
    """A demo: start the simulators, seed them, let one send, wait for another to have received, tell the story."""

    title: str
    simulators: tuple[SimulatorPlan, ...]
    seed: Mapping[str, Json]  # by simulator
    sender: str
    message: Mapping[str, Json]
    receiver: str
    operation: str
    count: int
    what: str  # what is counted, for people
    trace: str


def read_plan(site: Path) -> Plan:
    """The site's plan. Raises `ConfigError` when there is none, or when something in it is missing."""
    import yaml

    path = site / FILE
    try:
        value: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Plan(
            title=str(value["title"]),
            simulators=tuple(
                SimulatorPlan(
                    name,
                    str(one["connector"]),
                    tuple(str(option) for option in one.get("options", ())),
                    {key: str(text) for key, text in one.get("env", {}).items()},
                )
                for name, one in value["simulators"].items()
            ),
            seed=value.get("seed") or {},
            sender=str(value["send"]["simulator"]),
            message=value["send"]["value"],
            receiver=str(value["wait"]["simulator"]),
            operation=str(value["wait"]["operation"]),
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
