"""Every demo plays to its end in one process, before and after all others on the same simulators."""

from __future__ import annotations

import yaml

from tests.connectors.example_site import ROOT
from tests.flows.kit import Flows

DEMOS = sorted(
    path.stem
    for path in (ROOT / "config" / "demo").glob("*.yaml")
    if "simulators" not in yaml.safe_load(path.read_text(encoding="utf-8"))
)


def _no_one_waits(flows: Flows) -> None:
    assert {state for states in flows.routes().values() for state in states} <= {"done", "skipped"}, flows.routes()
    assert {event["state"] for event in flows.events()} <= {"done", "ignored"}
    assert not flows.tasks()


def test_all_demos_play_one_after_the_other(flows: Flows) -> None:
    for name in DEMOS:
        flows.play(name)
    _no_one_waits(flows)


def test_all_demos_play_the_other_way_round(flows: Flows) -> None:
    for name in reversed(DEMOS):
        flows.play(name)
    _no_one_waits(flows)
