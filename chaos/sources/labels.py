"""Labels: returns of a returns platform, whose printed labels become announcements at the warehouse.

Every return has 1 to 3 orders with numbers of any look, 1 to 4 lines and 1 to 3 parcels. Some are told twice, late, out
of order or again; labels fail, or are lost and made again; returns are cancelled; the ERP learns some orders later, and
of a few it has two.
"""

from __future__ import annotations

from random import Random
from typing import Any

from chaos.plan import Ask, SourcePlan
from chaos.sources.kit import Times, first_number
from chaos.sources.labels_messages import Story
from chaos.sources.labels_oracle import Oracle, Told

#: What happens to a return, and how often in a hundred.
_FATES = {"plain": 58, "late": 16, "conflict": 4, "cancelled": 12, "relabelled": 6, "unlabelled": 4}
#: Of a hundred plain ones with several parcels so many lose their last label and get it again, which is no news.
_VOIDED = 30
_NUMBERS = (
    "#1{n:07d}",
    "{n:09d}E4",
    "1{n}e5",
    "0x{n:X}1F",
    "1_{n:09d}",
    "None{n}",
    "9{n:019d}",
    "{n} A ",
    " {n}",
    "2024\u2013{n}",
    "\u2014{n}\u2010B",
    "0{n}",
    "#{n}/2",
    "{n}.0",
    "no-{n}",
)
_ERP_NUMBERS = ("{n:010d}", "{n}E4", "0x{n:X}", "1_{n}", "SO {n}", "-{n}")


def plan(random: Random, count: int, names: str, seconds: float = 60.0) -> SourcePlan:
    """So many messages about returns, and the announcements, tracking numbers and cancellations that follow."""
    made, times, oracle = SourcePlan("labels"), Times(random, seconds), Oracle()
    number = first_number(names)
    orders: list[dict[str, str]] = []
    # No merchant's table knows by itself which word the platform uses for a return that was cancelled.
    made.site_lines = {"mappings/tables/returnista_return_state.csv": ("Cancelled,cancelled",)}
    place = 0
    while (room := count - len(made.messages)) > 0:
        place += 1
        told, story, asked = _return(random, f"{names}-L{place:05d}", number, times, room)
        number += len(told.orders)
        orders += [row for row in asked.pop("now")]
        made.messages += story.messages(asked)
        oracle.add(told, story)
    made.seeds = [Ask("erp", "/_sim/seed", {"orders": orders})]
    made.expected, made.needs = oracle.expected, oracle.needs
    made.effect_of, made.rank_of, made.owns, made.check = oracle.effect_of, oracle.rank_of, oracle.owns, oracle.check
    return made


def _return(
    random: Random, name: str, number: int, times: Times, room: int
) -> tuple[Told, Story, dict[str, list[dict[str, str]]]]:
    """One return with at most `room` messages: what it is, its story, and when the ERP learns its orders."""
    fate = random.choices(list(_FATES), list(_FATES.values()))[0]
    if room < 3 and fate not in ("conflict", "unlabelled"):
        fate = "plain"
    # A return with a conflict has one parcel: all that follows for its order waits for a person.
    parcels = 1 if fate in ("conflict", "unlabelled") or room < 6 else random.choice((1, 1, 1, 2, 2, 3))
    if fate == "plain" and parcels > 1 and Random(f"{name} voided").random() * 100 < _VOIDED:
        fate = "voided"
    lines_count = random.randint(1, 4)
    orders = [
        random.choice(_NUMBERS).format(n=number + place) for place in range(min(lines_count, random.randint(1, 3)))
    ]
    lines: list[dict[str, Any]] = [
        {
            "order": orders[place] if place < len(orders) else random.choice(orders),
            "sku": random.choice(("SHIRT-M", "0012345", "1e3", "SHOE 42", "MUG-01")),
            "quantity": random.choice((1, 1, 1, 2, 3)),
        }
        for place in range(lines_count)
    ]
    erp = {order: random.choice(_ERP_NUMBERS).format(n=number + place) for place, order in enumerate(orders)}
    told = Told(name, orders, lines, erp, cancelled=fate == "cancelled", labelled=fate != "unlabelled")
    rows = [{"externalNumber": order.removeprefix("#"), "number": erp[order]} for order in orders]
    asked: dict[str, list[dict[str, str]]] = {"now": rows, "later": []}
    if fate == "late":
        split = random.randint(1, len(rows))
        asked = {"now": rows[split:], "later": rows[:split]}
        told.late = set(orders[:split])
    if fate == "conflict":
        asked["now"].append({**rows[0], "number": f"{rows[0]['number']}-2"})
        told.conflicts = {orders[0]}
    return told, Story(random, told, parcels, fate, times, room), asked
