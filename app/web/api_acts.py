"""`/api/…`: what people do by hand. Each act is kept in the audit under the name of the token."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response

from app.core.api_tokens import ROLES
from app.core.masking import Masker
from app.core.references import one_meant
from app.core.routing import lane_after
from app.core.times import seconds
from app.errors import DataError
from app.model import ReferenceKey
from app.web.answers import Refusal, answer
from app.web.asking import call_number, flag, found, given, number, said
from app.web.auth import Door, caller, needs
from app.web.ports import Row, WebServices

_VERDICTS = ("delivered", "retry", "dead")


def add(pages: Blueprint, services: WebServices, masker: Masker, door: Door) -> None:
    """Add the acts to the pages of the API."""
    _work(pages, services)
    _others(pages, services)
    _tokens(pages, services, door)


def _work(pages: Blueprint, services: WebServices) -> None:
    ledger = services.ledger

    @pages.post("/events/<event_id>/retry")
    def retry_event(event_id: str) -> Response:
        return _retry(event_id, found(ledger.event(event_id), "event", event_id))

    @pages.post("/deliveries/<delivery_id>/retry")
    def retry_delivery(delivery_id: str) -> Response:
        row = found(ledger.delivery(delivery_id), "delivery", delivery_id)
        again, why, call = flag("again"), said("why").strip(), call_number()
        if not again:
            return _retry(delivery_id, row)
        if not why:
            raise Refusal(400, "no_reason", "sending again what is done needs `why`: what undid it")
        if not ledger.send_again([delivery_id], caller().who, why, call):
            what = f"{delivery_id} is {row.get('state')}" + (f", or made no call {call}" if call else "")
            raise Refusal(409, "not_retried", f"{what}: only what is done is sent again")
        return answer({"retried": [delivery_id]}, 202)

    def _retry(row_id: str, row: Row) -> Response:
        retried = ledger.retry([row_id], caller().who)
        if not retried:
            raise Refusal(409, "not_retried", f"{row_id} is {row.get('state', 'not waiting')}: nothing to try again")
        return answer({"retried": list(retried)}, 202)

    @pages.post("/deliveries/<delivery_id>/resolve")
    def resolve(delivery_id: str) -> Response:
        row = found(ledger.delivery(delivery_id), "delivery", delivery_id)
        verdict: Any = given("verdict")
        if verdict not in _VERDICTS:
            raise Refusal(400, "bad_verdict", f"`verdict` must be one of {', '.join(_VERDICTS)}")
        next_lane = lane_after(services.site.routes, row["route"], row["step"])
        if not ledger.resolve(delivery_id, verdict, caller().who, next_lane=next_lane):
            what = f"{delivery_id} is {row.get('state')}: not in doubt, and not waiting for a person"
            raise Refusal(409, "not_resolved", what)
        return answer({"delivery": delivery_id, "verdict": verdict})


def _others(pages: Blueprint, services: WebServices) -> None:
    ledger, connections = services.ledger, services.site.connections

    @pages.post("/tasks/<task_id>/close")
    def close_task(task_id: str) -> Response:
        row = found(ledger.task(task_id), "task", task_id)
        if not ledger.close_task(task_id, caller().who, said("note")):
            raise Refusal(409, "not_closed", f"{task_id} is {row.get('state', 'not open')}: nothing to close")
        return answer({"task": task_id, "state": "closed"})

    @pages.post("/connections/<name>/pause")
    def pause(name: str) -> Response:
        found(connections.get(name), "connection", name)
        ledger.pause(name, said("because") or "paused through the API", caller().who)
        return answer({"connection": name, "paused": True})

    @pages.post("/connections/<name>/resume")
    def resume(name: str) -> Response:
        found(connections.get(name), "connection", name)
        ledger.resume(name, caller().who)
        return answer({"connection": name, "paused": False})

    @pages.post("/references")
    def set_reference() -> Response:
        kind, one, to_one = number("kind"), number("id"), number("to_id")
        systems = said("from_system") or None, said("to_system") or None
        try:
            names = one_meant(services.site.references, kind, *systems)
        except DataError as error:
            raise Refusal(400, "bad_reference", str(error)) from None
        key = ReferenceKey(*names, one, said("scope"))
        released = ledger.set_reference(key, to_one, caller().who)
        return answer({"reference": str(key), "to_id": to_one, "released": list(released)})


def _until(now: datetime) -> datetime | None:
    if given("expires") is None:
        return None
    try:
        wanted = seconds(said("expires"))
        if wanted <= 0:
            raise ValueError
        return now + timedelta(seconds=wanted)
    except (ValueError, OverflowError):
        raise Refusal(400, "bad_expires", "`expires` must be a time to live such as 90d or 12h") from None


def _tokens(pages: Blueprint, services: WebServices, door: Door) -> None:
    ledger, clock = services.ledger, services.clock

    @pages.post("/tokens")
    @needs("admin")
    def new_token() -> Response:
        role: Any = given("role")
        if role not in ROLES:
            raise Refusal(400, "bad_role", f"`role` must be one of {', '.join(ROLES)}")
        try:
            token, text = ledger.new_api_token(number("name"), role, caller().who, _until(clock.now()))
        except DataError as error:
            raise Refusal(400, "bad_token", str(error)) from None
        # The one time that it is told.
        return answer({**token.view(clock.now()), "token": text}, 201)

    @pages.post("/tokens/<token_id>/revoke")
    @needs("admin")
    def revoke_token(token_id: str) -> Response:
        found(ledger.api_token(token_id), "token", token_id)
        try:
            token = ledger.revoke_api_token(token_id, caller().who)
        except DataError as error:
            raise Refusal(409, "not_revoked", str(error)) from None
        door.forget(token_id)
        return answer(token.view(clock.now()))
