"""`backhaul trace`: what happened to a return, by any of its numbers."""

from __future__ import annotations

import click

from app.cli.context import Cli, pass_cli
from app.cli.output import json_option, print_json


@click.command("trace")
@click.argument("number")
@click.option("--short", is_flag=True, help="One line for each happening, without what was sent and answered.")
@json_option
@pass_cli
def trace_command(cli: Cli, number: str, short: bool, as_json: bool) -> None:
    """Tell the whole story of the returns that have NUMBER: RMA, order, ERP, tracking, barcode, event or WMS number.

    Persons and secrets are masked. Ends with 1 when nothing has that number.
    """
    from app.cli.story_text import lines
    from app.pipeline.story import tell

    found = cli.masker().value(tell(cli.ledger, number))
    stories = found["stories"]
    if as_json:
        print_json(found)
    elif not stories:
        click.echo(f"nothing has the number {number}", err=True)
    for index, story in enumerate(() if as_json else stories):
        if index:
            click.echo("\n" + "-" * 60 + "\n")
        if len(stories) > 1:
            click.echo(f"{index + 1} of {len(stories)} with the number {number}")
        for line in lines(story, short=short):
            click.echo(line)
    if not stories:
        raise click.exceptions.Exit(1)
