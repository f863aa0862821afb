"""`backhaul questions`: what bridges were asked and could not answer yet."""

from __future__ import annotations

import click

from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, limit_option, rows

_COLUMNS = ("id", "bridge", "key", "state", "updated_at", "because")
#: What the calls answered so far is whole, with the persons in it.
_NOT_SHOWN = ("calls", "answer")


@click.command("questions")
@limit_option
@json_option
@pass_cli
def questions_command(cli: Cli, limit: int, as_json: bool) -> None:
    """List questions of bridges with `once` that have no answer yet, the oldest first.

    What is waiting goes on when it is asked again; what is in doubt is for `resolve`.
    """
    found = [
        {name: value for name, value in row.items() if name not in _NOT_SHOWN} for row in cli.ledger.open_bridges(limit)
    ]
    rows(cli.masked(found), _COLUMNS, as_json=as_json, none="no question is open")
