"""What bridges need of the world, as small protocols. The adapters fulfil them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from app.core.bridges import BridgeClaim, BridgeFinish, Question
from app.pipeline.engine_ports import CallingServices, GateLedger
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


class BridgeServices(CallingServices, Protocol):
    """What a process that answers questions is given."""

    @property
    def ledger(self) -> BridgeLedger:
        """The ledger."""
