"""The environment, and the `.env` file beneath it. The only reader of `os.environ`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from app.errors import ConfigError
from app.model import Problem

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def environment(root: Path | None = None, env_file: Path | None = None) -> dict[str, str]:
    """The process's environment, beneath it `env_file`, or the `.env` of the site's folder when there is one.

    Raises `ConfigError` when `env_file` is not there or a line of the file makes no sense.
    """
    real = dict(os.environ)
    path = env_file or (root or Path(real.get("BACKHAUL_SITE") or ".")) / ".env"
    if not env_file and not path.is_file():
        return real
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), 1, 1, f"cannot be read: {error}", "correct the file's name")]) from None
    return {**read_env(text, str(path)), **real}


def read_env(text: str, file: str) -> dict[str, str]:
    """The variables of a `.env` text: NAME=value, quotes allowed, `#` begins a comment. Raises `ConfigError`."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        value = _value(match[2]) if match else None
        if match and value is not None:
            found[match[1]] = value
        else:
            what = "a quote is not closed" if match else "the line is no NAME=value"
            problems.append(Problem(file, number, 1, what, "write NAME=value, or NAME='value'", "env"))
    if problems:
        raise ConfigError(problems)
    return found


def _value(text: str) -> str | None:
    quoted = re.fullmatch(r"""'([^']*)'(?:\s+\#.*)?|"((?:[^"\\]|\\.)*)"(?:\s+\#.*)?""", text)
    if quoted and quoted[1] is not None:
        return quoted[1]
    if quoted:
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), quoted[2])
    if text[:1] in ("'", '"'):
        return None
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
