"""`backhaul import` and `export`: a whole ledger moved from SQLite to PostgreSQL, begun at either end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli, who
from app.cli.output import json_option, print_json

if TYPE_CHECKING:
    from app.bootstrap import Moved

_VARIABLE = "BACKHAUL_EXPORT_TO"


@click.command("import")
@click.option("--from", "source", required=True, metavar="FILE", help="The SQLite ledger: its file, or its URL.")
@click.option("--give-up", is_flag=True, help="Do not move it after all: hubs may work on FILE again.")
@json_option
@pass_cli
def import_command(cli: Cli, source: str, give_up: bool, as_json: bool) -> None:
    """Move the SQLite ledger FILE, with all that is in it, into the PostgreSQL that DATABASE_URL names, which is empty.

    Stop the hub first, all of it; from the beginning of the move none starts on FILE. Whatever interrupts it, the same
    command goes on where it was. In the end every row is read again on both sides and compared. FILE stays as it is.

    To give up a move that was begun: --give-up, and drop the PostgreSQL database.
    """
    url = source if "://" in source else f"sqlite:///{Path(source).absolute()}"
    keeper = bootstrap.ledger_keeper(cli.settings, cli.env)
    if give_up:
        keeper.give_up_move(url)
        click.echo(f"{bootstrap.ledger_name(url)} is a ledger of its own again; drop what was copied of it")
        return
    with bootstrap.running_lock(cli.settings.var_dir):
        moved = keeper.take_from(url, who(), _Telling(quiet=as_json))
    _say(moved, bootstrap.ledger_name(bootstrap.database_url(cli.settings)), as_json=as_json)


@click.command("export")
@click.option("--to", "target", metavar="URL", help=f"The PostgreSQL database, without a password (else {_VARIABLE}).")
@json_option
@pass_cli
def export_command(cli: Cli, target: str | None, as_json: bool) -> None:
    """Move the SQLite ledger of this hub into an empty PostgreSQL database: `backhaul import` from the other end.

    A URL with a password belongs into the environment, as BACKHAUL_EXPORT_TO: arguments can be read by everybody on
    the machine. Afterwards let DATABASE_URL name the new one.
    """
    url = target or cli.env.get(_VARIABLE)
    if not url:
        raise click.UsageError(f"say where to: --to URL, or {_VARIABLE} in the environment")
    if target and urlsplit(target).password:
        raise click.UsageError(f"no password in an argument: put the URL into the environment as {_VARIABLE}")
    keeper = bootstrap.ledger_keeper(cli.settings, cli.env)
    with bootstrap.running_lock(cli.settings.var_dir):
        moved = keeper.move_to(url, who(), _Telling(quiet=as_json))
    _say(moved, bootstrap.ledger_name(url), as_json=as_json)


def _say(moved: Sequence[Moved], name: str, *, as_json: bool) -> None:
    if as_json:
        tables = [{"table": one.table, "rows": one.rows, "digest": one.digest} for one in moved]
        print_json({"ledger": name, "tables": tables})
        return
    for one in moved:
        click.echo(f"{one.table:20} {one.rows:>12,}  {one.digest}")
    click.echo(f"\nevery row is the same on both sides; {name} is the ledger now: let DATABASE_URL name it")


class _Telling:
    """How far the move is, a line a table on stderr."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._table = quiet, ""

    def __call__(self, table: str, done: int, whole: int) -> None:
        """So many rows of so many."""
        if self._quiet:
            return
        ends = "\n" if self._table and self._table != table else "\r" if self._table else ""
        self._table = table
        click.echo(f"{ends}{table:32} {done:>12,} of {whole:,}", nl=False, err=True)
        if table.endswith("compared"):
            click.echo(err=True)
            self._table = ""
