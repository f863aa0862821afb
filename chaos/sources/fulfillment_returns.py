"""Fulfillment returns: goods that a coordinating fulfiller accepts piece by piece, each of which is paid back once.

Its messages have no version: of two pictures that are equally far the hub asks which is true. So an accepted quantity
may be paid in one refund or in several; what counts is that they add up to exactly what was accepted, item by item.
Some are accepted by mistake: when that is told the vendor shows it no more, and nothing of it may be paid.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from chaos.plan import Ask, Message, Recorded, SourcePlan, Violation
from chaos.sources.kit import Headers, Times, demo_env, first_number
from connectors.digital_river.mail import HEADER, as_sent, signed
from connectors.digital_river.samples import T0, build_event, build_fulfillment_order, build_return, sample_id

_CONNECTION = "digital_river"
#: How many of a hundred returns were accepted by mistake.
_MISTAKES = 12


@dataclass(slots=True)
class _Return:
    """One return, and how many of each of the order's items were accepted in the end."""

    id: str
    order: str
    accepted: Counter[str] = field(default_factory=Counter)
    needs: frozenset[str] = frozenset()


def plan(random: Random, count: int, names: str, seconds: float = 60.0) -> SourcePlan:
    """So many messages about fulfillment returns; the refunds that follow are judged by their sums."""
    made, times = SourcePlan("fulfillment_returns"), Times(random, seconds)
    number, orders = 5_000_000_000 + first_number(names), []
    returns: dict[str, _Return] = {}
    while (room := count - len(made.messages)) > 0:
        number += 1
        spec = _order(random, number)
        orders.append(spec)
        told, messages = _story(random, names, spec, times, room)
        returns[told.id] = told
        made.messages += messages
    made.seeds = [Ask("refunds", "/_sim/seed", {"orders": orders})]
    by_order = {one.order for one in returns.values()}
    made.owns = lambda recorded: (
        (recorded.simulator, recorded.operation) == ("refunds", "create_refund")
        and str(recorded.body.get("orderId")) in by_order
    )
    made.check = lambda recorded, answered: _check(returns, recorded, answered)
    return made


def _order(random: Random, number: int) -> dict[str, Any]:
    items = [
        {
            "id": number * 10 + place,
            "article": random.choice(("TEE-RED-M", "00777", "1e5")),
            "order_item": f"{number}{place}",
            "quantity": random.randint(1, 5),
            "price": random.choice(("10.00", "24.95", "0.10")),
        }
        for place in range(random.randint(1, 3))
    ]
    return {"id": number, "order": f"US-{random.choice(('', '0', '1e', '1_'))}{number}", "items": items}


def _story(random: Random, names: str, spec: dict[str, Any], times: Times, room: int) -> tuple[_Return, list[Message]]:
    """One return of the whole order: created, and then accepted in up to three steps."""
    order = build_fulfillment_order(spec)
    told = _Return(f"{names}-ret-{spec['id']}", spec["order"])
    wanted = {
        "upstreamId": spec["order"],
        "items": [{"fulfillmentOrderItemId": str(one["id"]), "quantity": one["quantity"]} for one in order["items"]],
    }
    pictures = [build_return(told.id, order, wanted, T0)]
    for _ in range(random.randint(1, 3)):
        if (after := _more(random, pictures[-1])) is not None:
            pictures.append(after)
    mistaken = Random(f"{told.id} mistaken").random() * 100 < _MISTAKES
    for item, one in zip(pictures[-1]["items"], order["items"], strict=True):
        if item["quantityAccepted"] and not mistaken:
            told.accepted[str(one["upstreamId"])] += item["quantityAccepted"]
    steps = list(enumerate(pictures))[-room:]
    # Skipped, told late, told again: what is true in the end is told at least once.
    steps = [one for one in steps if one[0] == len(pictures) - 1 or random.random() < 0.8]
    if random.random() < 0.4:
        random.shuffle(steps)
    made: list[Message] = []
    held, at_s = -1, times.begin()
    for place, picture in steps:
        before = []
        if place > held:
            held = place
            before.append(Ask("refunds", "/_sim/seed", {"returns": [pictures[0] if mistaken else picture]}))
        event_id = sample_id("event", told.id, str(place))
        body = as_sent(build_event(event_id, f"fulfillment_return.{picture['state']}", picture, T0))
        copies = random.choice((1, 1, 2, 3))
        made.append(Message(_CONNECTION, told.id, event_id, at_s, body, _headers(body), tuple(before), copies))
        at_s = times.later(at_s)
    told.needs = frozenset(one.event_id for one in made)
    return told, made


def _more(random: Random, picture: dict[str, Any]) -> dict[str, Any] | None:
    """The return with more of its items accepted; None when all of them are."""
    items = []
    for item in picture["items"]:
        more = random.randint(0, item["quantity"] - item["quantityAccepted"])
        accepted = item["quantityAccepted"] + more
        items.append({**item, "quantityAccepted": accepted, "state": "accepted" if accepted else "pending"})
    return {**picture, "items": items, "state": "accepted"} if items != picture["items"] else None


def _headers(body: bytes) -> Headers:
    secret = demo_env("refunds", "DIGITAL_RIVER_WEBHOOK_SECRET")
    return lambda now: {"Content-Type": "application/json", HEADER: signed(body, [secret], now)}


def _check(returns: dict[str, _Return], recorded: Sequence[Recorded], answered: frozenset[str]) -> list[Violation]:
    """Refunds of each return and item add up to what was accepted."""
    paid: dict[str, Counter[str]] = defaultdict(Counter)
    found = []
    for one in recorded:
        id_ = str((one.body.get("metadata") or {}).get("fulfillment_return"))
        told = returns.get(id_)
        if told is None or told.order != one.body["orderId"] or one.body["currency"] != "USD":
            what = f"order {one.body['orderId']} was refunded in {one.body['currency']} for return {id_}"
            found.append(Violation("uncalled", what, id_, "", "refunds"))
            continue
        for item in one.body["items"]:
            paid[id_][str(item["itemId"])] += item["quantity"]
    for told in returns.values():
        # Events that were not answered may be kept all the same: less is then no loss, more is always too much.
        for item in sorted(told.accepted.keys() | paid[told.id].keys()):
            has, wanted = paid[told.id][item], told.accepted[item]
            if has > wanted or (has < wanted and told.needs <= answered):
                kind = "twice" if has > wanted else "lost"
                what = f"{has} of item {item} were refunded, {wanted} were accepted"
                found.append(Violation(kind, what, told.id, ", ".join(sorted(told.needs)[:3]), "refunds"))
    return found
