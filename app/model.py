"""The core values of the hub: frozen, standard library only, no I/O. Ids are text, money is decimal text with its
currency, times are aware UTC; JSON has Decimal where it has fractions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Json = Any
Fault = Literal["config", "data", "remote", "transient"]
Result = Literal["delivered", "retry", "rejected", "in_doubt", "review", "restart"]
EventState = Literal["received", "running", "waiting", "parked", "done", "ignored", "unknown", "unreadable", "dead"]
DeliveryState = Literal["ready", "running", "waiting", "parked", "conflict", "in_doubt", "done", "skipped", "dead"]
AttemptKind = Literal["fetch", "lookup", "probe", "call"]
#: delivered, skipped: it was passed. review: a person has to say; send: one said so. Of a call made before the delivery
#: began again: refused, in_doubt (it may have arrived), made (delivered, not wanted now), undone (so a person says).
CallState = Literal["delivered", "skipped", "refused", "in_doubt", "review", "send", "made", "undone"]

#: States in which nothing is due: somebody must act (`retry`) before the hub looks again.
FINAL_EVENT_STATES = frozenset({"done", "ignored", "unknown", "unreadable", "dead"})
FINAL_DELIVERY_STATES = frozenset({"done", "skipped", "dead"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in the merchant's files, printed as `file:line:column what, what to do`."""

    file: str
    line: int
    column: int
    what: str
    todo: str
    code: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column} " if self.file else ""
        return f"{place}{self.what}" + (f", {self.todo}" if self.todo else "")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One verified inbound message, as the receiver hands it to the ledger. Becomes an event row."""

    event_id: str  # ours: "evt_…"
    connection: str
    vendor_id: str  # dedupe key, unique per connection
    type: str  # the vendor's own word; "" when unreadable
    received_at: datetime
    headers: Mapping[str, str]  # lower-case names; secret-bearing values already masked
    body: bytes  # byte for byte as it came
    state: EventState  # received | ignored | unknown | unreadable
    because: str = ""  # why it is not "received"


@dataclass(frozen=True, slots=True)
class Received:
    """The ledger's answer to a receipt: the id under which the message is kept (the first's, for a duplicate)."""

    event_id: str
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that was turned away at the door; kept without its body in a bounded log."""

    at: datetime
    connection: str
    cause: str  # "bad signature" | "missing signature" | "too large" | "unknown connection" | …


@dataclass(frozen=True, slots=True)
class EventWork:
    """A claimed event."""

    event_id: str
    connection: str
    type: str
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes
    came_from: EventState  # the state it was claimed in; "running" = its worker died
    attempts: int  # this try included
    created_at: datetime
    waits_for: str = ""  # what it was said to wait for when it was put back


@dataclass(frozen=True, slots=True)
class EventFinish:
    """What a worker says of a claimed event. Written only if its token still holds it."""

    event_id: str
    state: EventState
    due_at: datetime | None  # None exactly for final states
    because: str = ""
    fault: Fault | None = None
    document_id: str = ""
    counted: bool = True  # False gives the attempt back: nothing was tried (source paused)
    waits_for: str = ""  # "connection:NAME" when that is paused or its breaker is open; "source": to be asked
    attempts: tuple[Attempt, ...] = ()
    told_at: datetime | None = None  # when `due_at` was said, by the clock of then


# --- documents, changes and references ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Document:
    """The hub's picture of one business object at one moment, from one source. Kept for ever, one row a version."""

    document_id: str  # "doc_…"
    kind: Literal["return", "order"]
    connection: str  # the source
    object_id: str  # the source's own id of the object
    seq: int  # 1, 2, … per (kind, connection, object_id), given by the ledger; 0 before that
    version: str  # sortable text made by `core.documents.version_key`, "" when the source gives none
    observed_at: datetime  # when its content was asked for (fetch started) or received
    body: Json  # the document itself, valid against schemas/return.schema.json
    raw: Json  # the vendor's words it was mapped from: {"payload": …, "detail": …}; or a function that parses them
    event_id: str
    stamp: str  # hash of the files that made it
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is new in a document. `key` is unique for ever per (connection, object)."""

    name: str  # "return.labelled"
    key: str  # "parcel.labelled:p-1"
    data: Json = field(default_factory=dict)  # what routes and mappings see as `change.*`


@dataclass(frozen=True, slots=True)
class Identifier:
    """One number of an object, for search. Strong ones also link documents of several sources into one story."""

    value: str
    kind: str  # "return" | "order" | "tracking" | "barcode" | "event" | "erp order" | …
    strong: bool = False


@dataclass(frozen=True, slots=True)
class ReferenceKey:
    """What is to be translated: the number `id` of `kind`, from one system's numbering to another's."""

    kind: str  # "order"
    from_system: str  # "shop"
    to_system: str  # "erp"
    id: str
    scope: str = ""  # keeps equal numbers of two shops apart

    def __str__(self) -> str:
        scope = f"@{self.scope}" if self.scope else ""
        return f"{self.kind} {self.id} ({self.from_system}{scope} to {self.to_system})"


@dataclass(frozen=True, slots=True)
class Reference:
    """A known translation with where it came from. An answer with several candidates has `state` conflict."""

    key: ReferenceKey
    to_id: str  # "" for a conflict
    origin: Literal["table", "stored", "lookup", "derive", "captured", "event", "manual", "import"]
    at: datetime
    evidence: Json  # {"attempt": "att_…"} | {"file": "…:3"} | {"by": "…"} | {"candidates": […]}
    state: Literal["known", "conflict"] = "known"


# --- deliveries ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One route to be carried out for one change (and one part, when the mapping splits the return)."""

    delivery_id: str  # "dlv_…"
    change_key: str
    route: str
    part: str  # "" or the split's key, for example the order number
    lane: str  # the connection of the first call
    order_key: str  # deliveries with the same one run one after the other; "" = free
    stamp: str
    settle_s: tuple[float, float] | None = None  # waits for a newer picture that takes its place; and at most


