"""`backhaul retry`, `resolve`, `pause` and `resume`: what people do by hand. Each is kept in the audit."""

from __future__ import annotations

from typing import Literal

import click

from app.cli.context import Cli, pass_cli, who
from app.cli.freshness import older_files
from app.errors import HubError


@click.command("retry")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--again", is_flag=True, help="Send deliveries that are done once more: the world undid what they did.")
@click.option("--why", default="", help="With --again: what undid it, for those who look later.")
@click.option("--call", type=click.IntRange(1), help="With --again: the first call to repeat. Default: the last one.")
@pass_cli
def retry_command(cli: Cli, ids: tuple[str, ...], again: bool, why: str, call: int | None) -> None:
    """Look again now at these events (evt_…) and deliveries (dlv_…).

    Takes what is dead, unknown, unreadable, parked, in conflict or waiting. What is in doubt is for `resolve`.

    What is done stays done, unless you say --again and --why: a refund, for example, that was accepted and then failed
    at the bank. It is sent under a new idempotency key, so that the target does not answer with what it did before.
    """
    if again and not why.strip():
        raise click.UsageError("--again needs --why: say what undid it")
    if not again and (why or call):
        raise click.UsageError("--why and --call belong to --again")
    if again:
        retried = cli.ledger.send_again(ids, who(), why.strip(), call)
        fault = "not sent again, because there is no such delivery, it is not done, its content is gone" + (
            f" or made no call {call}" if call else ""
        )
    else:
        retried = cli.ledger.retry(ids, who())
        fault = "not retried, because there is no such thing, it does not wait, or its content is gone"
    for one in retried:
        click.echo(f"{one} is due now" + (", under a new key" if again else ""))
    if retried and (hint := older_files(cli)):
        click.echo(hint, err=True)
    if left := [one for one in ids if one not in retried]:
        raise HubError(f"{fault}: {', '.join(left)}")


@click.command("resolve")
@click.argument("delivery_id", metavar="ID")
@click.argument("verdict", type=click.Choice(["delivered", "retry", "dead"]))
@pass_cli
def resolve_command(cli: Cli, delivery_id: str, verdict: Literal["delivered", "retry", "dead"]) -> None:
    """Settle a delivery in doubt, or one that waits for a person.

    It is done (delivered), send it again (retry), or give it up (dead). So is a question of a bridge in doubt
    (brq_…): what it stands at is done, or is sent again when the question comes again.
    """
    if delivery_id.startswith("brq_"):
        _settle_question(cli, delivery_id, verdict)
        return
    row = cli.ledger.delivery(delivery_id)
    if row is None:
        raise HubError(f"no delivery {delivery_id}")
    from app.core.routing import lane_after

    next_lane = lane_after(cli.site(allow_missing_env=True).routes, row["route"], row["step"])
    settled = cli.ledger.resolve(delivery_id, verdict, who(), next_lane=next_lane)
    if not settled:
        raise HubError(f"{delivery_id} is {row['state']}: not in doubt, and not waiting for a person")
    click.echo(f"{delivery_id} is settled: {verdict}")


def _settle_question(cli: Cli, question_id: str, verdict: Literal["delivered", "retry", "dead"]) -> None:
    if verdict == "dead":
        raise HubError("a question cannot be given up: say whether its call worked (delivered) or not (retry)")
    if not cli.ledger.settle_bridge(question_id, verdict, who()):
        raise HubError(f"{question_id} is not in doubt, or there is no such question")
    click.echo(f"{question_id} is settled: {verdict}; it goes on when it is asked again")


@click.command("pause")
@click.argument("connection")
@click.option("--because", default="paused by hand", show_default=True, help="Why, for those who find it paused.")
@pass_cli
def pause_command(cli: Cli, connection: str, because: str) -> None:
    """Stop calling CONNECTION. Events are still received; what goes to it waits."""
    _known(cli, connection)
    cli.ledger.pause(connection, because, who())
    click.echo(f"{connection} is paused; `backhaul resume {connection}` goes on")


@click.command("resume")
@click.argument("connection")
@pass_cli
def resume_command(cli: Cli, connection: str) -> None:
    """Call CONNECTION again, whatever paused it; what waited for it is due now."""
    _known(cli, connection)
    cli.ledger.resume(connection, who())
    click.echo(f"{connection} goes on")
    if hint := older_files(cli):
        click.echo(hint, err=True)


def _known(cli: Cli, connection: str) -> None:
    names = cli.site(allow_missing_env=True).connections
    if connection not in names:
        raise click.BadParameter(f"no connection {connection!r}; there are {', '.join(sorted(names))}")
