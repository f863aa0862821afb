"""Contents that were taken out of the ledger, by age or because a person wished it: what stands in their place."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from app.core.jsontext import dump_text
from app.core.masking import HIDDEN
from app.model import Document, Json

How = Literal["expired", "erased"]

#: The key under which it is told how a content went; no document of the hub has another key that begins so.
GONE = "$gone"
_ON = "on"
#: How every such text begins, for a quick look in a database.
BEGINS = '{"$gone":'
#: None is longer: whatever begins so and is longer came from a vendor.
LONGEST = 37
_MARKER = re.compile(r'\{"\$gone":"(expired|erased)","on":"(\d{4}-\d\d-\d\d)"\}')


def marker(how: How, on: str) -> str:
    """The JSON text that stands in the place of a content that went on a day (2026-11-22)."""
    return dump_text({GONE: how, _ON: on})


def went(text: str | bytes) -> str:
    """How and when a content went, as "expired on 2026-11-22"; "" while it is there."""
    if len(text) > LONGEST:
        return ""
    found = _MARKER.fullmatch(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
    return f"{found[1]} on {found[2]}" if found else ""


def told(value: Json) -> str:
    """`went` of a JSON value that was read."""
    return f"{value[GONE]} on {value.get(_ON)}" if isinstance(value, dict) and GONE in value else ""


def bare_request(request: Json, how: How, on: str) -> Json:
    """What stays of a request: how it was made and which numbers it used, so that its story can be told."""
    kept = {name: request[name] for name in ("method", "references") if isinstance(request, dict) and name in request}
    return {GONE: how, _ON: on, **kept}


def bare_picture(masked: Json, how: How, on: str) -> Json:
    """What stays of the newest picture of an object, its persons masked: the next one is compared with it."""
    return {**masked, GONE: how, _ON: on}


def remembered(head: Document | None, document: Document) -> Document | None:
    """The last picture as `document` is compared with it: what was taken out of it counts as not changed since."""
    if head is None or GONE not in head.body:
        return head
    body = {name: value for name, value in head.body.items() if name not in (GONE, _ON)}
    return replace(head, body=_filled(body, document.body))


def _filled(masked: Json, other: Json) -> Json:
    if masked == HIDDEN:
        return other
    if isinstance(masked, dict) and isinstance(other, dict):
        return {name: _filled(value, other.get(name)) for name, value in masked.items()}
    if isinstance(masked, list) and isinstance(other, list):
        return [_filled(item, other[at] if at < len(other) else None) for at, item in enumerate(masked)]
    return masked
