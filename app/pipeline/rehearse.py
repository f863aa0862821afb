"""The way of an event without network and ledger: for `try` and for the YAML cases of connectors and mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.core import references as files
from app.core.changes import DIFFERS, kind_of
from app.core.connectors import Connection, Connector, Inbound, Operation, SettingSpec
from app.core.jsontext import dumps
from app.core.mapping import MappingFile, ReferenceUse
from app.core.masking import Masker
from app.core.routing import Route, RouteCall, delivery_view, match, wanted
from app.core.signatures import Verdict, build
from app.core.site import Site
from app.errors import DataError
from app.model import Change, Document, Json, Request
from app.pipeline.receive import Door, Read, read_message
from app.pipeline.request import build_request, find_operation
from app.pipeline.route import names_for, split_items

#: Gives a mapping's reference as text.
Resolve = Callable[[ReferenceUse, Mapping[str, Any]], str]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_KEY = "<idempotency key>"
_DELIVERY = "dlv_rehearsed"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One call of a route as it would be made: the request, what is wrong with its body, and what was assumed.

    Without a request the call is left out, because its `when` does not hold.
    """

    connection: str
    operation: str
    mapping: str
    part: str
    request: Request | None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """What a vendor's message is: as the receiver reads it, then as reading it ends."""

    read: Read
    kind: str = ""  # "return" or "order"
    body: Json = None  # the document; None when the message makes none
    faults: tuple[str, ...] = ()  # where the document breaks its schema


@dataclass(slots=True)
class Known:
    """References resolved without asking anybody."""

    site: Site
    given: Mapping[str, str]
    notes: list[str] = field(default_factory=list)

    def resolve(self, use: ReferenceUse, names: Mapping[str, Any]) -> str:
        """The number from --ref, tables or derive; else words that say what would be asked."""
        wanted = str(use.id.render(names, f"references.{use.name}.id"))
        for name in (f"{use.kind}:{wanted}", use.name, use.kind):
            if name in self.given:
                return self.given[name]
        file = self.site.references[use.kind, use.from_system, use.to_system]
        asks = []
        for step in file.steps:
            match step:
                case files.Table(name=name) if wanted in self.site.tables[name]:
                    return str(self.site.tables[name][wanted])
                case files.Derive(value=value):
                    return str(value.render({"id": wanted, "scope": ""}, "derive"))
                case files.Stored():
                    asks.append("the cross-references")
                case files.Lookup(connection=connection, operation=operation):
                    asks.append(f"{connection}.{operation}")
        said = f"{use.kind} {wanted} ({use.from_system} to {use.to_system})"
        self.notes.append(f"{said} would be looked up in {', then '.join(asks) or 'nothing'}, else: {file.missing}")
        return f"<{said}>"


def read_event(
    site: Site, connection: Connection, payload: Json, detail: Json = None, headers: Mapping[str, str] | None = None
) -> Message:
    """What the hub would make of a message. `detail` is the answer of the connector's fetch, None when not at hand.

    Raises `DataError` when an expression fails.
    """
    inbound = connection.connector.inbound
    if inbound is None:
        raise DataError(f"connector {connection.connector.name} receives nothing")
    settings = connection.public_settings
    door = Door(inbound, build({"scheme": "none"}), settings, Masker())
    read = read_message(door, headers or {}, dumps(payload), Verdict(True))
    if read.state != "received":
        return Message(read)
    event = {"id": "evt_rehearsed", "type": read.type, "received_at": _NOW}
    names: dict[str, Any] = {"payload": payload, "settings": settings, "event": event}
    for rule in inbound.skip:
        if rule.when.render(names, "inbound.skip"):
            return Message(Read("ignored", read.type, read.vendor_id, rule.because))
    if inbound.fetch and (not inbound.fetch.when or inbound.fetch.when.render(names, "inbound.fetch.when")):
        if detail is None:
            return Message(read, inbound.types[read.type])
        names[inbound.fetch.name] = detail
        if inbound.fetch.ready and not inbound.fetch.ready.render(names, "inbound.fetch.ready"):
            return Message(Read("waiting", read.type, read.vendor_id, "what was fetched is not complete yet"))
    return _document(site, inbound, read, names)


def _document(site: Site, inbound: Inbound, read: Read, names: dict[str, Any]) -> Message:
    kind = inbound.types[read.type]
    mapping = site.mappings[inbound.mapping]
    assert mapping.document is not None
    body = mapping.document.render(names, "document")
    faults = site.validators[kind].errors(body) if kind in site.validators else []
    return Message(read, kind, body, tuple(faults))


