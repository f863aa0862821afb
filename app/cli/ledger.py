"""`backhaul ledger verify`: is what the ledger holds sound and unaltered?"""

from __future__ import annotations

import click

from app import bootstrap
from app.cli.backup import need_stopped, restored, say, wary_option, wary_s
from app.cli.context import Cli, pass_cli, who
from app.cli.output import json_option, print_json


@click.group("ledger")
def ledger_command() -> None:
    """Look after the ledger."""


@ledger_command.command("verify")
@json_option
@pass_cli
def verify_command(cli: Cli, as_json: bool) -> None:
    """Check every row: whatever has not ended is due, what waits says why, nothing is without what it belongs to, and
    no try at a call and no act by hand was altered, removed or put in later (they are sealed in a chain).

    May run while the hub works. Ends with 1 when something is wrong, and names it.
    """
    kept, checks = cli.ledger.kept(), []
    for check in cli.ledger.checks():
        found = [{"row": fault.row, "what": fault.what} for fault in cli.ledger.verify(check)]
        checks.append({"check": check, "faults": found})
        if not as_json:
            click.echo(f"{check:24} {'ok' if not found else f'{len(found)} wrong'}")
            for fault in found:
                click.echo(f"  {fault['row']} {fault['what']}")
    wrong = sum(len(check["faults"]) for check in checks)
    if as_json:
        print_json({"rows": kept, "checks": checks, "sound": not wrong})
    else:
        rows = ", ".join(f"{count:,} {name}" for name, count in kept.items())
        click.echo(f"\n{rows}: {'sound' if not wrong else f'{wrong} faults'}")
    if wrong:
        raise click.exceptions.Exit(1)


@ledger_command.command("restored")
@wary_option
@json_option
@pass_cli
def restored_command(cli: Cli, wary_for: str, as_json: bool) -> None:
    """Say that the ledger was put back by other means than `backhaul restore`: a copied file, a snapshot of the disk.

    Does what `backhaul restore` does after it: nobody holds anything any more, and what may have been sent is doubted.
    The hub, all of it, must be stopped.
    """
    wary = wary_s(wary_for)
    need_stopped(cli)
    cli.close()
    keeper = bootstrap.ledger_keeper(cli.settings, cli.env)
    with bootstrap.running_lock(cli.settings.var_dir):
        restore = keeper.mark_restored(who(), wary)
    told = restored(cli, restore)
    if as_json:
        print_json(told)
    else:
        say(told)


@ledger_command.command("trust")
@pass_cli
def trust_command(cli: Cli) -> None:
    """Say after a restore that every source has told again what it told before: what is made from now on is new."""
    if cli.ledger.caught_up(who()):
        click.echo("what is made from now on is sent without a look; workers know it within some seconds")
    else:
        click.echo("nothing waits for that: no restore was made, or its time is over")
