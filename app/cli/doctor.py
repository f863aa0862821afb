"""`backhaul doctor`: is everything there that the hub needs?"""

from __future__ import annotations

import click

from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, print_json

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@click.option("--login", is_flag=True, help="Also log in once where a connection has to.")
@json_option
@pass_cli
def doctor_command(cli: Cli, login: bool, as_json: bool) -> None:
    """Look at files, secrets, ledger, Redis, clock and every connection; ends with 1 when anything fails.

    Sends nothing to a vendor, but for --login: it only tries whether a connection can be opened.
    """
    from app.cli.doctor_checks import examine

    findings = list(examine(cli, login=login))
    if as_json:
        print_json([{"level": one.level, "about": one.about, "what": one.what} for one in findings])
    else:
        width = max(len(one.about) for one in findings)
        for one in findings:
            click.echo(f"{click.style(one.level.ljust(4), _COLOURS[one.level])}  {one.about.ljust(width)}  {one.what}")
    if any(one.level == "fail" for one in findings):
        raise click.exceptions.Exit(1)
