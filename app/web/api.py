"""`/api/…`: what the command line reads, for programs that hold a token of the hub; the acts are in `api_acts`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from app.core.masking import Masker
from app.pipeline.story import tell
from app.web import api_acts
from app.web.answers import answer, shown
from app.web.asking import asked, check_text, filters, found, limit
from app.web.auth import Door
from app.web.ports import Row, WebServices


def blueprint(services: WebServices, masker: Masker, door: Door) -> Blueprint:
    """The API of a built hub; what it shows goes through `masker`. Whoever builds the application installs the door."""
    pages = Blueprint("api", __name__, url_prefix="/api")
    pages.before_request(check_text)
    _reads(pages, services, masker)
    api_acts.add(pages, services, masker, door)
    return pages


def _reads(pages: Blueprint, services: WebServices, masker: Masker) -> None:
    ledger = services.ledger

    @pages.get("/events")
    def events() -> Response:
        rows = asked(ledger.events, filters("state", "connection", "type"))
        return answer({"events": [shown(_named(row, "event_id"), masker) for row in rows]})

    @pages.get("/events/<event_id>")
    def event(event_id: str) -> Response:
        row = found(ledger.event(event_id), "event", event_id)
        return answer(shown(_named(row, "event_id"), masker))

    # A number may hold a slash.
    @pages.get("/returns/<path:number>")
    def story(number: str) -> Response:
        told = tell(ledger, number)
        return answer(shown(found(told if told["stories"] else None, "return or order", number), masker))

    @pages.get("/deliveries")
    def deliveries() -> Response:
        rows = asked(ledger.deliveries, filters("state", "lane", "route"))
        return answer({"deliveries": [shown(_named(row, "delivery_id"), masker) for row in rows]})

    @pages.get("/deliveries/<delivery_id>")
    def delivery(delivery_id: str) -> Response:
        row = found(ledger.delivery(delivery_id), "delivery", delivery_id)
        return answer(shown(_named(row, "delivery_id"), masker))

    @pages.get("/parked")
    def parked() -> Response:
        most = limit()
        waiting = ledger.events({"state": "parked"}, most)
        held = [row for state in ("parked", "conflict") for row in ledger.deliveries({"state": state}, most)]
        return answer(
            {
                "events": [shown(_named(row, "event_id"), masker) for row in waiting],
                "deliveries": [shown(_named(row, "delivery_id"), masker) for row in held],
            }
        )

    @pages.get("/tasks")
    def tasks() -> Response:
        rows = asked(ledger.tasks, {"state": "open", **filters("state", "kind", "connection")})
        return answer({"tasks": [shown(_task(row), masker) for row in rows]})

    @pages.get("/tasks/<task_id>")
    def task(task_id: str) -> Response:
        return answer(shown(_task(found(ledger.task(task_id), "task", task_id)), masker))

    @pages.get("/references")
    def references() -> Response:
        rows = ledger.references(request.args.get("number"), limit())
        return answer({"references": shown(rows, masker)})

    @pages.get("/rejections")
    def rejections() -> Response:
        return answer({"rejections": shown(ledger.rejections(limit()), masker)})

    @pages.get("/audit")
    def audit() -> Response:
        wanted = filters("target", "who")
        acts = ledger.acts(wanted.get("target"), limit(), who=wanted.get("who"))
        return answer({"audit": [shown(row, masker) for row in reversed(acts)]})

    @pages.get("/tokens")
    def tokens() -> Response:
        now = services.clock.now()
        return answer({"tokens": [token.view(now) for token in ledger.api_tokens()]})


def _named(row: Row, name: str) -> dict[str, Any]:
    """A row of the ledger in the words of the model: its id by name, its tries as `attempts`."""
    made = {name: row["id"], **{key: value for key, value in row.items() if key != "id"}}
    made["tries"] = made.pop("attempts", 0)
    if "attempt_rows" in made:
        made["attempts"] = made.pop("attempt_rows")
    return made


def _task(row: Row) -> dict[str, Any]:
    return {"task_id": row["id"], **{key: value for key, value in row.items() if key != "id"}}
