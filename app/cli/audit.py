"""`backhaul audit`: who did what by hand, when, and what it was before and after."""

from __future__ import annotations

import click

from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, limit_option, rows

_COLUMNS = ("at", "who", "act", "target", "before", "after")
_NONE = "nothing was done by hand that fits; without --who and --target all of it is listed"


@click.command("audit")
@click.option("--target", help="Only what was done to it: an id, connection:NAME, token:NAME or a reference's key.")
@click.option("--who", "by", metavar="NAME", help="Only what this user of the command line or holder of a token did.")
@limit_option
@json_option
@pass_cli
def audit_command(cli: Cli, target: str | None, by: str | None, limit: int, as_json: bool) -> None:
    """List what people did by hand, the newest first. It is sealed: see `backhaul ledger verify`."""
    found = cli.ledger.acts(target, limit, who=by)[::-1]
    rows(cli.masked(found), _COLUMNS, as_json=as_json, none=_NONE if target or by else "nobody did anything by hand")
