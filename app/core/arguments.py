"""Which arguments an operation needs, against those that somebody gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.core.reading import Node
from app.core.words import did_you_mean
from app.model import Json

#: `args.rma`, but not `args.filter | default(…)` and not `args.filter is defined`.
_NEEDED = re.compile(r"\bargs\.([A-Za-z_][A-Za-z0-9_]*)(?!\w)(?!\s*\|\s*default\b)(?!\s+is\s+(?:not\s+)?defined)")
_NAMED = re.compile(r"\bargs\.([A-Za-z_][A-Za-z0-9_]*)")


def check_arguments(operation: Node, given: Json, at: Node, who: str) -> None:
    """Report arguments that the operation needs and `given` lacks, and given ones that it does not know."""
    if not isinstance(given, dict) or any(key.startswith("$") for key in given):
        return
    parts = [operation.get(key).value for key in ("path", "query", "headers")]
    texts = [text for part in parts for text in texts_in(part)]
    needed = {name for text in texts for name in _NEEDED.findall(text)}
    known = {name for text in texts for name in _NAMED.findall(text)}
    rest = " ".join(texts_in([operation.get(key).value for key in ("responses", "capture", "probe", "paging")]))
    known.update(_NAMED.findall(rest))
    name = operation.path[-1]
    for missing in sorted(needed - set(given)):
        at.report(f"{who} does not give {name} its argument {missing!r}", f"add {missing} to the arguments", "argument")
    for extra in sorted(set(given) - known):
        at.report(f"{name} has no argument {extra!r}", did_you_mean(extra, known), "argument")


def texts_in(value: Json) -> Iterator[str]:
    """Every text in a JSON value, but for keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
