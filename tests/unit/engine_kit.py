"""What the tests of the engine build with: connections, operations, sites, events in a real ledger."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.adapters.system import SystemClock, SystemIds
from app.core.connectors import Connection, Connector, Limits, Operation, SettingSpec
from app.core.expressions import Environment, Value
from app.core.site import BreakerPolicy, Hub, Site
from app.core.source import Where
from app.model import Receipt

WHERE = Where("connectors/acme/connector.yaml", 7, 3)
NAMES = frozenset({"args", "body", "settings", "status", "request", "page", "item"})


def value(node: Any) -> Value:
    """A compiled value."""
    return Environment().compile_value(node, where=WHERE, names=NAMES)


def operation(method: str = "POST", path: str = "/returns", **more: Any) -> Operation:
    """An operation named `announce`."""
    return Operation("announce", method, value(path), WHERE, **more)


def connection(
    *operations: Operation, base_url: str = "https://api.acme.example/v2/", limits: Limits | None = None, **more: Any
) -> Connection:
    """A connection `acme_eu` to a connector with these operations."""
    specs = {"base_url": SettingSpec(required=True), "token": SettingSpec(secret=True), "tenant": SettingSpec()}
    named = {found.name: found for found in operations}
    connector = Connector("acme", Path("."), WHERE, settings=specs, operations=named, **more)
    settings = {"base_url": base_url, "token": "s3cret", "tenant": "a b"}
    return Connection("acme_eu", connector, WHERE, "acme_eu", settings, limits or Limits())


def site(*connections: Connection, hub: Hub | None = None) -> Site:
    """A site with these connections and nothing else."""
    named: Mapping[str, Connection] = {found.name: found for found in connections}
    return Site(Path("."), "0" * 64, {}, hub or Hub(), {}, named, {}, {}, {}, ())


def small_hub(**more: Any) -> Hub:
    """A hub with short times."""
    return replace(Hub(lease_s=2.0, threads=8, breaker=BreakerPolicy(failures=3, open_s=30.0)), **more)


def receipts(connection: str, count: int, first: int = 0) -> list[Receipt]:
    """Messages of a connection, numbered."""
    ids, clock = SystemIds(), SystemClock()
    return [
        Receipt(ids.new("evt"), connection, f"v{number}", "return.labelled", clock.now(), {}, b"{}", "received")
        for number in range(first, first + count)
    ]


def rng() -> random.Random:
    """Randomness that is the same each time."""
    return random.Random(7)


def until(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait for something that other threads bring about; False when it did not come."""
    import time

    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return condition()
