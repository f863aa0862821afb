"""Receive: a message at the door is judged, kept, and only then acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from typing import Any, Protocol

import structlog

from app.core.connectors import Inbound
from app.core.jsontext import loads
from app.core.masking import Masker
from app.core.ports import Clock, Ids
from app.core.signatures import Scheme, Verdict, build
from app.core.site import Site
from app.errors import ConfigError, DataError, LedgerUnavailable
from app.model import EventState, Json, Problem, Receipt, Received, Rejection
from app.pipeline.turnstile import Turnstile

log = structlog.get_logger()

#: Seconds after which a sender should try again when the ledger cannot be written.
RETRY_AFTER_S = 5
_MAX_WORD = 200


class Receipts(Protocol):
    """Where verified messages are kept."""

    def submit(self, receipt: Receipt, timeout_s: float) -> Received:
        """Keep it; returns once it is committed. Raises LedgerUnavailable when it may not be, or not in time."""

    def reject(self, rejection: Rejection, known: bool) -> None:
        """Note that a request was turned away; never waits, never raises. `known`: the connection is one of ours."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request at the door."""

    connection: str  # as it stands in the path
    method: str
    headers: Mapping[str, str]  # lower-case names
    length: int | None  # what Content-Length says, None for a chunked body
    read: Callable[[int], bytes]  # reads the body, at most so many bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told."""

    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Door:
    """What is needed of one connection to judge its messages."""

    inbound: Inbound
    scheme: Scheme
    settings: Mapping[str, Json]  # without secrets
    masker: Masker  # of the stored headers
    turnstile: Turnstile | None = None  # None: as many as come


@dataclass(frozen=True, slots=True)
class Read:
    """What a message says of itself."""

    state: EventState
    type: str = ""
    vendor_id: str = ""
    because: str = ""


class Receiver:
    """Takes messages in for all connections of a site."""

    def __init__(self, site: Site, receipts: Receipts, clock: Clock, ids: Ids) -> None:
        """Raises ConfigError when a connection's messages could not be verified."""
        self._receipts, self._clock, self._ids = receipts, clock, ids
        self._limit = site.hub.body_limit
        self._doors = _doors(site)
        #: The names of those that receive.
        self.connections = frozenset(self._doors)

    def receive(self, incoming: Incoming) -> Answer:
        """Judge, keep and acknowledge one request."""
        started = self._clock.monotonic()
        door = self._doors.get(incoming.connection)
        if door is None:
            return self._reject(incoming, 404, "unknown connection", known=False)
        if incoming.method != "POST":
            return self._reject(incoming, 405, "wrong method", {"Allow": "POST"})
        # Before anything that costs: no byte of the body is read, nothing is verified.
        if door.turnstile is not None and (wait := door.turnstile.take(started)):
            return self._reject(incoming, 429, "too many", {"Retry-After": str(ceil(wait))})
        if (incoming.length or 0) > self._limit:
            return self._reject(incoming, 413, "too large")
        body = incoming.read(self._limit + 1)
        if len(body) > self._limit:
            return self._reject(incoming, 413, "too large")
        if incoming.length is not None and len(body) < incoming.length:
            return self._reject(incoming, 400, "cut off")
        now = self._clock.now()
        verdict = door.scheme.verify(incoming.headers, body, now)
        if not verdict.ok:
            challenge = {"WWW-Authenticate": door.scheme.challenge} if door.scheme.challenge else {}
            return self._reject(incoming, 401, verdict.cause, challenge)
        read = read_message(door, incoming.headers, body, verdict)
        receipt = Receipt(
            event_id=self._ids.new("evt"),
            connection=incoming.connection,
            vendor_id=read.vendor_id,
            type=read.type,
            received_at=now,
            headers=door.masker.headers(incoming.headers, door.scheme.secret_headers),
            body=body,
            state=read.state,
            because=read.because,
        )
        try:
            received = self._receipts.submit(receipt, door.inbound.ack_within_s)
        except LedgerUnavailable as error:
            log.error("ledger.unavailable", connection=incoming.connection, error=str(error))
            return self._reject(incoming, 503, "ledger unavailable", {"Retry-After": str(RETRY_AFTER_S)})
        log.info(
            "event.received",
            event_id=received.event_id,
            connection=incoming.connection,
            type=read.type,
            state=read.state,
            duplicate=received.duplicate,
            bytes=len(body),
            ms=round((self._clock.monotonic() - started) * 1000, 1),
        )
        unreadable = read.state == "unreadable"
        status = door.inbound.ack_unreadable if unreadable else door.inbound.ack_status
        return Answer(status, {"event": received.event_id})

    def _reject(
        self,
        incoming: Incoming,
        status: int,
        cause: str,
        headers: Mapping[str, str] | None = None,
        *,
        known: bool = True,
    ) -> Answer:
        connection = clean(incoming.connection)[:100]
        self._receipts.reject(Rejection(self._clock.now(), connection, cause), known)
        log.warning("event.rejected", connection=connection, cause=cause, status=status)
        return Answer(status, {"error": {"code": cause.replace(" ", "_"), "message": cause}}, headers or {})


