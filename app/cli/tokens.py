"""`backhaul token`: who may use the HTTP API, and as what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from app.cli.context import Cli, pass_cli, who
from app.cli.output import json_option, print_json, rows
from app.core.api_tokens import ROLES, Role

_COLUMNS = ("id", "name", "role", "state", "made_at", "made_by", "expires_at", "used_at", "revoked_at", "revoked_by")


@click.group("token")
def token_command() -> None:
    """Who may use the HTTP API: one token for each person or machine.

    A reader may read everything; an operator may also act (retry, resolve, set references, pause and resume, close
    tasks); an admin may also make and revoke tokens.
    """


@token_command.command("new")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What its holder may do.")
@click.option("--expires", metavar="TIME", help="How long it opens anything, such as 90d or 12h. Default: for ever.")
@json_option
@pass_cli
def new(cli: Cli, name: str, role: Role, expires: str | None, as_json: bool) -> None:
    """Make a token for NAME, and print it. It is shown this once: only its digest is kept."""
    until = _until(expires)
    token, text = cli.ledger.new_api_token(name, role, who(), until)
    if as_json:
        print_json({**token.view(datetime.now(UTC)), "token": text})
        return
    click.echo(text)
    ends = f"until {token.view(datetime.now(UTC))['expires_at']}" if until else "until it is revoked"
    click.echo(f"{token.who} is {role} {ends}; the token is not shown again", err=True)


@token_command.command("list")
@json_option
@pass_cli
def list_(cli: Cli, as_json: bool) -> None:
    """List all tokens that were ever made, the newest first; never the tokens themselves."""
    now = datetime.now(UTC)
    found = [token.view(now) for token in cli.ledger.api_tokens()]
    rows(found, _COLUMNS, as_json=as_json, none="no tokens; `backhaul token new` makes one")


@token_command.command("revoke")
@click.argument("name_or_id")
@pass_cli
def revoke(cli: Cli, name_or_id: str) -> None:
    """Let the token NAME_OR_ID open nothing any more. Every process of the hub knows it within 2 seconds."""
    token = cli.ledger.revoke_api_token(name_or_id, who())
    click.echo(f"{token.who} is revoked")


def _until(text: str | None) -> datetime | None:
    from app.core.times import seconds

    if text is None:
        return None
    try:
        wanted = seconds(text)
        if wanted <= 0:
            raise ValueError
        return datetime.now(UTC) + timedelta(seconds=wanted)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no time to live; write 90d or 12h", param_hint="--expires") from None
