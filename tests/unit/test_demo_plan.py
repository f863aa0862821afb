"""The plans of `backhaul demo` are read as they are written, and what cannot be played is said with its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from app.adapters.files import PROJECT
from app.cli import main
from app.cli.demo_plan import FILE, Ask, Run, Wait, flows, read_plan
from app.errors import ConfigError, HubError

PLAN = """
title: something happens
seed: {erp: {orders: []}}
steps:
  - {say: it happens, ask: shop, value: {to: "{hub}"}}
  - {run: [poll, shop.changed_orders]}
  - {what: it has come, wait: {route: announce, count: 2}}
trace: "00123"
"""
STAGE = """
title: everything
flows: [late]
simulators: {shop: {connector: acme_shop, options: [--token, 7], env: {SHOP_URL: "{url}"}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "config/demo").mkdir(parents=True)
    (tmp_path / FILE).write_text(STAGE)
    (tmp_path / "config/demo/late.yaml").write_text(PLAN)
    return tmp_path


def test_every_plan_of_the_example_site_can_be_played() -> None:
    whole = read_plan(PROJECT)
    names = {simulator.name for simulator in whole.simulators}
    assert whole.flows[0].name == "forecast"
    for name in flows(PROJECT):
        plan = read_plan(PROJECT, name)
        here = {simulator.name for simulator in plan.simulators}
        asked = {step.simulator for flow in plan.flows for step in flow.steps if isinstance(step, Ask | Wait)} - {""}
        assert plan.flows[0].trace and asked | set(plan.flows[0].seed) <= here and (plan.site or here == names), name


def test_a_flow_has_its_steps_and_the_simulators_of_the_whole(site: Path) -> None:
    plan, whole = read_plan(site, "late"), read_plan(site)
    assert (plan.flows, plan.simulators, plan.title) == (whole.flows, whole.simulators, "something happens")
    assert (
        plan.simulators[0].options == ("--token", "7") and plan.simulators[0].module == "connectors.acme_shop.simulator"
    )
    assert plan.flows[0].steps == (
        Ask("it happens", "shop", "/_sim/send", {"to": "{hub}"}),
        Run("", ("poll", "shop.changed_orders")),
        Wait("it has come", "", "", "announce", 2),
    )


def test_an_unknown_flow_is_told_with_those_there_are(site: Path) -> None:
    with pytest.raises(HubError, match=r"no flow 'early'.*late"):
        read_plan(site, "early")
    listed = CliRunner().invoke(main, ["--site", str(site), "demo", "--list"])
    assert listed.exit_code == 0 and listed.output.split(maxsplit=1) == ["late", "something happens\n"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("steps:", "stairs:"), ("count: 2", "count: two"), ("route: announce", "rote: announce"), ("title", ": {")],
)
def test_a_plan_that_cannot_be_played_names_its_file(site: Path, old: str, new: str) -> None:
    (site / "config/demo/late.yaml").write_text(PLAN.replace(old, new))
    with pytest.raises(ConfigError, match=r"config/demo/late\.yaml:1"):
        read_plan(site)
