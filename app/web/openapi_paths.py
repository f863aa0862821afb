"""What can be asked at each path of the hub: a table of operations, in the order in which people read them."""

from __future__ import annotations

from app.core.api_tokens import ROLES
from app.model import DeliveryState, EventState, Json
from app.web.asking import MOST_CALLS
from app.web.openapi_parts import (
    NUMBER,
    SAID,
    WHAT,
    WORD,
    Answers,
    acting,
    answers_of,
    error_of,
    errors_of,
    id_of,
    limit,
    listed,
    path,
    query,
    reading,
    watching,
)
from app.web.openapi_schemas import ANY, TASK_STATES, TEXT, many, record, ref, some_id, words
from app.web.ports import Verdict


def paths() -> dict[str, Json]:
    """All paths with their operations."""
    return {**_doors(), **_reads(), **_acts(), **_tokens(), **_plain()}


# --- the API -------------------------------------------------------------------------------------


def _reads() -> dict[str, Json]:
    events = [query("state", words(EventState)), query("connection"), query("type")]
    deliveries = [query("state", words(DeliveryState)), query("lane"), query("route")]
    tasks = [query("state", {**words(TASK_STATES), "default": "open"}), query("kind"), query("connection")]
    number = path("number", WORD, "Any number of it: RMA, order, tracking, an id of the hub. It may hold slashes.")
    return {
        "/api/events": reading("listEvents", "Events, the newest first", listed("events", "Event"), [*events, limit()]),
        "/api/events/{event_id}": reading(
            "getEvent", "One event, with its body, tries and acts", ref("WholeEvent"), [id_of("event_id", "evt")]
        ),
        "/api/returns/{number}": reading(
            "tellStory",
            "The whole story of a return or an order",
            record("The stories of all that have the number.", number=TEXT, stories=many(ref("Story"))),
            [number],
        ),
        "/api/deliveries": reading(
            "listDeliveries", "Deliveries, the newest first", listed("deliveries", "Delivery"), [*deliveries, limit()]
        ),
        "/api/deliveries/{delivery_id}": reading(
            "getDelivery", "One delivery, with all about it", ref("WholeDelivery"), [id_of("delivery_id", "dlv")]
        ),
        "/api/parked": reading(
            "listParked",
            "What waits for a number, a connection or a person",
            record("What waits.", events=many(ref("Event")), deliveries=many(ref("Delivery"))),
            [limit()],
        ),
        "/api/tasks": reading("listTasks", "Tasks, the newest first", listed("tasks", "Task"), [*tasks, limit()]),
        "/api/tasks/{task_id}": reading("getTask", "One task", ref("Task"), [id_of("task_id", "tsk")]),
        "/api/references": reading(
            "listReferences",
            "Translations of numbers with their history, the newest first",
            listed("references", "Reference"),
            [query("number", {"type": "string", "pattern": "^[^\\u0000]*$"}), limit()],
        )
        | _references(),
        "/api/rejections": reading(
            "listRejections", "What was turned away, the newest first", listed("rejections", "Rejection"), [limit()]
        ),
        "/api/audit": reading(
            "listActs",
            "What people did by hand, the newest first",
            listed("audit", "Act"),
            [query("target"), query("who"), limit()],
        ),
    }


def _acts() -> dict[str, Json]:
    retried = record("What is tried again.", retried=many(TEXT))
    lane = record("How the connection stands now.", connection=TEXT, paused={"type": "boolean"})
    again = {
        "again": {"type": ["boolean", "null"], "description": "Send once more what is done; needs `why`."},
        "why": {**SAID, "description": "What undid it."},
        "call": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_CALLS, "description": "Which call."},
    }
    # Who wants something sent once more says why.
    reason = {
        "anyOf": [
            {"properties": {"again": {"enum": [False, None]}}},
            {"properties": {"why": {"type": "string", "pattern": "\\S"}}, "required": ["why"]},
        ]
    }
    closed = record("The task now.", task=TEXT, state=words(("closed",)))
    settled = record("It is settled.", delivery=TEXT, verdict=words(Verdict))
    verdict = {**words(Verdict), "description": "It arrived; send it again; or give it up."}
    connection = path("name", WORD, "A connection's name.")
    return {
        "/api/events/{event_id}/retry": acting(
            "retryEvent",
            "Try an event again now",
            {202: ("It is due.", retried)},
            [id_of("event_id", "evt")],
            codes={409: ("not_retried",)},
        ),
        "/api/deliveries/{delivery_id}/retry": acting(
            "retryDelivery",
            "Try a delivery again now, or send once more what is done",
            {202: ("It is due.", retried)},
            [id_of("delivery_id", "dlv")],
            body=again,
            rules=reason,
            codes={400: ("no_reason", "bad_call"), 409: ("not_retried",)},
        ),
        "/api/deliveries/{delivery_id}/resolve": acting(
            "resolveDelivery",
            "Say what became of a delivery that is in doubt or waits for a person",
            {200: ("It is settled.", settled)},
            [id_of("delivery_id", "dlv")],
            body={"verdict": verdict},
            required=["verdict"],
            codes={400: ("bad_verdict",), 409: ("not_resolved",)},
        ),
        "/api/tasks/{task_id}/close": acting(
            "closeTask",
            "Close a task",
            {200: ("It is closed.", closed)},
            [id_of("task_id", "tsk")],
            body={"note": SAID},
            codes={409: ("not_closed",)},
        ),
        "/api/connections/{name}/pause": acting(
            "pause", "Stop calling a connection", {200: ("It is.", lane)}, [connection], body={"because": SAID}
        ),
        "/api/connections/{name}/resume": acting(
            "resume", "Call a connection again", {200: ("It is.", lane)}, [connection]
        ),
    }


