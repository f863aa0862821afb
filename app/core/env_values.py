"""`${NAME}` and `${NAME:-default}` in config/*.yaml: values of the environment, always as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.core.source import Path, Source
from app.model import Json, Problem

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_INNER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


@dataclass(slots=True)
class Filled:
    """A file with its variables filled in; `paths` are the values that came from the environment."""

    source: Source
    paths: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def fill(source: Source, env: Mapping[str, str], *, allow_missing: bool = False) -> Filled:
    """The file with the environment's values. Every variable that is not set is a problem of its own.

    With `allow_missing` such a variable stays as it is written. A list item that becomes empty is left out, so that a
    second secret may be optional: `[${SECRET}, ${OLD_SECRET:-}]`.
    """
    filled = Filled(source)
    value = _fill(source.value, (), env, allow_missing, filled)
    filled.source = replace(source, value=value)
    return filled


def _fill(value: Json, path: Path, env: Mapping[str, str], allow_missing: bool, filled: Filled) -> Json:
    if isinstance(value, dict):
        return {key: _fill(item, (*path, key), env, allow_missing, filled) for key, item in value.items()}
    if isinstance(value, list):
        items = [(item, _fill(item, (*path, at), env, allow_missing, filled)) for at, item in enumerate(value)]
        return [made for item, made in items if made != "" or item == ""]
    if not isinstance(value, str) or "${" not in value:
        return value
    filled.paths.add(path)
    return _VARIABLE.sub(lambda found: _look_up(found, path, env, allow_missing, filled), value)


def _look_up(found: re.Match[str], path: Path, env: Mapping[str, str], allow_missing: bool, filled: Filled) -> str:
    where = filled.source.where(path)

    def report(what: str, todo: str) -> str:
        filled.problems.append(Problem(where.file, where.line, where.column, what, todo, "env"))
        return found[0]

    inner = _INNER.fullmatch(found[1])
    if not inner:
        return report(f"{found[0]} is no variable", "write ${NAME} or ${NAME:-default}")
    name, default = inner[1], inner[2]
    if env.get(name):
        return env[name]
    if default is not None:
        return default
    if name in env and not allow_missing:
        return report(f"the environment variable {name} is empty", "set it, or put it into .env of the site's folder")
    if allow_missing:
        return found[0]
    return report(f"the environment variable {name} is not set", "set it, or put it into .env of the site's folder")
