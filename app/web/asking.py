"""What a request of the API asks for: limits, filters and what its body says, with the answer when it is no good."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask import request

from app.core.jsontext import loads
from app.errors import DataError
from app.model import Json
from app.pipeline.receive import clean
from app.web.answers import Refusal
from app.web.ports import Row

LIMIT = 100
MAX_LIMIT = 500
_LONGEST_TEXT = 300
#: No route has more calls.
MOST_CALLS = 1_000
#: Bytes of a request's body: it says a few words.
_LARGEST_BODY = 64 * 1024


def check_text() -> None:
    """Let the request pass if no text of its path and query has a NUL, which no ledger takes. Raises Refusal."""
    texts = (request.path, *(text for pair in request.args.items(multi=True) for text in pair))
    if any("\x00" in text for text in texts):
        raise Refusal(400, "bad_text", "the path or a parameter holds a NUL (%00): there is nothing of that name")


def asked(ask: Callable[[Mapping[str, str], int], Sequence[Row]], filters: Mapping[str, str]) -> Sequence[Row]:
    """The rows that a question gives. Raises Refusal for a filter that there is not, and a limit out of bounds."""
    wanted = limit()
    try:
        return ask(filters, wanted)
    except ValueError as error:
        raise Refusal(400, "bad_filter", str(error)) from None


def limit() -> int:
    """How many rows are wanted. Raises Refusal."""
    text = request.args.get("limit", str(LIMIT))
    # Its length first: with noughts before it a number may be of any length.
    if not (len(text) <= 9 and text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT):
        raise Refusal(400, "bad_limit", f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def filters(*names: str) -> dict[str, str]:
    """The filters of these names that the request has. Raises Refusal for an empty one."""
    given = {name: request.args[name] for name in names if name in request.args}
    if empty := [name for name, value in given.items() if not value]:
        # A script whose variable is unset would be told of everything, and take it for what it asked for.
        raise Refusal(400, "bad_filter", f"the filter {empty[0]!r} is empty: give it a value, or leave it out")
    return given


def found(row: Any, what: str, name: str) -> Any:
    """The row. Raises Refusal when there is none."""
    if row is None:
        raise Refusal(404, "not_found", f"there is no {what} {name!r}")
    return row


def said(name: str) -> str:
    """What the request's JSON body says under a name; empty when it says nothing. Raises Refusal for no text."""
    text = given(name)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise Refusal(400, "bad_body", f"`{name}` must be a text of at most {_LONGEST_TEXT} signs")
    return text


def given(name: str) -> Json:
    """What the request's JSON body holds under a name; None when it holds nothing. Raises Refusal for another body.

    An act whose body cannot be read is not carried out: what it says may be what matters.
    """
    request.max_content_length = _LARGEST_BODY
    try:
        body: Json = loads(request.get_data() or b"{}")
    except DataError as error:
        raise Refusal(400, "bad_body", f"the body is no JSON: {clean(str(error))[:_LONGEST_TEXT]}") from None
    if not isinstance(body, Mapping):
        raise Refusal(400, "bad_body", "the body must be a JSON object")
    return body.get(name)


def flag(name: str) -> bool:
    """Whether the body says yes under a name; False when it says nothing. Raises Refusal for no truth value."""
    value = given(name)
    if value is not None and not isinstance(value, bool):
        raise Refusal(400, "bad_body", f"`{name}` must be true or false")
    return bool(value)


def call_number() -> int | None:
    """Which call of the route the body means, counted from 1; None when it says nothing. Raises Refusal."""
    value = given("call")
    if value is None:
        return None
    # To JSON 2.0 is the same number as 2.
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value not in range(1, MOST_CALLS + 1):
        raise Refusal(400, "bad_call", f"call is the number of a call of the route, from 1 to {MOST_CALLS}")
    return int(value)


def number(name: str, longest: int = _LONGEST_TEXT) -> str:
    """A number of some system, exactly as the body has it. Raises Refusal when it is no text, empty or too long."""
    text = given(name)
    if not isinstance(text, str) or not text.strip() or len(text) > longest:
        raise Refusal(400, "bad_body", f"`{name}` must be a text of 1 to {longest} signs: ids are texts")
    return text