def change_of(route: Route, before: Json, body: Json, source: str, key: str = "") -> Change:
    """The change of a document that the route takes, the first one or that with the key. Raises `DataError`."""
    found = DIFFERS[route.kind](before, body)
    for change in found:
        if key in ("", change.key) and match([route], change, body, source):
            return change
    names = ", ".join(change.key for change in found) or "none"
    raise DataError(
        f"the route wants no change of this document; it has {names}",
        where=str(route.where),
        todo="look at the route's `change`, `source` and `when`, or give the document known before",
    )


def rehearse(
    site: Site,
    route: Route,
    body: Json,
    change: Change,
    source: str,
    given: Mapping[str, str],
    answers: Sequence[Json] = (),
) -> Iterator[Rehearsed]:
    """Every request that the route would make for a change of a document, in order.

    `given` are references by name, by kind, or by "kind:number"; `answers` what the calls are answered, in order.
    Raises `DataError` when an expression fails.
    """
    document = _as_document(body, change, source)
    known: list[Json] = []
    for step, call in enumerate(route.calls):
        try:
            rehearsed = list(_rehearse_call(site, route, call, step, document, change, given, known))
        except DataError as error:
            if step <= len(answers):
                raise
            raise DataError(str(error), todo="say what the calls before it are answered") from None
        yield from rehearsed
        # What a call is answered is not known here, unless somebody says it.
        answer = answers[step] if step < len(answers) else {}
        known.append(None if rehearsed[0].request is None else answer)


def _rehearse_call(
    site: Site,
    route: Route,
    call: RouteCall,
    step: int,
    document: Document,
    change: Change,
    given: Mapping[str, str],
    answers: list[Json],
) -> Iterator[Rehearsed]:
    mapping, connection = site.mappings[call.mapping], site.connections[call.connection]
    operation = find_operation(connection, call.operation)
    key = f"{_DELIVERY}.{step}"
    names = names_for(document, change)
    names |= {"answers": answers, "settings": connection.public_settings, "delivery": delivery_view(_DELIVERY, key)}
    if not wanted(call, step + 1, names):
        yield Rehearsed(call.connection, call.operation, call.mapping, "", None)
        return
    parts = split_items(mapping, names) if mapping.split else {"": None}
    for part, item in parts.items():
        known = Known(site, given, _asked_first(site, route, operation, step, document.connection))
        if mapping.split:
            names[mapping.split.name] = item
        args, rendered = render_call(mapping, names, known.resolve)
        request = build_request(connection, operation, args, rendered, _KEY)
        faults = tuple(body_faults(operation, rendered))
        yield Rehearsed(call.connection, call.operation, call.mapping, part, request, faults, tuple(known.notes))


def _asked_first(site: Site, route: Route, operation: Operation, step: int, source: str) -> list[str]:
    notes = []
    told = site.connections.get(source)
    inbound = told.connector.inbound if told else None
    if route.confirm and step == 0 and inbound and inbound.read:
        change = " or ".join(route.changes)
        notes.append(f"{source}.{inbound.read.operation} is asked first whether {change} still holds")
    if operation.probe and operation.probe.before:
        notes.append(f"{operation.probe.operation} looks first whether it is there already")
    return notes


def render_call(mapping: MappingFile, names: dict[str, Any], resolve: Resolve) -> tuple[Json, Json]:
    """(args, body) of a mapping; `resolve(use, names)` gives each of its references as text."""
    names["refs"] = {use.name: resolve(use, names) for use in mapping.references}
    args = mapping.args.render(names, "args") if mapping.args else {}
    return args, mapping.body.render(names, "body") if mapping.body else None


def body_faults(operation: Operation, body: Json) -> list[str]:
    """Where a body breaks the operation's schema."""
    return operation.body_schema.errors(body) if operation.body_schema else []


def example_connection(connector: Connector, settings: Mapping[str, Json] | None = None) -> Connection:
    """A connection with the connector's own defaults and examples, for cases that belong to no merchant."""
    values = {name: _example(name, spec) for name, spec in connector.settings.items()}
    return Connection(
        name=connector.name,
        connector=connector,
        where=connector.where,
        system=connector.name,
        settings={**values, **(settings or {})},
        limits=connector.limits,
    )


def _example(name: str, spec: SettingSpec) -> Json:
    if spec.default is not None:
        return spec.default
    if spec.example is not None:
        return spec.example
    return "https://api.example.com" if name.endswith("url") else f"example-{name}"


def _as_document(body: Json, change: Change, source: str) -> Document:
    return Document(
        document_id="doc_rehearsed",
        kind="order" if kind_of(change.name) == "order" else "return",
        connection=source,
        object_id=str(body.get("id")),
        seq=1,
        version="",
        observed_at=_NOW,
        body=body,
        raw={},
        event_id="evt_rehearsed",
        stamp="",
    )
