"""Gradings: returns of the shop's portal that the warehouse was told of, counts and grades.

The portal tells nobody of its returns: the hub looks for them by itself, and announces each to the warehouse. Once the
warehouse has decided every piece, the portal hears the result, once: that is what it refunds by. Messages before that
(received, graded in part) make nothing.
"""

from __future__ import annotations

from random import Random
from typing import Any

from chaos.plan import Ask, Effect, Message, Recorded, SourcePlan, effect
from chaos.sources.kit import Times, demo_env, first_number, moment, signed, written

_CONNECTION = "wms_eu"
_ANNOUNCE, _UPDATE = "announce_return", "wms_update"
_PRICE = {"net": "10.00", "tax": "2.10", "gross": "12.10"}


def plan(random: Random, count: int, names: str, seconds: float = 60.0) -> SourcePlan:
    """So many messages about gradings, and the announcements and results that follow."""
    made, times = SourcePlan("gradings"), Times(random, seconds)
    number = first_number(names)
    portal: list[dict[str, Any]] = []
    shop: list[dict[str, Any]] = []
    known: set[str] = set()
    while (room := count - len(made.messages)) > 0:
        number += 1
        order = f"W-{random.choice(('', '0', '1e'))}{number}R"
        lines = _lines(random, number)
        known |= {order, str(number)}
        # Just now, for the hub looks back some minutes; not all in one second, for by that it asks for one of them.
        portal.append(_portal_return(number, order, lines, f"{len(portal) % 90}s"))
        shop.append(_shop_order(number, order, lines))
        messages = _messages(random, names, number, order, lines, times, room)
        made.messages += messages
        # Nobody sends it: the hub finds the return by itself, and has until the end of the run for that.
        announced = _announced(f"{number}/{order}", _sums(lines, "quantity"))
        told = _told(str(number), order, _sums(lines, "accepted"), _sums(lines, "rejected"))
        made.expected |= {announced: 1, told: 1}
        made.needs |= {announced: frozenset(), told: frozenset({_graded_id(names, number)})}
    made.seeds = [Ask("shop", "/_sim/seed", {"orders": shop}), Ask("portal", "/_sim/seed", {"returns": portal})]
    made.effect_of = lambda recorded: _effect_of(known, recorded)
    return made


def _lines(random: Random, number: int) -> list[dict[str, Any]]:
    """What is returned, and how much of it the warehouse accepts."""
    lines = []
    for place in range(random.randint(1, 3)):
        quantity = random.randint(1, 3)
        accepted = random.randint(0, quantity)
        sku = random.choice(("0012345", "TEE-RED-M", "1e5"))
        lines.append(
            {
                "id": f"{number}{place}",
                "sku": sku,
                "quantity": quantity,
                "accepted": accepted,
                "rejected": quantity - accepted,
            }
        )
    return lines


def _portal_return(number: int, order: str, lines: list[dict[str, Any]], ago: str) -> dict[str, Any]:
    items = [{"sku": one["sku"], "orderItemId": one["id"], "quantity": one["quantity"]} for one in lines]
    return {"returnOrderId": number, "orderId": order, "createdAgo": ago, "currency": "EUR", "items": items}


def _shop_order(number: int, order: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"R{number}",
        "number": order,
        "state": "DELIVERED",
        # So long ago that nobody looks for it: only its prices are asked for.
        "updatedAt": "2020-01-01T00:00:00.000Z",
        "currency": "EUR",
        "customer": {"id": f"C-{number}"},
        "lines": [{**_of(one, "id", "sku", "quantity"), "price": _PRICE} for one in lines],
    }


