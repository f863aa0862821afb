"""Stores and a back office that decide in fulfillmenttools, and what was paid for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from connectors.fulfillmenttools.samples import build_job
from tests.flows.kit import Flows

STORE = {"url": "{hub}/webhooks/fulfillmenttools"}
PRICE = {"value": 12.5, "currency": "EUR"}
LESS = {"value": 10, "currency": "EUR"}
ERP, US = "F-1001", "F-US-1001"
NUMBERS = count(1)


def job(order: str = ERP, **line: Any) -> Any:
    """A job with one mug that came back."""
    mug = {"sku": "MUG", "price": 12.5}
    return build_job(
        {"order": order, "version": 2, "articles": [mug], "returns": [{"lines": [{"sku": "MUG", **line}]}]}
    )


def line_of(job_: Any) -> Any:
    return job_["itemReturns"][0]["returnedLineItems"][0]


def orders(flows: Flows, *numbers: str, price: str = "12.50") -> None:
    """Let the ERP and Digital River know these orders of a mug, or of what the vendor's examples return."""
    skus = ("MUG", "TG560052", "NT420074", "CS0114141", "PP591833623")
    lines = [{"sku": sku, "unitAmount": price} for sku in skus]
    rows = [{"externalNumber": one, "number": f"SO{one}", "currency": "EUR", "lines": lines} for one in numbers]
    flows.seed("erp", orders=rows)
    items = [{"article": sku, "price": price} for sku in skus]
    held = [{"id": next(NUMBERS), "order": one, "currency": "EUR", "items": items} for one in numbers]
    flows.seed("refunds", orders=held)


def tell(flows: Flows, *events: Any, run: bool = True) -> None:
    """Let the platform send these events, and do what follows after each."""
    for event in events:
        answer = flows.ask("stores", events=[event], run=run, **STORE)
        assert answer["statuses"] == [200]


def decide(flows: Flows, held: Any, **line: Any) -> None:
    """Let the back office change the line of a job, and the platform tell it."""
    path = f"{held['itemReturns'][0]['id']}/{line_of(held)['id']}"
    flows.ask("stores", "/_sim/change", job=held["id"], line=path, set=line, run=False)
    tell(flows, newest(flows))


def platform(flows: Flows) -> Any:
    """What the simulated tenant holds: its jobs and their events."""
    tenant: Any = flows.sims["stores"]
    return tenant.jobs


def newest(flows: Flows) -> Any:
    """The event of what happened last."""
    return platform(flows).events[-1]


def begun(flows: Flows, order: str = ERP, **line: Any) -> Any:
    """A job that the platform holds and has told, of an order that all know."""
    held = job(order, **line)
    orders(flows, order)
    flows.seed("stores", jobs=[held])
    tell(flows, {"event": "ITEM_RETURN_JOB_CREATED", "payload": held, "eventId": "created"})
    return held


def silent(flows: Flows) -> None:
    """Begin anew with a connection that does not tell the platform of refunds."""
    one = flows.site.connections["fulfillmenttools"]
    told = replace(one, settings={**one.settings, "tell_refunds": False})
    flows.open(replace(flows.site, connections={**flows.site.connections, one.name: told}))


def paid(flows: Flows) -> list[str]:
    """What was paid, by whom, in order."""
    return [*flows.effects("erp"), *flows.effects("refunds")]


def dead(flows: Flows) -> list[str]:
    return [str(row["because"]) for row in flows.deliveries() if row["state"] == "dead"]


def once(order: str, amount: str = "12.50") -> list[str]:
    """What one payment of a mug leaves behind."""
    if order == US:
        return [f"refund re_0000000001 of {US} with 1 of MUG-1"]
    return [f"credited {amount} EUR as CN-000001", f"refunded {amount} EUR of CN-000001"]