@dataclass(frozen=True, slots=True)
class StoredReference:
    """What the ledger knew of a number at a moment: asked for a whole claim at once, before the number is needed."""

    key: ReferenceKey
    reference: Reference | None
    at: float  # on the clock that never runs backwards


@dataclass(frozen=True, slots=True)
class CallRow:
    """What is written of one call of a delivery; of a call still ahead when the delivery began again after it."""

    state: CallState
    answer: Json = None


@dataclass(frozen=True, slots=True)
class DeliveryWork:
    """A claimed delivery with all that is needed to carry it out."""

    delivery_id: str
    route: str
    part: str
    lane: str
    step: int  # index of the call to be made now
    came_from: DeliveryState  # the state it was claimed in; "running" = its worker died
    attempts: int  # this try included
    resends: int  # how often a person asked for a new send; part of the idempotency key
    sent: bool  # an earlier try may have reached the target: probe, or repeat the same key
    created_at: datetime
    parked_at: datetime | None
    because: str  # what was said of it when it was last looked at
    document: Document
    change: Change
    change_id: str
    answers: tuple[Json, ...]  # captured answers of the steps already done; None for one that was skipped
    calls: Mapping[int, CallRow] = field(default_factory=dict)  # what is written of its calls, by step
    stored: dict[str, StoredReference] = field(default_factory=dict)  # by the name that the mapping gives it
    made_at: datetime | None = None  # when it came into the ledger, also where it began again since
    other_keys: bool = False  # what may have been sent went out under other idempotency keys: the ledger was put back


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try came to, and who must act if it failed."""

    result: Result
    because: str
    fault: Fault | None = None
    status: int | None = None
    retry_after_s: float | None = None
    pause: bool = False  # the connection's credentials were refused: stop calling it, say so


@dataclass(frozen=True, slots=True)
class Request:
    """One outbound request, ready to send. `body` is what will be encoded as JSON; None sends none."""

    connection: str
    operation: str
    method: str
    url: str  # absolute; query included
    headers: Mapping[str, str]  # without credentials: the HTTP adapter adds those last
    body: Json = None
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `body` is parsed JSON where it is JSON, else None; `text` the first 2,000 characters."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    body: Json
    text: str
    took_ms: int


@dataclass(frozen=True, slots=True)
class NoResponse:
    """Why there was no answer. `sent` tells whether the request may have reached the target."""

    kind: Literal["connect", "timeout", "broken", "tls", "too_large", "refused", "barred"]
    what: str
    sent: bool
    took_ms: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one call, as kept. Bodies are whole; credentials never get here."""

    attempt_id: str  # "att_…"
    kind: AttemptKind
    at: datetime  # when it started
    connection: str
    operation: str
    number: int  # 1, 2, … per event or delivery claim
    request: Json  # {"method", "url", "headers", "body"}
    response: Json  # {"status", "headers", "body" | "text"} | {"error", "what"}
    outcome: Outcome
    took_ms: int
    event_id: str = ""  # set for the fetch of an event
    delivery_id: str = ""  # set for lookup, probe, call, and for the fetch that confirms a change
    step: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryFinish:
    """What a worker says of a claimed delivery. Written only if its token still holds it."""

    delivery_id: str
    state: DeliveryState
    due_at: datetime | None  # None exactly for final states
    because: str = ""
    fault: Fault | None = None
    step: int = 0
    lane: str = ""  # "" = unchanged; the next step's connection otherwise
    route: str = ""  # for counting
    sent: bool = False
    waits_for: str = ""  # str(ReferenceKey) when parked or in conflict, "connection:NAME" when that is paused or open
    counted: bool = True  # False gives the attempt back: nothing was tried (paused, deferred)
    attempts: tuple[Attempt, ...] = ()
    references: tuple[Reference, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    idempotency_key: str = ""
    operation: str = ""
    answer: Json = None  # the step's captured answer, once delivered
    call_state: CallState = "delivered"  # what is written of the call that it stood at; only with `operation`
    new_key: bool = False  # what is sent from now on goes out under new idempotency keys
    told_at: datetime | None = None  # as that of `EventFinish`
