"""What tasks for a person are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.model import Change, DeliveryState, Json


@dataclass(frozen=True, slots=True)
class Carried:
    """A fact of an object with one delivery that was made for it."""

    change: Change
    delivery_id: str
    route: str
    lane: str
    state: DeliveryState
    step: int  # index of the call that it stands at
    sent: bool  # a try of that call may have reached the target


@dataclass(frozen=True, slots=True)
class NewTask:
    """Something that only a person can settle. Raised once for ever per object and `key`."""

    task_id: str  # "tsk_…"
    #: "law": numbers that cannot be | "reversal": a fact was acted upon and then taken back | "label": none was made
    kind: str
    key: str
    because: str  # what happened, as a sentence
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that nobody has settled yet."""

    task_id: str
    key: str
    data: Json
