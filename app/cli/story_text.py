"""The story of a return as text that people at a fulfillment center read: one line a happening, details indented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from app.core.contents import told
from app.core.jsontext import dump_text
from app.model import Json

_WIDTH = 100
_INDENT = " " * 25
#: Words for what happened, as people say them.
_WORDS = {
    "question": "asked",
    "fetch": "fetched",
    "lookup": "looked up",
    "probe": "probed",
    "call": "called",
    "act": "by hand",
    "end": "result",
}
_LONGEST = 60
#: Of an answer: so many lines, and so many items of a list.
_ANSWER_LINES = 12
_ANSWER_ITEMS = 3


def lines(story: Mapping[str, Any], *, short: bool = False) -> Iterator[str]:
    """A story of `pipeline.story`, masked before, line by line; `short` leaves out what was sent and answered."""
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
        if not short:
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
    elif what == "question":
        yield f"{_INDENT}{entry['question_id']}"
    elif what == "route":
        yield f"{_INDENT}{entry['delivery_id']}"
    elif what == "call":
        yield from _call(entry)
    elif what in ("fetch", "lookup", "probe"):
        yield _INDENT + _line(entry["request"])
        yield from (f"{_INDENT}< {line}" for line in in_short(_answered(entry)))
    elif what == "end" and entry.get("todo"):
        yield f"{_INDENT}{entry['todo']}"


def _call(entry: Mapping[str, Any]) -> Iterator[str]:
    request = entry["request"]
    yield _INDENT + _line(request)
    for name, used in (request.get("references") or {}).items():
        yield f"{_INDENT}refs.{name}: {used['from']} is {used['to']} ({used['origin']})"
    yield from (f"{_INDENT}> {line}" for line in outline(request.get("body")))
    yield from (f"{_INDENT}< {line}" for line in bounded(_answered(entry), request.get("body")))


def _answered(entry: Mapping[str, Any]) -> Json:
    """The body, or the text that was none; what went wrong when no answer came; None when there is nothing to show."""
    response = entry["response"]
    if told(response):
        return None
    return response.get("body", response.get("text", response.get("what"))) or None


def in_short(answer: Json) -> Iterator[str]:
    """An answer as one line at most: whole when it fits, else the first keys and how many items lists hold."""
    if answer is None:
        return
    text = dump_text(answer)
    if isinstance(answer, list):
        text = f"items: {len(answer)}"
    elif isinstance(answer, dict) and len(text) > _WIDTH:
        text = ", ".join(f"{key}: {_size(item)}" for key, item in answer.items())
    yield text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def _size(item: Json) -> str:
    if isinstance(item, list):
        return f"{len(item)} items" if len(item) != 1 else "1 item"
    return "{…}" if isinstance(item, dict) else dump_text(item)


def bounded(answer: Json, sent: Json = None) -> Iterator[str]:
    """An answer as a few lines: long lists end early, and so does the whole. What was sent is not said again."""
    echoed: list[str] = []
    if isinstance(answer, dict) and isinstance(sent, dict):
        echoed = [key for key, item in answer.items() if key in sent and sent[key] == item]
        answer = {key: item for key, item in answer.items() if key not in echoed} or None
    found = outline(_few(answer))
    yield from islice(found, _ANSWER_LINES - 1)
    if rest := list(found):
        yield rest[0] if len(rest) == 1 else f"… {len(rest)} lines more, see --json"
    if echoed:
        yield f"… and as sent: {', '.join(echoed)}"[:_WIDTH]


def _few(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _few(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    more = len(value) - _ANSWER_ITEMS
    return [_few(item) for item in value[:_ANSWER_ITEMS]] + ([f"… {more} more"] if more > 0 else [])


def _line(request: Mapping[str, Any]) -> str:
    if gone := told(request):
        return f"{request.get('method', '')} content {gone}".strip()
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
