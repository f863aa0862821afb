"""What the API's answers look like, as JSON Schemas: one for each kind of row, with the model's own words as enums."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from app.core.api_tokens import ROLES
from app.model import AttemptKind, CallState, DeliveryState, EventState, Fault, Json, Reference, Result

Schema = dict[str, Any]

#: The states of a task, and what an entry of a story can tell.
TASK_STATES = ("open", "closed")
ENTRIES = (
    *("question", "event", "fetch", "document", "change", "task"),
    *("route", "lookup", "reference", "probe", "call", "act", "end"),
)
_KINDS = ("return", "order")


def words(literal: Any) -> Schema:
    """One of the words of a `Literal` of the model, or of a list."""
    return {"type": "string", "enum": list(get_args(literal) or literal)}


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    made = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        made["enum"] = [*schema["enum"], None]
    return made


def ref(name: str) -> Schema:
    """Another schema of the description."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def record(what: str, /, **fields: Schema) -> Schema:
    """An object that has at least these fields; later versions may add some."""
    return {"type": "object", "description": what, "required": sorted(fields), "properties": fields}


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time", "description": "UTC, with milliseconds and Z."}
#: Any JSON: a vendor's or the merchant's own words.
ANY: Schema = {}
_STATUS: Schema = {"type": "integer", "minimum": 100, "maximum": 599}


def some_id(prefix: str) -> Schema:
    """An id of the hub's own. What is made of one thing is told apart by a number behind a dot."""
    return {"type": "string", "pattern": f"^{prefix}_[0-9A-Za-z.]+$"}


def _event() -> dict[str, Schema]:
    return {
        "event_id": some_id("evt"),
        "connection": TEXT,
        "vendor_id": {**TEXT, "description": "The vendor's own id; what comes twice under it is kept once."},
        "type": {**TEXT, "description": "The vendor's word for what happened; empty when unreadable."},
        "state": words(EventState),
        "because": TEXT,
        "fault": maybe(words(Fault)),
        "tries": COUNT,
        "due_at": maybe(TIME),
        "claimed_at": maybe(TIME),
        "received_at": TIME,
        "updated_at": TIME,
        "waits_for": maybe(TEXT),
        "document_id": maybe(TEXT),
    }


def _delivery() -> dict[str, Schema]:
    return {
        "delivery_id": some_id("dlv"),
        "route": TEXT,
        "part": {**TEXT, "description": "What the mapping split the return by, for example an order number; or empty."},
        "lane": {**TEXT, "description": "The connection of the call that it stands at."},
        "state": words(DeliveryState),
        "because": TEXT,
        "fault": maybe(words(Fault)),
        "step": COUNT,
        "tries": COUNT,
        "resends": COUNT,
        "sent": {**YES_OR_NO, "description": "A try of the call may have reached the target."},
        "due_at": maybe(TIME),
        "claimed_at": maybe(TIME),
        "parked_at": maybe(TIME),
        "created_at": TIME,
        "updated_at": TIME,
        "waits_for": {**maybe(TEXT), "description": "The reference or the connection that it waits for."},
        "order_key": {**maybe(TEXT), "description": "Deliveries with the same one run one after the other."},
        "change_id": some_id("chg"),
        "change": {**TEXT, "description": "The fact that it was made for, as in `return.labelled`."},
        "kind": words(_KINDS),
        "source": {**TEXT, "description": "The connection that told of the object."},
        "object_id": TEXT,
        "document_id": TEXT,
        "stamp": TEXT,
    }


def _attempt() -> dict[str, Schema]:
    return {
        "id": some_id("att"),
        "event_id": maybe(TEXT),
        "delivery_id": maybe(TEXT),
        "step": COUNT,
        "kind": words(AttemptKind),
        "number": COUNT,
        "at": TIME,
        "took_ms": COUNT,
        "connection": TEXT,
        "operation": TEXT,
        "outcome": words(Result),
        "because": TEXT,
        "fault": maybe(words(Fault)),
        "status": maybe(_STATUS),
        "retry_after_s": maybe({"type": "number"}),
        "request": ANY,
        "response": ANY,
    }


