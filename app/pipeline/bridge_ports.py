"""What bridges need of the world, as small protocols. The adapters fulfil them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from app.core.bridges import BridgeClaim, BridgeFinish, Question
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.pipeline.engine_ports import GateLedger, KeepsTokens, SendsHttp
from app.pipeline.ports import PipelineLedger


class CountingTransaction(Protocol):
    """The part of a transaction that counts."""

    def count(self, amounts: Mapping[tuple[str, str], float], shard: str) -> None:
        """Add to counters."""


class BridgeKeeper(Protocol):
    """The part of the ledger that keeps questions. Every method raises `LedgerUnavailable`."""

    def claim_bridge(self, question: Question, token: str, lease_s: float, /) -> BridgeClaim:
        """Take a question with a key to answer it, or learn that somebody does, or what the answer is."""

    def finish_bridge(self, token: str, finish: BridgeFinish, /) -> bool:
        """Write how far it came; False when the token no longer holds it."""

    def keep_bridge(self, question: Question, finish: BridgeFinish, /) -> None:
        """Keep a question without a key, now that it is over."""


class BridgeLedger(GateLedger, PipelineLedger, BridgeKeeper, Protocol):
    """All of the ledger that bridges use."""


class CountingLedger(Protocol):
    """The part of the ledger that keeps counters."""

    def write(self) -> AbstractContextManager[CountingTransaction]:
        """A transaction."""


class BridgeServices(Protocol):
    """What a process that answers questions is given."""

    @property
    def site(self) -> Site:
        """The compiled files."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def ids(self) -> Ids:
        """New ids."""

    @property
    def ledger(self) -> BridgeLedger:
        """The ledger."""

    @property
    def http(self) -> SendsHttp:
        """The way out."""

    @property
    def tokens(self) -> KeepsTokens | None:
        """Where processes share the tokens of their logins."""

    @property
    def hide(self) -> Callable[[str, str], object]:
        """Tells the log of a secret that came later."""
