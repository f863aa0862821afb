"""Fixtures on the command line: found by path or by name, changed by `--set path=value`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.core.jsontext import dumps, loads
from app.errors import DataError
from app.model import Json

if TYPE_CHECKING:
    from app.core.connectors import Connector

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def find_fixture(given: str, connector: Connector | None, site: Path, operation: str = "") -> Path:
    """The file that is meant: a path, a path from the site's folder, or the name of one of the connector's fixtures.

    Raises `click.BadParameter` that lists the connector's messages, or the answers of `operation`, closest first.
    """
    folder = connector.folder / "fixtures" if connector else None
    for path in (Path(given), site / given):
        if path.is_file():
            return path
    if folder:
        for name in (given, f"{given}.json"):
            if (folder / name).is_file():
                return folder / name
    names = _fitting(connector, operation)
    closest = sorted(names, key=lambda name: (-SequenceMatcher(None, given, name.removesuffix(".json")).ratio(), name))
    hint = f"; {folder} has\n  " + "\n  ".join(closest) if closest else ""
    raise click.BadParameter(f"no fixture {given!r}{hint}")


def _fitting(connector: Connector | None, operation: str) -> list[str]:
    """The names of the connector's fixtures that are messages, or answers of `operation`."""
    if connector is None:
        return []
    inbound = connector.inbound
    starts = (operation,) if operation else tuple({*inbound.types, *inbound.ignore} if inbound else ())
    return [path.name for path in (connector.folder / "fixtures").glob("*.json") if path.name.startswith(starts)]


def read_with(path: Path, settings: tuple[str, ...]) -> bytes:
    """The fixture's bytes, as they are when nothing is set. Raises `DataError`, `click.BadParameter`."""
    body = path.read_bytes()
    if not settings:
        return body
    value = loads(body)
    for setting in settings:
        set_value(value, setting)
    return dumps(value)


def set_value(value: Json, setting: str) -> None:
    """Carry out one `path=value` (text, or a number where one stands now) or `path:=json` in a JSON value."""
    path, sign, text = setting.partition("=")
    if not sign or not path:
        raise click.BadParameter(f"{setting!r}: write path=value, for example data.id=s-2, or path:=json")
    as_json = path.endswith(":")
    path = path.removesuffix(":")
    steps: list[str | int] = [name or int(index) for name, index in _STEP.findall(path)]
    rebuilt = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    if not steps or rebuilt != path:
        raise click.BadParameter(f"{path!r} is no path: write data.lines[0].sku")
    for step, following in pairwise(steps):
        value = _into(value, step, path, {} if isinstance(following, str) else [])
    _put(value, steps[-1], path, lambda now: loads(text) if as_json else _like(now, text))


def _into(value: Json, step: str | int, path: str, empty: Json) -> Json:
    _put(value, step, path, lambda now: now if isinstance(now, dict | list) else empty)
    return value[step]


def _put(value: Json, step: str | int, path: str, make: Callable[[Json], Json]) -> None:
    if isinstance(step, str) and isinstance(value, dict):
        value[step] = make(value.get(step))
    elif isinstance(step, int) and isinstance(value, list) and step <= len(value):
        if step == len(value):
            value.append(None)
        value[step] = make(value[step])
    else:
        raise click.BadParameter(f"{path!r}: there is nothing to set {step!r} in")


def _like(now: Json, text: str) -> Json:
    """Text stays text whatever it looks like; only where a number or a yes/no stands now may one follow."""
    if not isinstance(now, bool | int | Decimal):
        return text
    try:
        value = loads(text)
    except DataError:
        return text
    return value if isinstance(value, bool | int | Decimal) else text
