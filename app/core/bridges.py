"""Bridges: somebody asks over HTTP, and the hub answers in the same request from other systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.core.expressions import Value, Where
from app.core.routing import RouteCall, RouteTest
from app.model import Attempt, Identifier, Json, Reference

DEADLINE_S = 8.0


@dataclass(frozen=True, slots=True)
class BridgeDoor:
    """The part of a connector that says how its questions are verified, and how it wants to be told of errors."""

    verify: Mapping[str, Json]  # raw scheme; rendered per connection
    error: Value | None = None  # the body of an error; names: status, code, message, id


@dataclass(frozen=True, slots=True)
class Empty:
    """The answer when what was asked for is not there."""

    status: int = 200
    body: Value | None = None  # names: request, settings (those of the one who asks)


@dataclass(frozen=True, slots=True)
class Bridge:
    """One question that the hub answers: the calls to make, in order, and what to make of their answers."""

    name: str
    source: str  # the connection that asks
    path: str  # behind /bridge/<source>/
    where: Where
    calls: tuple[RouteCall, ...]  # names of `when`: request, answers, settings (the target's), delivery
    answer: str  # a mapping with body; names: request, answers, settings (those of the one who asks)
    deadline_s: float = DEADLINE_S  # over all calls
    once: Value | None = None  # what tells questions apart that get one answer; names: request
    empty: Empty | None = None
    trace: tuple[Value, ...] = field(default=())  # numbers to find it by; names: request
    tests: tuple[RouteTest, ...] = field(default=())


# --- what the ledger keeps of a question ---------------------------------------------------------

#: waiting: not answered yet, whoever asks again goes on. in_doubt: nobody knows what the call it stands at did.
#: answered is for ever; failed is how a question ends that has no `once`.
BridgeState = Literal["running", "waiting", "in_doubt", "answered", "failed"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it came. `request` is kept: persons in it are masked."""

    id: str  # "brq_…"
    bridge: str
    connection: str
    key: str | None  # what `once` came to
    request: Json
    at: datetime | None = None  # when it came; None: when it is kept


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call that was passed. `made` is false when its `when` left it out."""

    made: bool
    answer: Json = None


@dataclass(frozen=True, slots=True)
class BridgeClaim:
    """What the ledger says to a question: it is this one's to answer now, somebody else's, or answered."""

    state: Literal["mine", "busy", "answered"]
    id: str  # that of the first that asked it
    calls: tuple[CallMade, ...] = ()
    sent: bool = False  # the call after those may have reached its target
    tries: int = 0  # how often calls were made for it so far
    status: int = 0
    answer: str = ""


@dataclass(frozen=True, slots=True)
class BridgeFinish:
    """How far a question came. While it is `running` it stays with who holds it."""

    id: str
    state: BridgeState
    because: str = ""
    calls: tuple[CallMade, ...] = ()
    sent: bool = False
    status: int = 0
    answer: str = ""
    attempts: tuple[Attempt, ...] = ()
    references: tuple[Reference, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
