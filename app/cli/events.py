"""`backhaul events`: what came in, and what was turned away."""

from __future__ import annotations

import click

from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, limit_option, rows
from app.core.times import iso

_STATES = ("received", "running", "waiting", "parked", "done", "ignored", "unknown", "unreadable", "dead", "rejected")


@click.command("events")
@click.option("--state", type=click.Choice(_STATES), help="Only these; `rejected` were turned away at the door.")
@click.option("--connection", help="Only from this connection.")
@limit_option
@json_option
@pass_cli
def events_command(cli: Cli, state: str | None, connection: str | None, limit: int, as_json: bool) -> None:
    """List events, the newest first. Rejected requests are kept without their bodies, the last 1,000."""
    if state == "rejected":
        turned_away = [
            {"at": iso(one.at), "connection": one.connection, "cause": one.cause}
            for one in cli.ledger.rejections(limit)
            if connection in (None, one.connection)
        ]
        rows(turned_away, ("at", "connection", "cause"), as_json=as_json, none="nothing was turned away")
        return
    filters = {name: value for name, value in (("state", state), ("connection", connection)) if value}
    found = cli.masked(cli.ledger.events(filters, limit))
    columns = ("received_at", "id", "connection", "type", "state", "due_at", "because")
    rows(found, columns, as_json=as_json, none="no events")
