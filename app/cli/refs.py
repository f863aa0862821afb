"""`backhaul refs`: the cross-references, shown, set by hand and imported."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli.context import Cli, pass_cli, who
from app.cli.output import json_option, limit_option, rows
from app.errors import DataError, HubError
from app.model import Reference, ReferenceKey

_COLUMNS = ("at", "kind", "from_system", "scope", "id", "to_system", "to_id", "state", "origin", "superseded_at")
_BATCH = 500


@click.group("refs")
def refs_command() -> None:
    """Which number of one system is which of another, who says so, and since when."""


@refs_command.command("show")
@click.argument("number", required=False)
@limit_option
@json_option
@pass_cli
def show(cli: Cli, number: str | None, limit: int, as_json: bool) -> None:
    """List translations with their history, the newest first; only those from or to NUMBER when it is given."""
    found = cli.ledger.references(number, limit)
    rows(cli.masked(found), _COLUMNS, as_json=as_json, none="no translations are known")


@refs_command.command("set")
@click.argument("kind")
@click.argument("number")
@click.argument("to_number", metavar="IS")
@click.option("--from", "from_system", help="The system that NUMBER is of; may be left out where only one is known.")
@click.option("--to", "to_system", help="The system that IS is of; may be left out where only one is known.")
@click.option("--scope", default="", help="The scope of the reference file, where it has one.")
@pass_cli
def set_(
    cli: Cli, kind: str, number: str, to_number: str, from_system: str | None, to_system: str | None, scope: str
) -> None:
    """Say that NUMBER of KIND in one system IS that in another; what waits for it goes on.

    For example: backhaul refs set order '#1004800' 0000012E4 --from shop --to erp
    """
    key = ReferenceKey(*_known(cli, kind, from_system, to_system), number, scope)
    released = cli.ledger.set_reference(key, to_number, who())
    click.echo(f"{key} is {to_number}; {len(released)} released")


@refs_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", required=True)
@click.option("--from", "from_system", help="The system of the column `from`; may be left out where only one is known.")
@click.option("--to", "to_system", help="The system of the column `to`; may be left out where only one is known.")
@click.option("--scope", default="", help="The scope of the reference file, where it has one.")
@pass_cli
def import_(cli: Cli, file: Path, kind: str, from_system: str | None, to_system: str | None, scope: str) -> None:
    """Take over translations from a CSV FILE with the columns `from` and `to`. Numbers are taken as they stand."""
    names = _known(cli, kind, from_system, to_system)
    now, count, released = datetime.now(UTC), 0, 0
    batch: list[Reference] = []
    for line, number, to_number in _read(file):
        key = ReferenceKey(*names, number, scope)
        evidence = {"file": f"{file.name}:{line}", "by": who()}
        batch.append(Reference(key, to_number, "import", now, evidence))
        count += 1
        if len(batch) == _BATCH:
            released += _put(cli, batch)
            batch = []
            click.echo(f"{count} …", err=True)
    released += _put(cli, batch)
    click.echo(f"{count} taken over; {released} released")


def _put(cli: Cli, references: list[Reference]) -> int:
    released = 0
    with cli.ledger.write() as tx:
        for reference in references:
            released += len(tx.put_reference(reference))
        if references:
            # One row for all of them: what each was before stands in its history, and each names its line and who.
            first = references[0]
            tx.audit(who(), "refs import", str(first.key), None, {"rows": len(references), **first.evidence})
    return released


def _read(file: Path) -> Iterator[tuple[int, str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if not reader.fieldnames or not {"from", "to"} <= set(reader.fieldnames):
            raise HubError(
                f"{file}:1 has no columns `from` and `to`; it has {', '.join(reader.fieldnames or ['none'])}"
            )
        for row in reader:
            number, to_number = row["from"], row["to"]
            if not number or not to_number:
                raise HubError(f"{file}:{reader.line_num} lacks a number")
            yield reader.line_num, number, to_number


def _known(cli: Cli, kind: str, from_system: str | None, to_system: str | None) -> tuple[str, str, str]:
    """The one reference file that is meant, as (kind, from, to)."""
    from app.core.references import one_meant

    try:
        return one_meant(cli.site(allow_missing_env=True).references, kind, from_system, to_system)
    except DataError as error:
        raise click.BadParameter(str(error)) from None
