"""The `backhaul` command. Each command is a file of this folder, loaded only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

from app.cli.context import Cli
from app.cli.output import complain
from app.errors import ConfigError, HubError

__all__ = ["main"]

#: Where each command lives. Loading late keeps `up`, which lives as long as the hub, small.
_COMMANDS = {
    "up": "up",
    "check": "check",
    "test": "cases",
    "try": "try_route",
    "send": "send",
    "trace": "trace",
    "events": "events",
    "deliveries": "deliveries",
    "dead": "deliveries",
    "parked": "deliveries",
    "tasks": "tasks",
    "questions": "questions",
    "poll": "poll",
    "retry": "acts",
    "resolve": "acts",
    "pause": "acts",
    "resume": "acts",
    "refs": "refs",
    "token": "tokens",
    "audit": "audit",
    "erase": "erase",
    "ledger": "ledger",
    "backup": "backup",
    "restore": "backup",
    "import": "move",
    "export": "move",
    "doctor": "doctor",
    "migrate": "migrate",
    "new": "new",
    "demo": "demo",
    "chaos": "chaos",
    "web": "processes",
    "worker": "processes",
    "clock": "processes",
}


class Commands(click.Group):
    """A group that imports a command when it is asked for, and turns the hub's errors into plain lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which people meet them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; its function is called like it, `try` and `test` with `_command` behind."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"app.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Problems of configuration end with 2, everything else that went wrong with 1."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # `backhaul events | head`: nobody reads on, and that is fine.
            sys.stderr.close()
            ctx.exit(0)
        except Exception as error:
            if isinstance(ctx.obj, Cli) and ctx.obj.debug and not isinstance(error, ConfigError | HubError):
                raise
            ctx.exit(complain(error))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--site", type=click.Path(path_type=Path), help="The merchant's folder (else BACKHAUL_SITE, else here).")
@click.option(
    "--env",
    "env_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of NAME=value lines to use in place of the site's .env; the real environment wins over both.",
)
@click.version_option(package_name=None, version="0.1.0", prog_name="backhaul")
@click.pass_context
def main(ctx: click.Context, site: Path | None, env_file: Path | None) -> None:
    """Backhaul: a hub for product returns. Start with `backhaul check`, then `backhaul up`."""
    # A forked process of `up` brings its own.
    ctx.obj = ctx.obj or Cli(site, env_file)
    ctx.call_on_close(ctx.obj.close)
