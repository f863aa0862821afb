"""What a run is made of: its options, the messages that vendors send, and what must come of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: One effect at a simulated system, as text made by `effect`: '["announce_return","RMA-7/1004800","SHIRT-M x3"]'. Equal
#: effects have equal keys. The second part is the object, so that a wrong one is told apart from one that was lost.
Effect = str


def effect(operation: str, object_id: str, *details: str) -> Effect:
    """The key of an effect. Every sign of its parts counts; what is not ASCII is escaped, so that it can be seen."""
    return json.dumps([operation, object_id, *details], separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was told."""

    seed: int
    events: int
    seconds: float  # how long the stream lasts; faults fall into it
    faults: tuple[str, ...]  # names of the catalogue
    postgres: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Something changes at a simulated system before the vendor tells of it: POST `value` to its control end point."""

    simulator: str
    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class Message:
    """One message that a vendor sends, again until it is answered with 2xx."""

    source: str  # the connection: /webhooks/<source>
    object_id: str  # the return or order that it is about
    event_id: str  # the vendor's id of it; copies share it
    at_s: float  # when it is sent first, from the start of the stream
    body: bytes
    headers: Callable[[datetime], Mapping[str, str]]  # signs the body for the time of sending
    before: tuple[Ask, ...] = ()  # applied once, before the first try; in the order of at_s for one object
    copies: int = 1  # how often it is sent although it was answered


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as a simulator recorded it."""

    simulator: str
    number: int
    at: float
    ended_at: float
    operation: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int
    effect: str  # what it changed there; "" = nothing
    misbehaved: str = ""  # how it was told to misbehave at this request

    @property
    def key(self) -> str:
        """Its Idempotency-Key, "" without one."""
        return next((value for name, value in self.headers.items() if name.lower() == "idempotency-key"), "")


@dataclass(frozen=True, slots=True)
class Try:
    """One sending of a message, as its sender saw it."""

    source: str
    object_id: str
    event_id: str
    at: float  # seconds since 1970, when it was begun
    took_s: float
    status: int  # 0 = no answer
    error: str = ""  # why there was none
    copy: bool = False  # sent although it was answered before

    @property
    def taken(self) -> bool:
        """Whether the hub said that it has it."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be."""

    kind: str  # lost, twice, wrong, uncalled, order, overlap, outcome; of `compare`: event, due, waiting, …
    what: str  # for people
    object_id: str = ""
    event_id: str = ""
    simulator: str = ""

    def __str__(self) -> str:
        about = ", ".join(text for text in (self.object_id, self.event_id, self.simulator) if text)
        return f"{self.kind}: {self.what}" + (f" ({about})" if about else "")


@dataclass(slots=True)
class SourcePlan:
    """Everything of one source: what is there before, what is sent, and what the systems must hold in the end."""

    name: str
    seeds: list[Ask] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    #: Exactly these effects, each exactly so often. Nothing else may be there with a key of this source.
    expected: Counter[Effect] = field(default_factory=Counter)
    #: The effect that a recorded request had, None when it is none of this source's. Only for requests with effect.
    effect_of: Callable[[Recorded], Effect | None] = lambda recorded: None
    #: (object, rank) of a recorded request with effect: ranks of one object at one simulator never fall.
    rank_of: Callable[[Recorded], tuple[str, int] | None] = lambda recorded: None
    #: The event_ids that must have been answered with 2xx before an effect is demanded.
    needs: dict[Effect, frozenset[str]] = field(default_factory=dict)
    #: Whether a recorded request with effect is this source's though `effect_of` gives none: `check` judges those.
    owns: Callable[[Recorded], bool] = lambda recorded: False
    #: Where several outcomes are legitimate: what is wrong with this source's requests with effect (all that
    #: `effect_of` or `owns` knows, in the order in which they came), given the event_ids that were answered with 2xx.
    check: Callable[[Sequence[Recorded], frozenset[str]], Sequence[Violation]] = lambda recorded, answered: ()
    #: Lines that the site's files must hold for this source, by path: a table's words that a merchant adds.
    site_lines: dict[str, tuple[str, ...]] = field(default_factory=dict)
