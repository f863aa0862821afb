"""`/api/…`: the reads and acts of the command line, for programs that hold the hub's token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, request

from app.core.masking import Masker
from app.model import Json
from app.pipeline.story import tell
from app.web.answers import Refusal, answer, shown
from app.web.auth import require_token
from app.web.ports import Row, WebServices

LIMIT = 100
MAX_LIMIT = 500
_WHO = "api"


def blueprint(services: WebServices, masker: Masker) -> Blueprint:
    """The API of a built hub; everything it shows goes through `masker`."""
    pages = Blueprint("api", __name__, url_prefix="/api")
    token = services.site.hub.api_token
    pages.before_request(lambda: require_token(token))
    pages.after_request(_not_kept)
    _reads(pages, services, masker)
    _acts(pages, services)
    return pages


def _reads(pages: Blueprint, services: WebServices, masker: Masker) -> None:
    ledger = services.ledger

    @pages.get("/events")
    def events() -> Response:
        rows = _asked(ledger.events, _filters("state", "connection", "type"))
        return answer({"events": [shown(_named(row, "event_id"), masker) for row in rows]})

    @pages.get("/events/<event_id>")
    def event(event_id: str) -> Response:
        row = _found(ledger.event(event_id), "event", event_id)
        return answer(shown(_named(row, "event_id"), masker))

    # A number may hold a slash.
    @pages.get("/returns/<path:number>")
    def story(number: str) -> Response:
        told = tell(ledger, number)
        return answer(shown(_found(told if told["stories"] else None, "return or order", number), masker))

    @pages.get("/deliveries")
    def deliveries() -> Response:
        rows = _asked(ledger.deliveries, _filters("state", "lane", "route"))
        return answer({"deliveries": [shown(_named(row, "delivery_id"), masker) for row in rows]})

    @pages.get("/deliveries/<delivery_id>")
    def delivery(delivery_id: str) -> Response:
        row = _found(ledger.delivery(delivery_id), "delivery", delivery_id)
        return answer(shown(_named(row, "delivery_id"), masker))

    @pages.get("/parked")
    def parked() -> Response:
        limit = _limit()
        waiting = ledger.events({"state": "parked"}, limit)
        held = [row for state in ("parked", "conflict") for row in ledger.deliveries({"state": state}, limit)]
        return answer(
            {
                "events": [shown(_named(row, "event_id"), masker) for row in waiting],
                "deliveries": [shown(_named(row, "delivery_id"), masker) for row in held],
            }
        )

    @pages.get("/tasks")
    def tasks() -> Response:
        rows = _asked(ledger.tasks, {"state": "open", **_filters("state", "kind", "connection")})
        return answer({"tasks": [shown(_task(row), masker) for row in rows]})

    @pages.get("/tasks/<task_id>")
    def task(task_id: str) -> Response:
        return answer(shown(_task(_found(ledger.task(task_id), "task", task_id)), masker))

    @pages.get("/references")
    def references() -> Response:
        rows = ledger.references(request.args.get("number"), _limit())
        return answer({"references": shown(rows, masker)})

    @pages.get("/rejections")
    def rejections() -> Response:
        return answer({"rejections": shown(ledger.rejections(_limit()), masker)})


def _acts(pages: Blueprint, services: WebServices) -> None:
    ledger, connections = services.ledger, services.site.connections

    @pages.post("/events/<event_id>/retry")
    def retry_event(event_id: str) -> Response:
        return _retry(event_id, _found(ledger.event(event_id), "event", event_id))

    @pages.post("/deliveries/<delivery_id>/retry")
    def retry_delivery(delivery_id: str) -> Response:
        row = _found(ledger.delivery(delivery_id), "delivery", delivery_id)
        if not _given("again"):
            return _retry(delivery_id, row)
        why, call = _said("why").strip(), _given("call")
        if not why:
            raise Refusal(400, "no_reason", "sending again what is done needs `why`: what undid it")
        if call is not None and (not isinstance(call, int) or isinstance(call, bool)):
            raise Refusal(400, "bad_call", "call is the number of a call of the route, counted from 1")
        if not ledger.send_again([delivery_id], _WHO, why, call):
            what = f"{delivery_id} is {row.get('state')}" + (f", or made no call {call}" if call else "")
            raise Refusal(409, "not_retried", f"{what}: only what is done is sent again")
        return answer({"retried": [delivery_id]}, 202)

    def _retry(row_id: str, row: Row) -> Response:
        retried = ledger.retry([row_id], _WHO)
        if not retried:
            raise Refusal(409, "not_retried", f"{row_id} is {row.get('state', 'not waiting')}: nothing to try again")
        return answer({"retried": list(retried)}, 202)

    @pages.post("/tasks/<task_id>/close")
    def close_task(task_id: str) -> Response:
        row = _found(ledger.task(task_id), "task", task_id)
        if not ledger.close_task(task_id, _WHO, _said("note")):
            raise Refusal(409, "not_closed", f"{task_id} is {row.get('state', 'not open')}: nothing to close")
        return answer({"task": task_id, "state": "closed"})

    @pages.post("/connections/<name>/pause")
    def pause(name: str) -> Response:
        _found(connections.get(name), "connection", name)
        ledger.pause(name, _said("because") or "paused through the API", _WHO)
        return answer({"connection": name, "paused": True})

    @pages.post("/connections/<name>/resume")
    def resume(name: str) -> Response:
        _found(connections.get(name), "connection", name)
        ledger.resume(name, _WHO)
        return answer({"connection": name, "paused": False})


def _named(row: Row, name: str) -> dict[str, Any]:
    """A row of the ledger in the words of the model: its id by name, its tries as `attempts`."""
    made = {name: row["id"], **{key: value for key, value in row.items() if key != "id"}}
    made["tries"] = made.pop("attempts", 0)
    if "attempt_rows" in made:
        made["attempts"] = made.pop("attempt_rows")
    return made


def _task(row: Row) -> dict[str, Any]:
    return {"task_id": row["id"], **{key: value for key, value in row.items() if key != "id"}}


def _asked(ask: Callable[[Mapping[str, str], int], Sequence[Row]], filters: Mapping[str, str]) -> Sequence[Row]:
    limit = _limit()
    try:
        return ask(filters, limit)
    except ValueError as error:
        raise Refusal(400, "bad_filter", str(error)) from None


def _limit() -> int:
    text = request.args.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise Refusal(400, "bad_limit", f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def _filters(*names: str) -> dict[str, str]:
    return {name: request.args[name] for name in names if request.args.get(name)}


def _found(row: Any, what: str, name: str) -> Any:
    if row is None:
        raise Refusal(404, "not_found", f"there is no {what} {name!r}")
    return row


def _said(name: str) -> str:
    """What the request's JSON body says under a name, bounded; empty when it says nothing."""
    said = _given(name)
    return said[:300] if isinstance(said, str) else ""


def _given(name: str) -> Json:
    """What the request's JSON body holds under a name; None when it holds nothing."""
    given: Json = request.get_json(silent=True)
    return given.get(name) if isinstance(given, Mapping) else None


def _not_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
