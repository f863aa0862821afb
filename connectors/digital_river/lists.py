"""How the vendor answers lists, and how it words what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request

from connectors.simkit import Answer

#: Oddities that a reader has to survive: a cursor that is not heeded, filters that are not, lists as `name[]=` only.
QUIRKS = ("stuck_cursor", "ignore_filters", "brackets")
TYPES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    408: "request_timeout",
    409: "conflict",
    429: "too_many_requests",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}
_MOST = 100


def fault(status: int, code: str, message: str, parameter: str = "") -> Answer:
    """An error in the vendor's shape."""
    told = {"code": code, "message": message, **({"parameter": parameter} if parameter else {})}
    return Answer({"type": TYPES[status], "errors": [told]}, status)


def page(
    rows: Sequence[dict[str, Any]],
    quirks: Mapping[str, Any],
    *,
    equal: Mapping[str, str] | None = None,
    many: Mapping[str, str] | None = None,
    with_more: bool = True,
) -> Answer:
    """The page that the request at hand asks for, newest first.

    `equal` are filters by their query name with the field they compare; `many` those that take a list.
    """
    try:
        limit = int(request.args.get("limit", "10"))
    except ValueError:
        limit = 0
    if not 1 <= limit <= _MOST:
        return fault(400, "invalid_parameter", f"limit must be between 1 and {_MOST}", "limit")
    found = list(reversed(rows))
    if not quirks.get("ignore_filters"):
        found = _filtered(found, quirks, equal or {}, many or {})
    after = request.args.get("startingAfter")
    if after and not quirks.get("stuck_cursor"):
        places = [place for place, row in enumerate(found) if str(row["id"]) == after]
        if not places:
            return fault(400, "invalid_parameter", f"'{after}' is not found.", "startingAfter")
        found = found[places[0] + 1 :]
    more = len(found) > limit
    shown = found[:limit]
    return Answer({"hasMore": more, "data": shown} if with_more else {"data": shown})


def _filtered(
    rows: list[dict[str, Any]], quirks: Mapping[str, Any], equal: Mapping[str, str], many: Mapping[str, str]
) -> list[dict[str, Any]]:
    for name, field in equal.items():
        if (wanted := request.args.get(name)) is not None:
            rows = [row for row in rows if str(row.get(field)) == wanted]
    for name, field in many.items():
        chosen = request.args.getlist(f"{name}[]" if quirks.get("brackets") else name)
        if chosen:
            rows = [row for row in rows if str(row.get(field)) in chosen]
    since, before = request.args.get("createdTime[gte]"), request.args.get("createdTime[lt]")
    # Equal in length but for the digits behind the second, so texts compare as the times they are.
    return [
        row
        for row in rows
        if (not since or row["createdTime"].rstrip("Z") >= since.rstrip("Z"))
        and (not before or row["createdTime"].rstrip("Z") < before.rstrip("Z"))
    ]
