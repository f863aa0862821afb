"""Each source, played against the real pipeline without faults: the judge finds nothing, however the events come."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from types import ModuleType
from typing import Any

import pytest

from app.adapters.files import load_site
from app.core.connectors import Limits
from app.core.networks import THIS_MACHINE
from app.core.site import Site
from chaos.compare import compare_ledger
from chaos.judge import SESSIONS, Verdict, judge
from chaos.plan import Ask, Recorded, SourcePlan, Try
from chaos.sender import Sender
from chaos.sources import fulfillment_returns, gradings, labels, orders, poison, store_returns
from tests.connectors.example_site import ROOT
from tests.flows import conftest
from tests.flows.kit import Flows, _plan, _with_address

SOURCES = [labels, store_returns, fulfillment_returns, orders, gradings]
#: The whole hub of the example site in one process.
hub = conftest.flows


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.__name__).rpartition(".")[2])
def test_the_same_random_numbers_give_the_same_plan(source: ModuleType) -> None:
    first, second, other = (source.plan(Random(seed), 40, "same", 5.0) for seed in (1, 1, 2))
    assert [(one.body, one.at_s, one.copies) for one in first.messages] == [
        (one.body, one.at_s, one.copies) for one in second.messages
    ]
    assert (first.expected, first.needs) == (second.expected, second.needs)
    assert [one.body for one in first.messages] != [one.body for one in other.messages]


@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.__name__).rpartition(".")[2])
def test_a_plan_has_as_many_messages_as_were_asked_for(source: ModuleType, count: int) -> None:
    plan = source.plan(Random(count), count, "count", 5.0)
    assert len(plan.messages) == count
    assert len({(one.source, one.event_id) for one in plan.messages}) == count
    assert all(0 <= one.at_s <= 5.0 for one in plan.messages)
    known = {one.event_id for one in plan.messages}
    assert all(needs <= known for needs in plan.needs.values())
    assert set(plan.needs) == set(plan.expected)


def _return_of(one: Recorded) -> str:
    """The path of the return that a request to the warehouse changed."""
    return one.path.rpartition("/")[0]


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.__name__).rpartition(".")[2])
@pytest.mark.parametrize("seed", [1, 2])
def test_played_without_faults_every_effect_is_there_exactly_once(hub: Flows, source: ModuleType, seed: int) -> None:
    plan = source.plan(Random(seed), 60, f"s{seed}", 0.5)
    played = play(hub, plan)
    verdict = played.judge()
    assert [str(one) for one in verdict.violations] == []
    assert not verdict.unanswered
    assert verdict.demanded.total() == plan.expected.total()
    assert verdict.found.total() > 20
    cancelled = {_return_of(one) for one in played.recorded if one.operation == "cancel_return"}
    for one in [one for one in played.recorded if one.effect and one.operation not in SESSIONS]:
        # A push of an order that another one follows may be left out: who saw only the newest picture made only one.
        # A parcel that became known together with the cancellation of its return need not be told.
        untold = one.operation == "update_tracking" and _return_of(one) in cancelled
        if one.operation != "push_orders" and not untold:
            assert played.judge(without=one).violations, f"nobody misses {one.operation} {one.effect}"
        again = replace(one, number=one.number + 100_000, headers={}, at=one.at + 100, ended_at=one.ended_at + 100)
        assert played.judge(more=again).violations, f"nobody sees twice {one.operation} {one.effect}"


@pytest.mark.slow
def test_all_sources_in_one_hub_leave_each_other_alone(hub: Flows) -> None:
    plans = [source.plan(Random(3), 30, "all", 0.5) for source in SOURCES] + [poison.plan(Random(3), 2, "all", 0.5)]
    verdict = play(hub, *plans).judge()
    assert [str(one) for one in verdict.violations] == []
    assert set(verdict.found) == {plan.name for plan in plans}


@dataclass(frozen=True, slots=True)
class Played:
    """What came of plans."""

    plans: tuple[SourcePlan, ...]
    tries: list[Try]
    recorded: list[Recorded]

    def judge(self, without: Recorded | None = None, more: Recorded | None = None) -> Verdict:
        """The verdict on it; with one request taken away, or one more."""
        recorded = [one for one in self.recorded if one is not without] + ([more] if more else [])
        return judge(self.plans, self.tries, recorded, timeout_s=30.0)


def play(hub: Flows, *plans: SourcePlan) -> Played:
    """Send plans' messages while the hub works, let it settle, and compare."""
    hub.open(example_site(tuple(item for plan in plans for item in sorted(plan.site_lines.items()))))
    alone = threading.Lock()

    def ask(wanted: Ask) -> None:
        with alone:
            hub._post(wanted.simulator, wanted.path, wanted.value)

    for wanted in (wanted for plan in plans for wanted in plan.seeds):
        ask(wanted)
    sender = Sender(hub.url, [message for plan in plans for message in plan.messages], ask, until_s=30.0, threads=4)
    sender.start()
    while not sender.wait(0.02):
        hub.run()
    if any(plan.name == "gradings" for plan in plans):
        hub.poll("nshift")
    # Longer than anything waits for a number that the ERP knows by now.
    hub.later(120, times=4)
    made = recorded(hub)
    compared = compare_ledger(hub.ledger, sender.log, made)
    assert [str(one) for one in compared.violations] == []
    assert compared.dead == compared.in_doubt == []
    return Played(plans, sender.log, made)


def recorded(hub: Flows) -> list[Recorded]:
    """All that the simulators recorded."""
    names = ("number", "at", "ended_at", "operation", "path", "headers", "body", "status", "effect", "misbehaved")
    return [
        Recorded(simulator=name, **{field: getattr(one, field) for field in names})
        for name, simulator in hub.sims.items()
        for one in simulator.requests
    ]


@cache
def example_site(lines: Sequence[tuple[str, tuple[str, ...]]]) -> Site:
    """The example site with its simulators' addresses, and what a source wants to stand in its files."""
    folder = Path(mkdtemp(prefix="backhaul-chaos-test-"))
    try:
        for name in ("config", "mappings"):
            shutil.copytree(ROOT / name, folder / name)
        for path, more in lines:
            with (folder / path).open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in more)
        env: dict[str, Any] = {
            key: _with_address(str(text), name)
            for name, one in _plan()["simulators"].items()
            for key, text in one.get("env", {}).items()
        }
        site = load_site(folder, env={**env, "BACKHAUL_ALLOW": THIS_MACHINE})
    finally:
        shutil.rmtree(folder)
    return replace(site, connections={n: replace(c, limits=Limits()) for n, c in site.connections.items()})