def read_message(door: Door, headers: Mapping[str, str], body: bytes, verdict: Verdict) -> Read:
    """What a verified message is: its type, its id, and whether it can be worked with. Never raises for bad data."""
    inbound = door.inbound
    try:
        names: dict[str, Any] = {"payload": loads(body), "headers": headers, "settings": door.settings}
        word = event_type(inbound, names)
    except DataError as error:
        encoding = headers.get("content-encoding", "identity")
        hint = "" if encoding == "identity" else f" (content-encoding {encoding[:20]} is not understood)"
        return Read("unreadable", vendor_id=verdict.vendor_id or _id_of(body), because=clean(str(error) + hint)[:500])
    own_id = ""
    with suppress(DataError):
        own_id = _key(_word(inbound.event_id.render(names, "inbound.event_id")))
    own_id = own_id or verdict.vendor_id or _id_of(body)
    shown = clean(word)[:_MAX_WORD]
    if word in inbound.types:
        return Read("received", word, own_id)
    if word in inbound.ignore:
        return Read("ignored", word, own_id, "the connector ignores this type")
    return Read("unknown", shown, own_id, f"event type {shown!r} is not known: name it under types or ignore")


def event_type(inbound: Inbound, names: Mapping[str, Any]) -> str:
    """The vendor's word for what a message tells. Raises `DataError` when it has none."""
    payload = names["payload"]
    if not isinstance(payload, dict):
        raise DataError(f"the JSON is {_kind(payload)}, not an object")
    word = _word(inbound.event_type.render(names, "inbound.event_type"))
    if not word:
        raise DataError("the event type is empty", path="inbound.event_type")
    return word


def clean(text: str) -> str:
    """A text that every database takes: without NUL, control signs and halves of surrogate pairs."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _doors(site: Site) -> dict[str, Door]:
    doors: dict[str, Door] = {}
    faults: list[Problem] = []
    for name, connection in site.connections.items():
        inbound = connection.connector.inbound
        if inbound is None or not inbound.webhooks:
            continue
        try:
            scheme = build(connection.verify)
        except ConfigError as error:
            faults += [
                Problem(connection.where.file, connection.where.line, connection.where.column, what, "", "signature")
                for what in (f"connection {name!r}: {problem.what}" for problem in error.problems)
            ]
            continue
        masker = Masker((), connection.secret_values)
        turnstile = Turnstile(connection.inbound_rate) if connection.inbound_rate else None
        doors[name] = Door(inbound, scheme, connection.public_settings, masker, turnstile)
    if faults:
        raise ConfigError(faults)
    return doors


def _word(value: Any) -> str:
    """A text or whole number as text; anything else is no name for a thing."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _key(text: str) -> str:
    """A dedupe key of bounded length that every database takes, equal exactly for equal ids."""
    if len(text) <= _MAX_WORD and text.isprintable():
        return text
    return f"id:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _id_of(body: bytes) -> str:
    """A message without an id of its own is told apart by its bytes."""
    return f"body:{sha256(body).hexdigest()}"


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    return {list: "a list", str: "a text", bool: "true or false"}.get(type(value), "a number")
