"""A small site, clock and services for the tests of the door; the ledger is a real one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.adapters.ledger import Ledger, open_ledger
from app.adapters.system import SystemIds
from app.core.connectors import Connection, Connector, Inbound
from app.core.expressions import Value, compile_value
from app.core.site import Hub, Site
from app.core.source import Where
from app.errors import LedgerUnavailable
from app.model import Receipt, Received
from tests.support import HandClock

#: When a `HandClock` starts.
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRET = "door-secret"
TOKEN = "door-api-token"
VERIFY = {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": SECRET}
HERE = Where("connector.yaml", 1, 1)


def value(text: Any) -> Value:
    """A compiled expression over what inbound expressions may name."""
    return compile_value(text, where=HERE, names=frozenset({"payload", "headers", "settings"}))


INBOUND = Inbound(
    verify=VERIFY,
    event_id=value("{{ payload.event }}:{{ payload.data.id }}"),
    event_type=value("{{ payload.event }}"),
    types={"return.created": "return"},
    mapping="shop.to_return",
    ack_status=202,
    ack_unreadable=422,
    ignore=frozenset({"ping"}),
)


def connection(name: str, inbound: Inbound | None, verify: Mapping[str, Any] | None, **more: Any) -> Connection:
    """A connection of a connector of its own."""
    connector = Connector(
        name=f"{name}_api", folder=Path("."), where=HERE, inbound=inbound, personal=frozenset({"nick"})
    )
    return Connection(name=name, connector=connector, where=HERE, system=name, verify=verify, **more)


def make_site(*connections: Connection, **hub: Any) -> Site:
    """A site of these connections; by default one that receives and one that does not."""
    known = connections or (
        connection("shop", INBOUND, VERIFY, secret_values=frozenset({SECRET})),
        connection("wms", None, None),
    )
    return Site(
        root=Path("."),
        stamp="0" * 64,
        files={},
        hub=replace(Hub(api_token=TOKEN), **hub),
        connectors={one.connector.name: one.connector for one in known},
        connections={one.name: one for one in known},
        mappings={},
        references={},
        tables={},
        routes=(),
    )


class Faulty:
    """The real ledger, with a switch that takes it away and a gate that holds its writer up."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.gone = False
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.entered = threading.Event()
        self.poison = ""

    def __getattr__(self, name: str) -> Any:
        if self.gone:
            raise LedgerUnavailable("switched off by the test")
        return getattr(self._ledger, name)

    def receive(self, receipts: Sequence[Receipt], more: Callable[[], Sequence[Receipt]] = tuple) -> list[Received]:
        self.entered.set()
        self.gate.wait(10)
        if self.gone:
            raise LedgerUnavailable("switched off by the test")
        receipts = [*receipts, *more()]
        if self.poison and any(one.vendor_id == self.poison for one in receipts):
            raise ValueError("this one cannot be kept")
        self.batches.append(len(receipts))
        return self._ledger.receive(receipts)


class Bell:
    """Notes the lanes that were woken."""

    def __init__(self) -> None:
        self.lanes: list[str] = []
        self.rung = threading.Event()
        self.broken = False

    def wake(self, lane: str) -> None:
        self.lanes.append(lane)
        self.rung.set()
        if self.broken:
            raise ConnectionError("Redis is away")


@dataclass
class Services:
    """What the web application is given."""

    site: Site
    ledger: Any
    clock: HandClock = field(default_factory=HandClock)
    ids: SystemIds = field(default_factory=SystemIds)
    wakes: Bell | None = field(default_factory=Bell)


@contextmanager
def opened(migrated: Path, folder: Path, clock: HandClock) -> Iterator[Faulty]:
    """A fresh SQLite ledger, copied from a migrated one."""
    path = folder / "door.db"
    shutil.copy(migrated, path)
    ledger = open_ledger(f"sqlite:///{path}", clock=clock)
    try:
        yield Faulty(ledger)
    finally:
        ledger.close()
