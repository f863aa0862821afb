"""Poison: two returns of the platform that take down whoever works on them, and must take down nothing else.

The first one's announcement kills the worker that makes it, for as long as that fault lasts: it may be announced, once,
or be set aside. Of the second one the run's site has a mapping that swells beyond all bounds; its own announcement has
nothing to do with that and must be made.
"""

from __future__ import annotations

from random import Random

from chaos.plan import Ask, SourcePlan
from chaos.sources.kit import Times, first_number
from chaos.sources.labels_messages import Story
from chaos.sources.labels_oracle import Oracle, Told
from chaos.stage_site import POISON_CALL, POISON_MAPPING


def plan(random: Random, count: int, names: str, seconds: float = 60.0) -> SourcePlan:
    """The messages of both returns, or of the first one only: there are no more than two. They are sent early."""
    made, times, oracle = SourcePlan("poison"), Times(random, seconds * 0.2), Oracle()
    number = first_number(f"{names} poison")
    orders = []
    for place, name in enumerate((POISON_CALL, POISON_MAPPING)[:count]):
        order, erp = f"#P{number + place}", f"{number + place}E4"
        orders.append({"externalNumber": order.removeprefix("#"), "number": erp})
        lines = [{"order": order, "sku": "MUG-01", "quantity": 1}]
        told = Told(name, [order], lines, {order: erp}, poison=name == POISON_CALL)
        story = Story(random, told, 1, "plain", times, 1)
        made.messages += story.messages({"later": []})
        oracle.add(told, story)
    made.seeds = [Ask("erp", "/_sim/seed", {"orders": orders})]
    made.expected, made.needs = oracle.expected, oracle.needs
    made.effect_of, made.rank_of, made.owns, made.check = oracle.effect_of, oracle.rank_of, oracle.owns, oracle.check
    return made
