"""`backhaul demo`: the flows of the example site, with simulated vendors and a hub of its own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click

from app.cli.context import Cli, pass_cli
from app.cli.demo_plan import Ask, Flow, Plan, Run, Wait, fill, flows, read_plan
from app.cli.demo_stage import Stage, short
from app.errors import HubError


@click.command("demo")
@click.argument("flow", required=False, default="")
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
@click.option("--list", "listed", is_flag=True, help="List the flows that there are, and play none.")
@pass_cli
def demo_command(cli: Cli, flow: str, keep: bool, listed: bool) -> None:
    """Play FLOW, or all flows that config/demo.yaml names: simulated vendors, a hub of its own, and the story told.

    Needs no credentials and no network. Its ledger is kept in var/demo until the next demo.
    """
    site = cli.settings.site.absolute()
    if listed:
        for name in flows(site):
            click.echo(f"{name:26} {read_plan(site, name).title}")
        return
    plan = read_plan(site, flow)
    stage = Stage(site / plan.site, cli.settings.var_dir.absolute() / "demo", cli.env)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _play(plan, stage)
        _say_what_next(plan, stage, keep)
        if keep:
            click.echo("\nRunning; Ctrl-C stops everything.")
            stage.wait_for_the_hub()
            raise HubError("the hub ended by itself")
    except (HubError, KeyboardInterrupt) as error:
        if isinstance(error, HubError):
            stage.show_logs()
            raise
    finally:
        stage.stop()


def _play(plan: Plan, stage: Stage) -> None:
    """Play a plan to its end. Raises `HubError` when something does not happen in time."""
    stage.say(_sentence(plan.title))
    stage.start(plan.simulators)
    for flow in plan.flows:
        if len(plan.flows) > 1:
            click.echo(f"\n=== {flow.name}: {flow.title}\n")
        _play_flow(flow, stage)
        click.echo()
        stage.call("trace", flow.trace, *(["--short"] if len(plan.flows) > 1 else []))


def _play_flow(flow: Flow, stage: Stage) -> None:
    for name, value in flow.seed.items():
        stage.ask(name, "/_sim/seed", value)
    before = {step: _count(step, stage)() for step in flow.steps if isinstance(step, Wait)}
    for step in flow.steps:
        if isinstance(step, Ask):
            answer = stage.ask(step.simulator, step.path, fill(step.value, {"hub": stage.hub}))
            statuses = answer.get("statuses")
            heard = f"; the hub answered {', '.join(map(str, statuses))}" if isinstance(statuses, list) else ""
            stage.say(step.say + heard)
        elif isinstance(step, Run):
            stage.say(f"{step.say or 'by hand'}: backhaul {' '.join(step.arguments)}")
            stage.call(*(str(fill(word, {"hub": stage.hub})) for word in step.arguments), quiet=True)
        else:
            _wait(step, before[step], stage)


def _wait(step: Wait, before: int, stage: Stage) -> None:
    count = _count(step, stage)
    stage.wait_until(step.what, lambda: count() - before >= step.count)
    stage.say(f"→ {step.what}")


def _count(step: Wait, stage: Stage) -> Callable[[], int]:
    if step.route:
        return lambda: stage.done(step.route)
    return lambda: stage.effects(step.simulator, step.operation)


def _say_what_next(plan: Plan, stage: Stage, keep: bool) -> None:
    """Point to what is worth a look now."""
    script = Path(sys.executable).parent / "backhaul"
    backhaul = f"{short(script) if script.exists() else 'backhaul'} --env {short(stage.env_file)}"
    if plan.site:
        backhaul += f" --site {short(stage.site)}"
    click.echo("\nLook next:")
    click.echo("  the files that did it      config/routes.yaml, config/flows/, mappings/, connectors/")
    for flow in plan.flows:
        click.echo(f"  {flow.name:26} {backhaul} trace {flow.trace}")
    click.echo(f"  what it learned            {backhaul} refs show")
    if keep:
        click.echo(f"  the hub                    {stage.hub}/readyz  {stage.hub}/metrics")
        for name, url in stage.urls.items():
            click.echo(f"  {'the ' + name:26} {url}/_sim/requests")
    else:
        click.echo(f"  leave it running           make demo KEEP=1{f' FLOW={plan.flows[0].name}' if plan.site else ''}")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
