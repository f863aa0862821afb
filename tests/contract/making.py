"""Short ways to fill a ledger, for the contract suite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from app.adapters.ledger import Ledger
from app.model import (
    Attempt,
    Change,
    DeliveryFinish,
    DeliveryWork,
    Document,
    EventFinish,
    Identifier,
    NewDelivery,
    Outcome,
    Receipt,
    Reference,
    ReferenceKey,
)
from tests.support import HandClock

_numbers = count(1)


def new(prefix: str) -> str:
    """A new id."""
    return f"{prefix}_{next(_numbers):09d}"


def receipt(clock: HandClock, vendor_id: str = "", connection: str = "shop", **more: Any) -> Receipt:
    """A message that came in now."""
    fields: dict[str, Any] = {
        "event_id": new("evt"),
        "vendor_id": vendor_id or new("vendor"),
        "type": "return.labelled",
        "received_at": clock.now(),
        "headers": {"content-type": "application/json"},
        "body": b'{"id": "1"}',
        "state": "received",
    }
    return Receipt(connection=connection, **{**fields, **more})


def document(clock: HandClock, event_id: str, object_id: str = "R-1", **more: Any) -> Document:
    """A picture of a return, as of now."""
    fields: dict[str, Any] = {
        "kind": "return",
        "connection": "shop",
        "seq": 0,
        "version": "",
        "observed_at": clock.now(),
        "body": {"id": object_id, "lines": []},
        "raw": {"payload": {"id": object_id}},
        "stamp": "stamp",
    }
    return Document(document_id=new("doc"), object_id=object_id, event_id=event_id, **{**fields, **more})


def received(ledger: Ledger, clock: HandClock, **more: Any) -> str:
    """The id of an event that is kept."""
    return ledger.receive([receipt(clock, **more)])[0].event_id


def deliver(
    ledger: Ledger,
    clock: HandClock,
    *,
    object_id: str = "R-1",
    lane: str = "wms",
    order_key: str | None = None,
    part: str = "",
    many: int = 1,
    numbers: Sequence[Identifier] = (),
) -> list[str]:
    """The ids of deliveries that are due now, one of each of `many` new changes of an object."""
    event_id = received(ledger, clock, state="ignored")
    made = []
    with ledger.write() as tx:
        picture = document(clock, event_id, object_id)
        tx.lock_objects([("return", "shop", object_id)])
        tx.add_documents([picture])
        tx.add_identifiers("return", "shop", object_id, [Identifier(object_id, "return", True), *numbers])
        changes = [Change("parcel.labelled", new("parcel.labelled:p"), {"first": True}) for _ in range(many)]
        ids = tx.add_changes(picture, changes)
        for change in changes:
            key = f"shop|{object_id}" if order_key is None else order_key
            delivery = NewDelivery(new("dlv"), change.key, "announce", part, lane, key, "stamp")
            tx.add_deliveries(picture, ids[change.key], [delivery])
            made.append(delivery.delivery_id)
    return made


def claim(
    ledger: Ledger, token: str = "", limit: int = 100, lane: str = "wms", lease_s: float = 60
) -> list[DeliveryWork]:
    """Claim deliveries."""
    return ledger.claim_deliveries(lane, limit, lease_s, token or new("token"))


def claim_ids(ledger: Ledger, token: str = "", limit: int = 100, lane: str = "wms", lease_s: float = 60) -> list[str]:
    """The ids of claimed deliveries."""
    return [work.delivery_id for work in claim(ledger, token, limit, lane, lease_s)]


def finish(ledger: Ledger, token: str, *finishes: DeliveryFinish | EventFinish) -> set[str]:
    """Write what became of claimed work."""
    with ledger.write() as tx:
        return tx.finish_deliveries(token, [one for one in finishes if isinstance(one, DeliveryFinish)]) | (
            tx.finish_events(token, [one for one in finishes if isinstance(one, EventFinish)])
        )


def done(delivery_id: str, **more: Any) -> DeliveryFinish:
    """Delivered."""
    return DeliveryFinish(delivery_id, "done", None, **more)


def later(
    clock: HandClock, delivery_id: str, state: Any = "waiting", seconds: float = 60, **more: Any
) -> DeliveryFinish:
    """Not final: to be looked at again."""
    return DeliveryFinish(delivery_id, state, clock.now() + timedelta(seconds=seconds), **more)


def attempt(clock: HandClock, delivery_id: str = "", result: Any = "delivered", **more: Any) -> Attempt:
    """One try at a call."""
    fields: dict[str, Any] = {
        "kind": "call",
        "at": clock.now(),
        "connection": "wms",
        "operation": "announce_return",
        "number": 1,
        "request": {"method": "POST", "url": "http://wms.test/returns", "headers": {}, "body": {"rma": "R-1"}},
        "response": {"status": 200, "headers": {}, "body": {"ok": True}},
        "outcome": Outcome(result, "said so", status=200),
        "took_ms": 12,
    }
    return Attempt(attempt_id=new("att"), delivery_id=delivery_id, **{**fields, **more})


def key(number: str = "#1001", **more: Any) -> ReferenceKey:
    """An order number of the shop, wanted as the ERP has it."""
    return ReferenceKey(**{"kind": "order", "from_system": "shop", "to_system": "erp", "id": number, **more})


def known(at: datetime, number: str = "#1001", to: str = "0000012E4", **more: Any) -> Reference:
    """A translation that somebody looked up."""
    return Reference(**{"key": key(number), "to_id": to, "origin": "lookup", "at": at, "evidence": {}, **more})


def put(ledger: Ledger, reference: Reference) -> list[str]:
    """Keep a reference; the deliveries that it releases."""
    with ledger.write() as tx:
        return tx.put_reference(reference)


def state_of(ledger: Ledger, delivery_id: str) -> str:
    """The state of a delivery."""
    found = ledger.delivery(delivery_id)
    assert found is not None
    return str(found["state"])
