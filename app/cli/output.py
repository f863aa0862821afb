"""How lists and verdicts are printed: a table for people, one JSON value for machines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import click

from app.errors import ConfigError, HubError
from app.model import Json

#: Adds `--json` to a list.
json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
#: Adds `--limit` to a list.
limit_option: Callable[[Any], Any] = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many."
)

_CELL = 60
_SHORTEST_SECRET = 4


def complain(error: Exception) -> int:
    """Say on stderr what went wrong; what to exit with: 2 for faults of configuration, 1 for everything else."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return 2
    if isinstance(error, HubError):
        click.echo(f"backhaul: {error}", err=True)
        return 1
    what = str(error).splitlines()[0] if str(error) else "no details"
    kind = type(error).__name__
    click.echo(f"backhaul: a fault of the hub itself: {kind}: {what} (BACKHAUL_DEBUG=1 shows where)", err=True)
    return 1


def rows(found: Sequence[Mapping[str, Json]], columns: Sequence[str], *, as_json: bool, none: str) -> None:
    """Print rows with these columns; `none` is said when there are none. JSON holds every field of a row."""
    if as_json:
        print_json(list(found))
        return
    if not found:
        click.echo(none)
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in found]
    heads = [column.replace("_", " ") for column in columns]
    widths = [max(len(line[index]) for line in [heads, *cells]) for index in range(len(columns))]
    for line in [heads, *cells]:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo(text.rstrip())


def print_json(value: Json) -> None:
    """Print a value in one line, for machines."""
    from app.core.jsontext import dump_text

    click.echo(dump_text(value))


def pretty(value: Json) -> str:
    """JSON over several lines, numbers exactly as they are."""
    import simplejson

    return str(simplejson.dumps(value, use_decimal=True, indent=2, ensure_ascii=False))


def hide(text: str, secrets: Collection[str]) -> str:
    """The text with every secret value blotted out."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _cell(value: Json) -> str:
    if value is None:
        return "-"
    text = " ".join(str(value).split())
    # Ids and times stay whole, to be copied; sentences are cut.
    return text if len(text) <= _CELL or " " not in text else text[: _CELL - 1] + "…"
