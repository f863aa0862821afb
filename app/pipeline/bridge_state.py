"""How far a question of a bridge came, and how it may end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.core.bridges import Bridge, CallMade
from app.model import Attempt, Identifier, Json, Reference, StoredReference

#: late: the time is over. unavailable: a target cannot be asked now. refused: a target said no. in_doubt: nobody knows
#: what a call did. invalid: the question itself cannot be worked with. faulty: the hub's files cannot.
Trouble = Literal["late", "unavailable", "refused", "in_doubt", "invalid", "faulty"]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer. `final` tells whether it is the same for ever."""

    status: int
    body: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class Stopped:
    """There is no answer now."""

    trouble: Trouble
    because: str  # for the hub's own people
    until: datetime | None = None  # when it is worth asking again, as far as that is known
    restart: bool = False  # it may be begun again at its first call


@dataclass(slots=True)
class Walk:
    """How far a question came, and what was learned on the way. It is what resolvers and probes see of it."""

    delivery_id: str
    bridge: Bridge
    request: Json
    calls: list[CallMade] = field(default_factory=list)
    sent: bool = False  # the call that it stands at may have reached its target
    tries: int = 0  # how often calls were made for it before
    restarts: int = 0
    attempts_made: list[Attempt] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    identifiers: list[Identifier] = field(default_factory=list)
    stored: dict[str, StoredReference] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Index of the call to be made now."""
        return len(self.calls)

    @property
    def attempts(self) -> int:
        """The number of this try."""
        return self.tries + 1

    @property
    def answers(self) -> list[Json]:
        """What the calls answered so far; null for one that was left out."""
        return [call.answer for call in self.calls]

    @property
    def key(self) -> str:
        """The idempotency key of the current call: the same whoever makes it, and whenever."""
        return f"{self.delivery_id}.{self.step}" + (f".{self.restarts}" if self.restarts else "")

    def written(self) -> None:
        """What was learned so far is in the ledger."""
        self.attempts_made, self.references, self.identifiers = [], [], []
