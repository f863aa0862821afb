"""`backhaul tasks`: what only a person can settle, and that it is settled."""

from __future__ import annotations

import click

from app.cli.context import Cli, pass_cli, who
from app.cli.output import json_option, limit_option, rows
from app.errors import HubError

_COLUMNS = ("id", "at", "kind", "connection", "object_id", "because")
_ALL_COLUMNS = (*_COLUMNS, "state", "closed_at", "closed_by", "note")


@click.group("tasks", invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help="Closed ones too.")
@limit_option
@json_option
@click.pass_context
def tasks_command(context: click.Context, every: bool, limit: int, as_json: bool) -> None:
    """List what waits for a person, the newest first.

    A task is raised when a source took back what others were told already, when its quantities cannot be, and when no
    label could be made for a parcel; a later label settles that by itself.
    `backhaul trace` with the number of the return, or with the task's id, tells the story behind it.
    """
    if context.invoked_subcommand is None:
        cli = context.ensure_object(Cli)
        found = cli.masked(cli.ledger.tasks({} if every else {"state": "open"}, limit))
        rows(found, _ALL_COLUMNS if every else _COLUMNS, as_json=as_json, none="no tasks" if every else "no open tasks")


@tasks_command.command("close")
@click.argument("task_id", metavar="ID")
@click.option("--note", default="", help="What was done about it, for those who look later.")
@pass_cli
def close(cli: Cli, task_id: str, note: str) -> None:
    """Say that the task ID (tsk_…) is settled. It is never raised again."""
    task = cli.ledger.task(task_id)
    if task is None:
        raise HubError(f"no task {task_id}; `backhaul tasks` lists them")
    if not cli.ledger.close_task(task_id, who(), note):
        raise HubError(f"{task_id} is closed already, since {task['closed_at']} by {task['closed_by']}")
    click.echo(f"{task_id} is closed")
