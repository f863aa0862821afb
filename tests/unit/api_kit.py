"""What the tests of the API do again and again: ask, act, and bring work into some state."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app.core.signatures import sign
from app.core.tasks import NewTask
from app.model import Change, DeliveryFinish, Document, EventFinish, Identifier, NewDelivery, ReferenceKey
from tests.unit.door_kit import NOW, SECRET, TOKEN, VERIFY, Services

AUTH = {"Authorization": f"Bearer {TOKEN}"}
PERSON = {"email": "ann@shop.example", "nick": "Annie", "note": f"password is {SECRET}"}


def get(app: Flask, path: str, **more: Any) -> TestResponse:
    return app.test_client().get(path, headers=AUTH, **more)


def act(app: Flask, path: str, **more: Any) -> TestResponse:
    return app.test_client().post(path, headers=AUTH, **more)


def send(app: Flask, number: int, event: str = "return.created") -> str:
    body = json.dumps({"event": event, "data": {"id": str(number)}, "customer": PERSON}).encode()
    headers = sign(VERIFY, body, NOW) | {"Authorization": "Basic c2Vzc2lvbg=="}
    return str(app.test_client().post("/webhooks/shop", data=body, headers=headers).json["event"])


def deliver(app: Flask, services: Services, state: str = "parked") -> str:
    """A delivery in a state, made of an event as the workers do."""
    event_id = send(app, 1)
    ledger = services.ledger
    (work,) = [one for one in ledger.claim_events("shop", 10, 60, "t1") if one.event_id == event_id]
    document = Document("doc_1", "return", "shop", "r-1", 0, "", NOW, {"id": "r-1"}, PERSON, event_id, "s")
    with ledger.write() as tx:
        tx.finish_events("t1", [EventFinish(work.event_id, "done", None, document_id="doc_1")])
        tx.add_documents([document])
        ids = tx.add_changes(document, [Change("return.labelled", "return.labelled")])
        new = NewDelivery("dlv_1", "return.labelled", "announce", "", "wms", "wms:r-1", "s")
        tx.add_deliveries(document, ids["return.labelled"], [new])
        tx.add_identifiers("return", "shop", "r-1", [Identifier("RMA/1", "return", True)])
    ledger.claim_deliveries("wms", 10, 60, "t2")
    key = ReferenceKey("order", "shop", "erp", "1e5")
    finish = DeliveryFinish("dlv_1", "parked", NOW, f"{key} is not known yet", waits_for=str(key), lane="wms")
    if state == "in_doubt":
        finish = replace(finish, state=state, waits_for="", because="no answer came")
    if state in ("dead", "done"):
        finish = replace(finish, state=state, due_at=None, waits_for="", because="refused ann@shop.example")
    with ledger.write() as tx:
        tx.finish_deliveries("t2", [finish])
    return "dlv_1"


def raise_task(services: Services) -> None:
    document = Document("doc_1", "return", "shop", "r-1", 0, "", NOW, {"id": "r-1"}, PERSON, "evt_1", "s")
    with services.ledger.write() as tx:
        tx.add_tasks(document, [NewTask("tsk_1", "law", "law:1", "told by ann@shop.example", {"email": "a@b.example"})])