def _messages(
    random: Random,
    names: str,
    number: int,
    order: str,
    lines: list[dict[str, Any]],
    times: Times,
    room: int,
) -> list[Message]:
    """Received, graded in part and graded, some of it skipped or late; the last word is always told."""
    steps = [("received", 1.0, 0.0), ("part", 1.0, 0.5), ("graded", 1.0, 1.0)]
    told = [one for one in steps[:-1] if random.random() < 0.6][: room - 1]
    told.append(steps[-1])
    if random.random() < 0.4:
        random.shuffle(told)
    made: list[Message] = []
    at_s = times.begin()
    for name, received, decided in told:
        version = 1 + [one[0] for one in steps].index(name)
        data = {
            "returnNumber": f"{names}-WR{number}",
            "rmaNumber": f"{number}/{order}",
            "returnId": str(number),
            "status": {"received": "RECEIVED", "part": "GRADING", "graded": "GRADED"}[name],
            "updatedAt": moment(version),
            "currency": "EUR",
            "orders": [{"shopOrder": order}],
            "lines": [_counted(place, one, order, received, decided) for place, one in enumerate(lines, 1)],
        }
        event_id = f"{names}-WR{number}-{name}"
        event = "return.received" if name == "received" else "return.graded"
        body = written({"event": event, "eventId": event_id, "occurredAt": moment(version), "data": data})
        copies = random.choice((1, 1, 1, 2, 3))
        headers = signed(_scheme(), body)
        made.append(Message(_CONNECTION, f"{names}-WR{number}", event_id, at_s, body, headers, copies=copies))
        at_s = times.later(at_s)
    return made


def _graded_id(names: str, number: int) -> str:
    return f"{names}-WR{number}-graded"


def _counted(place: int, line: dict[str, Any], order: str, received: float, decided: float) -> dict[str, Any]:
    """A line as the warehouse has it when so much of it is decided. In part never means all of it."""
    accepted, rejected = (int(line[name] * decided) for name in ("accepted", "rejected"))
    return {
        "line": str(place),
        "shopOrder": order,
        "orderLine": line["id"],
        "sku": line["sku"],
        "announced": line["quantity"],
        "received": int(line["quantity"] * received),
        "accepted": accepted,
        "rejected": rejected,
        "condition": "A",
        "price": {**_PRICE, "currency": "EUR"},
    }


# --- what must come of it -------------------------------------------------------------------------


def _effect_of(known: set[str], recorded: Recorded) -> Effect | None:
    body = recorded.body
    if (recorded.simulator, recorded.operation) == ("warehouse", _ANNOUNCE) and str(body.get("shopOrder")) in known:
        return _announced(body["rmaNumber"], {one["orderLine"]: one["quantity"] for one in body["lines"]})
    if (recorded.simulator, recorded.operation) == ("portal", _UPDATE):
        (told,) = body["returns"]
        if told["returnId"] in known:
            sums: dict[bool, dict[str, int]] = {True: {}, False: {}}
            for item in told["items"]:
                of = sums[item["isAccepted"]]
                of[item["forwardOrderItemId"]] = of.get(item["forwardOrderItemId"], 0) + item.get("quantity", 1)
            return _told(told["returnId"], told["forwardOrderId"], sums[True], sums[False])
    return None


def _announced(rma: str, lines: dict[str, int]) -> Effect:
    return effect(_ANNOUNCE, rma, *(f"{line} x{quantity}" for line, quantity in sorted(lines.items())))


def _told(number: str, order: str, accepted: dict[str, int], rejected: dict[str, int]) -> Effect:
    yes = (f"{line} accepted x{quantity}" for line, quantity in sorted(accepted.items()) if quantity)
    no = (f"{line} rejected x{quantity}" for line, quantity in sorted(rejected.items()) if quantity)
    return effect(_UPDATE, number, order, *yes, *no)


def _sums(lines: list[dict[str, Any]], name: str) -> dict[str, int]:
    return {one["id"]: one[name] for one in lines}


def _of(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: line[name] for name in names}


def _scheme() -> dict[str, Any]:
    secret = demo_env("warehouse", "WMS_WEBHOOK_SECRET")
    return {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": [secret]}
