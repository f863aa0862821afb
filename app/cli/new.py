"""`backhaul new connector`: a connector to start from, which passes `check` and `test`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from app.cli.context import Cli, pass_cli
from app.errors import HubError

_SKELETON = Path(__file__).parent / "skeleton"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@click.group("new")
def new_command() -> None:
    """Start something new from a skeleton."""


@new_command.command("connector")
@click.argument("name")
@pass_cli
def connector(cli: Cli, name: str) -> None:
    """Write connectors/NAME and mappings/return.to_NAME.yaml into the site, with comments. Overwrites nothing."""
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r}: small letters, digits and _, for example acme_wms")
    site = cli.settings.site
    folder, mapping = site / "connectors" / name, site / "mappings" / f"return.to_{name}.yaml"
    for path in (folder, mapping):
        if path.exists():
            raise HubError(f"{path} is there already")
    written = [_write(_SKELETON / "mapping.yaml", mapping, name)]
    for source in sorted(_SKELETON.rglob("*")):
        if source.is_file() and source.name != "mapping.yaml":
            written.append(_write(source, folder / source.relative_to(_SKELETON), name))
    for path in written:
        click.echo(f"wrote {path.relative_to(site)}")
    click.echo(_next(name))


def _write(source: Path, target: Path, name: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8").replace("NAME_UPPER", name.upper()).replace("NAME", name)
    target.write_text(text, encoding="utf-8")
    return target


def _next(name: str) -> str:
    return f"""
Next:
  1. backhaul test {name}        passes now; make it say what the real API says
  2. config/connections.yaml     add below `connections:`, or write
       connections:
         {name}:
           connector: {name}
           settings: {{base_url: "https://…", token: "${{{name.upper()}_TOKEN}}"}}
  3. config/routes.yaml          add below `routes:`, or write
       routes:
         - route: announce_to_{name}
           change: return.labelled
           calls: [{{to: {name}.announce_return, mapping: return.to_{name}}}]
  4. backhaul check, then backhaul try announce_to_{name} --fixture FILE"""
