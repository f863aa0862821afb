"""`backhaul deliveries`, `dead` and `parked`: what is to be done, what failed for good, and what waits for a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, limit_option, rows

_STATES = ("ready", "running", "waiting", "parked", "conflict", "in_doubt", "done", "skipped", "dead")
_COLUMNS = ("id", "object_id", "route", "lane", "part", "state", "due_at", "because")
_EVENT_COLUMNS = ("id", "connection", "type", "state", "received_at", "because")


@click.command("deliveries")
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@click.option("--lane", help="Only those that go to this connection.")
@click.option("--route", help="Only those of this route.")
@limit_option
@json_option
@pass_cli
def deliveries_command(
    cli: Cli, state: str | None, lane: str | None, route: str | None, limit: int, as_json: bool
) -> None:
    """List deliveries, the newest first."""
    wanted = (("state", state), ("lane", lane), ("route", route))
    found = cli.masked(cli.ledger.deliveries({name: value for name, value in wanted if value}, limit))
    rows(found, _COLUMNS, as_json=as_json, none="no deliveries")


@click.command("dead")
@limit_option
@json_option
@pass_cli
def dead_command(cli: Cli, limit: int, as_json: bool) -> None:
    """List what ended without success: deliveries, and events that could not be read. `retry` wakes them."""
    _both(cli, ("dead",), ("dead", "unknown", "unreadable"), limit, as_json, "nothing is dead")


@click.command("parked")
@limit_option
@json_option
@pass_cli
def parked_command(cli: Cli, limit: int, as_json: bool) -> None:
    """List what waits for a number or a word that nobody knows yet, for a choice, or for somebody to judge an answer.

    `refs set` tells a number and releases what waits for it; `retry` and `resolve` settle the others.
    """
    _both(cli, ("parked", "conflict"), ("parked",), limit, as_json, "nothing is parked")


def _both(
    cli: Cli, delivery_states: Sequence[str], event_states: Sequence[str], limit: int, as_json: bool, none: str
) -> None:
    deliveries = cli.masked(
        [row for state in delivery_states for row in cli.ledger.deliveries({"state": state}, limit)]
    )
    events = cli.masked([row for state in event_states for row in cli.ledger.events({"state": state}, limit)])
    if as_json:
        found: list[dict[str, Any]] = [{"what": "delivery", **row} for row in deliveries]
        rows(found + [{"what": "event", **row} for row in events], (), as_json=True, none=none)
        return
    if deliveries or not events:
        rows(deliveries, _COLUMNS, as_json=False, none=none)
    if events:
        if deliveries:
            click.echo()
        rows(events, _EVENT_COLUMNS, as_json=False, none=none)
