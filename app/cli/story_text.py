"""The story of a return as text that people at a fulfillment center read: one line a happening, details indented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.core.jsontext import dump_text
from app.model import Json

_WIDTH = 100
_INDENT = " " * 25
#: Words for what happened, as people say them.
_WORDS = {
    "fetch": "fetched",
    "lookup": "looked up",
    "probe": "probed",
    "call": "called",
    "act": "by hand",
    "end": "result",
}
_LONGEST = 60


def lines(story: Mapping[str, Any]) -> Iterator[str]:
    """A story of `pipeline.story`, masked before, line by line."""
    for one in story["objects"]:
        yield f"{one['kind'].capitalize()} {one['id']} from {one['connection']}"
    for kind, values in story["numbers"].items():
        if kind != "event":
            yield f"  {kind:12} {', '.join(values)}"
    day = ""
    for entry in story["entries"]:
        if entry["at"][:10] != day:
            day = entry["at"][:10]
            yield f"\n{day} (times are UTC)"
        what = _WORDS.get(entry["what"], entry["what"])
        yield f"{entry['at'][11:23]}  {what:9}  {entry['title']}"
        yield from _details(entry)
    if story["open"]:
        yield "\nNot over yet:"
    for entry in story["open"]:
        yield f"  {entry['id']}  {entry['title']}"
        if entry["todo"]:
            yield f"    {entry['todo']}"


def _details(entry: Mapping[str, Any]) -> Iterator[str]:
    what = entry["what"]
    if what == "event":
        yield f"{_INDENT}{entry['event_id']}"
    elif what == "route":
        yield f"{_INDENT}{entry['delivery_id']}"
    elif what == "call":
        yield from _call(entry)
    elif what in ("fetch", "lookup", "probe"):
        yield _INDENT + _line(entry["request"])
    elif what == "end" and entry.get("todo"):
        yield f"{_INDENT}{entry['todo']}"


def _call(entry: Mapping[str, Any]) -> Iterator[str]:
    request, response = entry["request"], entry["response"]
    yield _INDENT + _line(request)
    for name, used in (request.get("references") or {}).items():
        yield f"{_INDENT}refs.{name}: {used['from']} is {used['to']} ({used['origin']})"
    yield from (f"{_INDENT}> {line}" for line in outline(request.get("body")))
    answered = response.get("body", response.get("text", response.get("what")))
    if entry["outcome"] != "delivered":
        yield from (f"{_INDENT}< {line}" for line in outline(answered))


def _line(request: Mapping[str, Any]) -> str:
    text = f"{request['method']} {request['url']}"
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def outline(value: Json) -> Iterator[str]:
    """JSON as short lines: what fits stays on one, lists and objects that do not are indented."""
    if value is None:
        return
    flat = dump_text(value)
    if not isinstance(value, dict | list) or len(flat) <= _LONGEST:
        yield flat[:_WIDTH]
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _under(f"{key}: ", item)
    else:
        for item in value:
            yield from _under("- ", item)


def _under(head: str, item: Json) -> Iterator[str]:
    flat = dump_text(item)
    if not isinstance(item, dict | list) or len(head) + len(flat) <= _WIDTH:
        yield head + (flat if len(flat) <= _WIDTH else f"{flat[:_WIDTH]}…")
        return
    if head == "- ":
        for number, line in enumerate(outline(item)):
            yield ("- " if number == 0 else "  ") + line
        return
    yield head.rstrip()
    yield from (f"  {line}" for line in outline(item))
