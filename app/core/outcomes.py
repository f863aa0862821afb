"""What an answer means: the connector's own rules first, then one table by status for every vendor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any

from app.core.connectors import Operation, ResponseRule
from app.errors import DataError
from app.model import Fault, Json, NoResponse, Outcome, Request, Response, Result

#: Methods that change nothing at the target: doing them again is always right.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BECAUSE_LIMIT = 300
#: No target means to be left alone for longer; what asks for more, or for ever, is read as this.
_LONGEST_ASKED_S = 365 * 86400.0
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(script|style).*?</\1>|<[^>]+>", re.IGNORECASE | re.DOTALL)
_TELLING = (
    *("message", "error", "errors", "detail", "error_description"),
    *("title", "reason", "summary", "description"),
)
_DELIVERED = {status: Outcome("delivered", str(status), None, status) for status in range(200, 300)}
_REFUSED_FAULT: Mapping[Result, Fault | None] = {
    "delivered": None,
    "rejected": "data",
    "in_doubt": "remote",
    "review": "data",
}


def classify(
    operation: Operation,
    request: Request,
    answer: Response | NoResponse,
    *,
    args: Json = None,
    settings: Mapping[str, Json] | None = None,
    now: datetime | None = None,
) -> Outcome:
    """What one try came to, who must act, and when the target wants to be asked again.

    `now` turns a `Retry-After` date into seconds where the answer has no `Date` of its own.
    """
    if isinstance(answer, NoResponse):
        return _unanswered(operation, answer)
    rule = _fitting(operation, request, answer, args, settings or {}) if operation.responses else None
    if rule is None:
        return _by_status(operation, answer, now)
    fault = rule.fault or _REFUSED_FAULT.get(rule.outcome, _retry_fault(answer.status))
    return Outcome(
        rule.outcome,
        _bounded(rule.because or _told(answer)),
        None if rule.outcome == "delivered" else fault,
        answer.status,
        retry_after(answer, now) if rule.outcome in ("retry", "restart") else None,
    )


def is_safe(operation: Operation) -> bool:
    """Whether the operation changes nothing at the target."""
    return operation.safe or operation.method.upper() in SAFE_METHODS


def may_repeat(operation: Operation) -> bool:
    """Whether the same request may go out again although an earlier one may have had its effect."""
    return is_safe(operation) or operation.idempotency_header is not None


def vendor_message(answer: Response) -> str:
    """The vendor's own words about what went wrong, on one line; "" when there are none."""
    body = answer.body
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict):
        for key in _TELLING:
            found = _words(body.get(key))
            if found:
                # A summary alone does not say which of the fields it means.
                more = _words(body.get("description")) if key == "summary" else ""
                return f"{found} ({more})" if more else found
        return ""
    if body is not None:
        return ""
    title = _TITLE.search(answer.text)
    text = title[1] if title else _TAG.sub(" ", answer.text)
    return " ".join(unescape(text).split())


def _words(value: Json) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list) and value:
        return _words(value[0])
    if isinstance(value, dict):
        for key in ("message", "detail", "title", "description", "code"):
            found = _words(value.get(key))
            if found:
                return found
    return ""


def _fitting(
    operation: Operation, request: Request, answer: Response, args: Json, settings: Mapping[str, Json]
) -> ResponseRule | None:
    names: dict[str, Any] = {
        "body": answer.body,
        "status": answer.status,
        "request": {"body": request.body, "args": args},
        "args": args,
        "settings": settings,
    }
    for rule in operation.responses:
        if rule.status is not None and answer.status not in rule.status:
            continue
        if rule.when is None:
            return rule
        try:
            if rule.when.render(names, "responses.when"):
                return rule
        except DataError:
            # `body.code == 'X'` against an answer without a code, or without JSON: the rule does not fit.
            continue
    return None


def _by_status(operation: Operation, answer: Response, now: datetime | None) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return _accepted(operation, answer)
    told = _bounded(_told(answer))
    if 300 <= status < 400:
        target = answer.headers.get("location", "")
        because = f"{status}: redirected{f' to {target}' if target else ''}; write the final address as base_url"
        return Outcome("rejected", _bounded(because), "config", status)
    if status in (401, 403):
        return Outcome("retry", _bounded(f"credentials refused, {told}"), "config", status, pause=True)
    if status in (408, 425, 429):
        return Outcome("retry", told, "transient", status, retry_after(answer, now))
    if 400 <= status < 500:
        return Outcome("rejected", told, "data", status)
    if status in (500, 502, 504) and not may_repeat(operation):
        # It broke on the way, or a gateway lost the answer: the work may have been done all the same.
        return Outcome("in_doubt", told, "remote", status)
    return Outcome("retry", told, "remote", status, retry_after(answer, now))


def _accepted(operation: Operation, answer: Response) -> Outcome:
    unread = answer.body is None and answer.status not in (204, 205) and operation.method.upper() != "HEAD"
    if unread and (operation.capture or (operation.method.upper() == "GET" and answer.text.strip())):
        because = _bounded(f"{answer.status}, but the body is no JSON: {vendor_message(answer)}")
        result: Result = "retry" if may_repeat(operation) else "in_doubt"
        return Outcome(result, because, "remote", answer.status)
    return _DELIVERED[answer.status]


def _unanswered(operation: Operation, answer: NoResponse) -> Outcome:
    because = _bounded(answer.what)
    if answer.kind == "refused":
        return Outcome("rejected", because, "config")
    if answer.kind == "barred":
        # Nothing is lost by waiting for the files to be mended, and one `resume` lets all of it go on.
        return Outcome("retry", because, "config", pause=True)
    if not answer.sent:
        return Outcome("retry", because, "transient")
    if may_repeat(operation):
        return Outcome("retry", because, "transient")
    return Outcome("in_doubt", because, "remote")


def _retry_fault(status: int) -> Fault:
    if status in (401, 403):
        return "config"
    return "remote" if status >= 500 else "transient"


def _told(answer: Response) -> str:
    words = vendor_message(answer)
    return f"{answer.status}: {words}" if words else str(answer.status)


def _bounded(text: str) -> str:
    return text if len(text) <= _BECAUSE_LIMIT else text[: _BECAUSE_LIMIT - 1] + "…"


def retry_after(answer: Response, now: datetime | None) -> float | None:
    """How many seconds the target wants to be left alone; None when it does not say."""
    asked = answer.headers.get("retry-after", "").strip()
    if not asked:
        return None
    try:
        wait = float(asked) if asked[0].isdigit() else _until(asked, answer, now)
        return None if wait is None else min(max(0.0, wait), _LONGEST_ASKED_S)
    except (ValueError, TypeError, OverflowError):
        return None


def _until(asked: str, answer: Response, now: datetime | None) -> float | None:
    moment = _http_date(asked)
    # The target's own clock first: its date and its `Retry-After` are off by the same amount.
    try:
        since: datetime | None = _http_date(answer.headers.get("date", ""))
    except (ValueError, TypeError):
        since = now
    return None if since is None else (moment - since).total_seconds()


def _http_date(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