def _reference() -> dict[str, Schema]:
    kinds = get_type_hints(Reference)
    return {
        "key": TEXT,
        "kind": TEXT,
        "from_system": TEXT,
        "to_system": TEXT,
        "scope": TEXT,
        "id": TEXT,
        "to_id": {**TEXT, "description": "Empty when several matched."},
        "state": words(kinds["state"]),
        "origin": words(kinds["origin"]),
        "at": TIME,
        "recorded_at": TIME,
        "superseded_at": maybe(TIME),
        "evidence": ANY,
    }


def _story() -> Schema:
    objects = record("An object of a vendor.", kind={"type": "string"}, connection=TEXT, id=TEXT)
    entry = record("One thing that happened.", at=TIME, what=words(ENTRIES), title=TEXT)
    waiting = {"title": TEXT, "id": TEXT, "state": TEXT, "until": maybe(TIME), "waits_for": TEXT, "todo": TEXT}
    return record(
        "Objects that strong numbers link, with all that happened to them, in the order of time.",
        objects=many(objects),
        numbers={"type": "object", "description": "By kind of number.", "additionalProperties": many(TEXT)},
        entries=many(entry),
        open=many(record("What is not over, and what helps.", **waiting)),
    )


def schemas() -> dict[str, Json]:
    """The named schemas of the description."""
    acts = many(ref("Act"))
    attempts = many(ref("Attempt"))
    call = {"delivery_id": TEXT, "step": COUNT, "connection": TEXT, "operation": TEXT, "idempotency_key": TEXT}
    task = {"task_id": some_id("tsk"), "at": TIME, "kind": TEXT, "object_kind": words(_KINDS), "connection": TEXT}
    task |= {"object_id": TEXT, "key": TEXT, "because": TEXT, "data": ANY, "state": words(TASK_STATES)}
    task |= {"closed_at": maybe(TIME), "closed_by": maybe(TEXT), "note": maybe(TEXT)}
    headers: Schema = {"type": "object", "additionalProperties": TEXT}
    whole = {"headers": headers, "body": ANY, "attempts": attempts, "audit": acts}
    carried = {"change_data": ANY, "document": ANY, "event_id": TEXT, "calls": many(ref("Call"))}
    return {
        "Error": record(
            "The one shape of all errors.",
            error=record("What went wrong.", code={**TEXT, "pattern": "^[a-z0-9_]+$"}, message=TEXT),
        ),
        "Event": record("One inbound message.", **_event()),
        "WholeEvent": record("A message with its headers, body, tries and what people did.", **_event(), **whole),
        "Delivery": record("One route carried out for one change.", **_delivery()),
        "WholeDelivery": record(
            "A delivery with its document, calls, tries and what people did.",
            **_delivery(),
            **carried,
            attempts=attempts,
            audit=acts,
        ),
        "Call": record("One call of a delivery.", **call, state=words(CallState), answer=ANY, updated_at=TIME),
        "Attempt": record("One try at one call.", **_attempt()),
        "Act": record("What somebody did by hand.", at=TIME, who=TEXT, act=TEXT, target=TEXT, before=ANY, after=ANY),
        "Task": record("Something that only a person can settle.", **task),
        "Reference": record("The translation of one number, with its origin.", **_reference()),
        "Token": record(
            "A token of a person or a machine; never the token itself.",
            id=some_id("tok"),
            name=TEXT,
            role=words(ROLES),
            state=words(("live", "expired", "revoked")),
            made_at=TIME,
            made_by=TEXT,
            expires_at=maybe(TIME),
            used_at=maybe(TIME),
            revoked_at=maybe(TIME),
            revoked_by=maybe(TEXT),
        ),
        "Rejection": record("A request that was turned away at the door.", at=TIME, connection=TEXT, cause=TEXT),
        "Story": _story(),
    }
