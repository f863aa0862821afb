"""`backhaul erase`: remove a person; what happened, and the numbers of the business, stay."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from app.cli.context import Cli, pass_cli, who
from app.cli.output import json_option, print_json
from app.errors import HubError

if TYPE_CHECKING:
    from app.core.masking import Masker

_SHOWN = 12
_LEFT = (
    "Not touched: backups made before, the log files of a PostgreSQL server, and the vendors' own systems, which may "
    "send the person again."
)


@click.command("erase")
@click.option("--order", help="Whoever placed the order with this number.")
@click.option("--return", "return_", metavar="NUMBER", help="Whoever sends the return with this number.")
@click.option("--email", help="Whoever has this e-mail address; every content is searched for it. Try --order first.")
@click.option("--dry-run", is_flag=True, help="Only show what would be touched.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Give up what is not over yet; without it nothing is erased then.")
@click.option("--because", default="", help="Why, for those who look later. Write no name here.")
@json_option
@pass_cli
def erase_command(
    cli: Cli,
    order: str | None,
    return_: str | None,
    email: str | None,
    dry_run: bool,
    yes: bool,
    force: bool,
    because: str,
    as_json: bool,
) -> None:
    """Remove a person from events, documents, tries, translations, tasks and the audit.

    What happened, when and with which outcome stays, and so do the numbers of orders, returns, parcels and systems:
    `backhaul trace` still tells the story, without contents. That somebody was erased is kept in the audit; an e-mail
    address only as its SHA-256.
    """
    given = [(kind, value) for kind, value in (("order", order), ("return", return_), ("email", email)) if value]
    if len(given) != 1:
        raise click.UsageError("say whom: one of --order, --return and --email")
    kind, value = given[0]
    if kind == "email" and "@" not in value:
        raise click.UsageError("--email takes a whole address, name@host")
    masker = cli.site(allow_missing_env=True, whole=True).masker()
    person = cli.ledger.person_by_email(value) if kind == "email" else cli.ledger.person_by_number(kind, value)
    counts = person.counts
    if not any(counts.values()):
        raise HubError(f"nothing has that {'address' if kind == 'email' else f'{kind} number'}")
    if not as_json:
        _show(counts, person.numbers, masker)
    if dry_run:
        if as_json:
            print_json({"erased": False, "found": counts, "numbers": _numbers(person.numbers, masker)})
        return
    if not yes:
        click.confirm("Erase this for good?", abort=True, err=True)
    cli.ledger.erase(person, who(), _target(kind, value), because, masker, force=force)
    clean = cli.ledger.scrub_file()
    if as_json:
        print_json({"erased": True, "found": counts, "numbers": _numbers(person.numbers, masker), "file_clean": clean})
        return
    click.echo("erased")
    if not clean:
        click.echo(
            "the log beside the ledger's file is still read by others: run `backhaul erase` again later", err=True
        )
    click.echo(_LEFT)


def _target(kind: str, value: str) -> str:
    """Who was erased, as the audit tells it: numbers as they are, an address by its digest."""
    if kind != "email":
        return f"{kind}:{value}"
    return f"email:sha256:{hashlib.sha256(value.strip().casefold().encode()).hexdigest()}"


def _show(counts: Mapping[str, int], numbers: Sequence[tuple[str, str]], masker: Masker) -> None:
    click.echo("found: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count))
    shown = [f"{one['kind']} {one['value']}" for one in _numbers(numbers, masker)]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    if shown:
        click.echo(f"numbers that stay searchable, if they are no address: {', '.join(shown[:_SHOWN])}{more}")


def _numbers(numbers: Sequence[tuple[str, str]], masker: Masker) -> list[dict[str, Any]]:
    return [{"kind": kind, "value": masker.text(value)} for kind, value in numbers]