def _references() -> Json:
    """Beside the list of references: to set one."""
    systems = {"from_system": SAID, "to_system": SAID, "scope": SAID}
    kept = record("It is known.", reference=TEXT, to_id=TEXT, released=many(TEXT))
    return acting(
        "setReference",
        "Set the translation of one number by hand; what waited for it goes on",
        {200: ("It is known.", kept)},
        [],
        body={"kind": NUMBER, "id": NUMBER, "to_id": NUMBER, **systems},
        required=["kind", "id", "to_id"],
        codes={400: ("bad_reference",)},
    )


def _tokens() -> dict[str, Json]:
    made = {"allOf": [ref("Token"), record("Told this once.", token=TEXT)]}
    about = {"name": NUMBER, "role": words(ROLES), "expires": {**SAID, "description": "After how long, as in 90d."}}
    known = reading("listTokens", "Tokens, the newest first", listed("tokens", "Token"), [])
    new = acting(
        "newToken",
        "Make a token",
        {201: ("It is made.", made)},
        [],
        body=about,
        required=["name", "role"],
        role="admin",
        codes={400: ("bad_role", "bad_expires", "bad_token")},
    )
    revoke = acting(
        "revokeToken",
        "Let a token open nothing any more",
        {200: ("It is revoked.", ref("Token"))},
        [id_of("token_id", "tok")],
        role="admin",
        codes={409: ("not_revoked",)},
    )
    return {"/api/tokens": {**known, **new}, "/api/tokens/{token_id}/revoke": revoke}


# --- the doors -----------------------------------------------------------------------------------


def _doors() -> dict[str, Json]:
    refused = {400: ("cut_off",), 404: ("unknown_connection",), 413: ("too_large",), 429: ("too_many",)}
    unverified = {**error_of(401, ()), "description": "Its signature is missing, wrong or out of date."}
    del unverified["headers"]
    kept = ("It is kept, once; the status is the one that the vendor wants.", record("Kept.", event=some_id("evt")))
    unreadable = ("It is kept, but cannot be read.", record("Kept.", event=some_id("evt")))
    message = {
        "operationId": "receive",
        "tags": ["doors"],
        "summary": "A vendor's message, signed as the connection's connector says",
        "parameters": [path("connection", WORD, "The connection that it is for.")],
        "requestBody": {"content": {"application/json": {"schema": ANY}}},
        "responses": {
            **answers_of({"2XX": kept, 422: unreadable}),
            "401": unverified,
            **errors_of(refused),
            **errors_of({503: ("ledger_unavailable",), 500: ("internal",)}),
        },
        "security": [],
    }
    # How an error is told is the connector's to say.
    told: Answers = {status: (WHAT[status], ANY) for status in (400, 401, 404, 413, 503)}
    question = {
        "operationId": "ask",
        "tags": ["doors"],
        "summary": "A question to a bridge, answered from other systems in the same request",
        "description": "The path, the signature and the bodies are those of the connection's connector.",
        "parameters": [
            path("connection", WORD, "The connection that asks."),
            path("path", WORD, "The bridge's path; it may hold slashes."),
        ],
        "requestBody": {"content": {"application/json": {"schema": ANY}}},
        "responses": {**answers_of({"2XX": ("The answer.", ANY), **told}), **errors_of({500: ("internal",)})},
        "security": [],
    }
    return {"/webhooks/{connection}": {"post": message}, "/bridge/{connection}/{path}": {"post": question}}


def _plain() -> dict[str, Json]:
    alive = record("It answers.", alive={"type": "boolean"})
    readiness = record(
        "Whether it can work.",
        ready={"type": "boolean"},
        ledger=words(("ok", "unavailable")),
        clock=words(("ok", "stopped", "unknown")),
    )
    return {
        "/healthz": {"get": watching("alive", "Whether the process answers", {200: ("It does.", alive)})},
        "/readyz": {
            "get": watching(
                "ready", "Whether the hub can work", {200: ("It can.", readiness), 503: ("It cannot now.", readiness)}
            )
        },
        "/metrics": {
            "get": {
                **watching("metrics", "Counters and ages for Prometheus", {}),
                "description": "Open to all, or with a token of any role: the site says which (`hub.metrics`).",
                "responses": {
                    "200": {"description": "Its text format.", "content": {"text/plain": {"schema": TEXT}}},
                    **errors_of({401: ("unauthorized",), 500: ("internal",)}),
                },
                "security": [{}, {"token": []}],
            }
        },
        "/openapi.json": {
            "get": watching("description", "This description", {200: ("OpenAPI 3.1.", {"type": "object"})}),
        },
    }
