"""Orders: the web shop tells every change of an order with the whole of it, and the portal must know each as it is.

Pictures come in bursts, twice, late, and some never. How many pushes that makes depends on which pictures the hub saw;
what must hold of every order: each push is a picture that the shop sent, none is older than one before it, no two in a
row are the same, and the last one looks like the newest picture.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

from chaos.plan import Message, Recorded, SourcePlan, Violation
from chaos.sources.kit import Times, demo_env, first_number, moment, signed, written

_CONNECTION = "store"
_PRICE = {"net": "10.00", "tax": "2.10", "gross": "12.10"}
_STEPS = ("change", "ship", "deliver one", "deliver", "cancel", "nothing")
_EVENTS = {"PLACED": "order.placed", "DELIVERED": "order.delivered", "CANCELLED": "order.cancelled"}


@dataclass(frozen=True, slots=True)
class _Order:
    """One order with the pictures that are told of it, by their time, and which of these messages must be taken."""

    number: str
    pictures: dict[str, dict[str, Any]]
    newest: dict[str, Any]
    needs: frozenset[str]


def plan(random: Random, count: int, names: str, seconds: float = 60.0) -> SourcePlan:
    """So many messages about orders; the pushes that follow are judged by their order and by the last of them."""
    made, times = SourcePlan("orders"), Times(random, seconds)
    number = first_number(names)
    orders: dict[str, _Order] = {}
    while (room := count - len(made.messages)) > 0:
        number += 1
        told, messages = _story(random, f"{names}-O{number}", number, times, room)
        orders[told.number] = told
        made.messages += messages
    made.owns = lambda recorded: (
        (recorded.simulator, recorded.operation) == ("portal", "push_orders") and _number(recorded) in orders
    )
    made.rank_of = lambda recorded: _rank(orders, recorded) if made.owns(recorded) else None
    made.check = lambda recorded, answered: _check(orders, recorded, answered)
    return made


def _story(random: Random, id_: str, number: int, times: Times, room: int) -> tuple[_Order, list[Message]]:
    pictures = [_placed(random, id_, number)]
    while len(pictures) < 7 and random.random() < 0.75:
        pictures.append(_next(random, pictures[-1], moment(len(pictures) + number % 7 / 10)))
    # Of those before the newest some are never told.
    steps = [one for one in pictures[:-1] if random.random() < 0.8][-(room - 1) :] if room > 1 else []
    newest = pictures[-1]
    steps.append(newest)
    if random.random() < 0.4:
        random.shuffle(steps)
    burst = random.random() < 0.3
    made: list[Message] = []
    at_s = times.begin()
    for picture in steps:
        event_id = f"{id_}-{picture['updatedAt']}"
        body = written({"event": _EVENTS.get(picture["state"], "order.updated"), "eventId": event_id, "data": picture})
        copies = random.choice((1, 1, 1, 2, 3))
        made.append(Message(_CONNECTION, id_, event_id, at_s, body, signed(_scheme(), body), copies=copies))
        at_s = times.later(at_s, 0, 0.05 if burst else 3.0)
    told = {one["updatedAt"]: one for one in steps}
    order = _Order(newest["number"], told, newest, frozenset({f"{id_}-{newest['updatedAt']}"}))
    return order, made


def _placed(random: Random, id_: str, number: int) -> dict[str, Any]:
    lines = [
        {
            "id": f"{number}{place}",
            "sku": random.choice(("0012345", "TEE-RED-M", "1e5")),
            "quantity": random.randint(1, 4),
            "delivered": 0,
            "state": "PLACED",
            "price": _PRICE,
        }
        for place in range(random.randint(1, 3))
    ]
    return {
        "id": id_,
        "number": f"W-{random.choice(('', '0', '0x', '1e', '1_'))}{number}",
        "state": "PLACED",
        "updatedAt": moment(0),
        "market": "NL",
        "currency": "EUR",
        "customer": {"id": f"C-{number}"},
        "lines": lines,
    }


def _next(random: Random, picture: dict[str, Any], at: str) -> dict[str, Any]:
    """What may happen to an order next."""
    after = {**json.loads(json.dumps(picture)), "updatedAt": at}
    if picture["state"] == "CANCELLED":
        return after
    step = random.choice(_STEPS)
    if step == "change":
        after["lines"][0]["quantity"] += 1
    elif step == "ship" and picture["state"] == "PLACED":
        after["state"] = "SHIPPED"
    elif step == "deliver one":
        line = random.choice(after["lines"])
        line["delivered"] = min(line["quantity"], line["delivered"] + 1)
    elif step == "deliver":
        after["state"] = "DELIVERED"
        for line in after["lines"]:
            line.update(delivered=line["quantity"], state="DELIVERED")
    elif step == "cancel" and picture["state"] == "PLACED":
        after["state"] = "CANCELLED"
    return after


# --- what must come of it -------------------------------------------------------------------------


def _shown(picture: dict[str, Any]) -> dict[str, Any]:
    """What the portal shows of a picture, by mappings/order.to_nshift_orders.yaml."""
    cancelled = picture["state"] == "CANCELLED"
    items = []
    for line in picture["lines"]:
        whole = line["delivered"] >= line["quantity"] or "DELIVERED" in (picture["state"], line["state"])
        state = "DELIVERED" if whole and not cancelled else "PENDING"
        items.append([line["id"], line["sku"], line["quantity"], state])
    return {"pending": picture["state"] == "PLACED", "cancelled": cancelled, "items": items}


def _pushed(order: dict[str, Any]) -> dict[str, Any]:
    items = [
        [item["orderItemId"], item["productVariant"]["sku"], item.get("quantity", 1), item["statusOfDelivery"]]
        for item in order["items"]
    ]
    return {"pending": order["isPending"], "cancelled": order["isCancelled"], "items": items}


def _number(recorded: Recorded) -> str:
    return str(recorded.body[0]["orderId"]) if isinstance(recorded.body, list) and recorded.body else ""


def _rank(orders: dict[str, _Order], recorded: Recorded) -> tuple[str, int] | None:
    """The place of the pushed picture among those of its order."""
    number, at = _number(recorded), recorded.body[0].get("updatedAt", "")
    times = sorted(orders[number].pictures)
    return (number, times.index(at)) if at in times else None


def _check(orders: dict[str, _Order], recorded: Sequence[Recorded], answered: frozenset[str]) -> list[Violation]:
    by_number: dict[str, list[Recorded]] = defaultdict(list)
    for one in recorded:
        by_number[_number(one)].append(one)
    found = []
    for order in orders.values():
        made = by_number[order.number]
        for one in made:
            picture = order.pictures.get(one.body[0].get("updatedAt", ""))
            if picture is None or _shown(picture) != _pushed(one.body[0]):
                what = f"request {one.number} pushed a picture that the shop never sent: {one.body[0]}"
                found.append(Violation("wrong", what, order.number, "", "portal"))
        for first, second in pairwise(made):
            # The same key is one delivery: after a lost answer it may be pushed again, the portal keeps it once.
            if first.body == second.body and (not first.key or first.key != second.key):
                what = f"requests {first.number} and {second.number} pushed the same picture"
                found.append(Violation("twice", what, order.number, "", "portal"))
        if order.needs <= answered:
            last = _pushed(made[-1].body[0]) if made else None
            if last != _shown(order.newest):
                what = f"the portal was told {last} at last, and the newest picture is {_shown(order.newest)}"
                found.append(Violation("lost" if not made else "outcome", what, order.number, "", "portal"))
    return found


def _scheme() -> dict[str, Any]:
    secret = demo_env("shop", "SHOP_WEBHOOK_SECRET")
    return {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": [secret]}
