"""A site: everything that the merchant's files say, compiled once, and the hash of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.core.bridges import Bridge
from app.core.connectors import Connection, Connector
from app.core.mapping import MappingFile
from app.core.masking import Masker
from app.core.networks import Allow
from app.core.references import ReferenceFile
from app.core.routing import Route
from app.core.validation import Validator


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a call that failed for the moment is made again: exponential, with jitter. Times in seconds."""

    first_s: float = 5.0
    factor: float = 2.0
    longest_s: float = 3600.0
    give_up_after_s: float = 259_200.0


@dataclass(frozen=True, slots=True)
class ParkedPolicy:
    """How often the hub itself looks for a missing reference, and when it raises the alarm. Times in seconds."""

    recheck_s: float = 60.0
    longest_s: float = 3600.0
    alarm_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a failing connection is left alone for a while. Times in seconds."""

    failures: int = 5
    open_s: float = 30.0
    longest_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Hub:
    """`config/hub.yaml`, every value with a default."""

    name: str = "backhaul"
    body_limit: int = 2 * 2**20  # bytes of an inbound message
    lease_s: float = 60.0
    retry: RetryPolicy = RetryPolicy()
    parked: ParkedPolicy = ParkedPolicy()
    breaker: BreakerPolicy = BreakerPolicy()
    host: str = "127.0.0.1"
    port: int = 8080
    web_threads: int = 32
    workers: int = 2
    threads: int = 32
    nice: int = 10  # how far workers with PostgreSQL give way to others on the processor: 0 to 19
    api_token: str = field(default="", repr=False)  # "" = only tokens of the ledger open the API
    metrics: Literal["open", "token"] = "open"  # who may read /metrics
    allow: Allow = field(default_factory=Allow)  # what every connection may call although it is not public
    verify_s: float = 86_400.0  # the clock looks through the ledger so often; infinity: never
    retention_s: float = 7_776_000.0  # contents are kept so long; infinity: for ever


@dataclass(frozen=True, slots=True)
class Site:
    """All that the files say. `files` is what `stamp` (sha256, hex) is made of, kept with every new stamp."""

    root: Path
    stamp: str
    files: Mapping[str, str] = field(repr=False)
    hub: Hub
    connectors: Mapping[str, Connector]
    connections: Mapping[str, Connection]
    mappings: Mapping[str, MappingFile]
    references: Mapping[tuple[str, str, str], ReferenceFile]  # (kind, from, to)
    tables: Mapping[str, Mapping[str, str]]
    routes: tuple[Route, ...]
    validators: Mapping[str, Validator] = field(default_factory=dict, repr=False)  # "return", "order" documents
    bridges: tuple[Bridge, ...] = ()

    def masker(self) -> Masker:
        """Hides what any connector of the site calls personal, and every secret of the site."""
        personal = {key for connector in self.connectors.values() for key in connector.personal}
        secrets = {secret for connection in self.connections.values() for secret in connection.secret_values}
        return Masker(personal, secrets | {self.hub.api_token})
