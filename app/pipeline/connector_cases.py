"""The cases of a connector's tests.yaml: what a message means, what is sent, what an answer means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

from app.core.changes import DIFFERS
from app.core.connectors import Connection, Connector, Operation
from app.core.difference import contains, differences
from app.core.outcomes import classify
from app.core.routing import delivery_view
from app.core.site import Site
from app.errors import DataError
from app.model import Json, Request, Response
from app.pipeline.rehearse import body_faults, example_connection, read_event
from app.pipeline.request import build_request, find_operation

_KEY = "key-1"


class ReadsValues(Protocol):
    """Reads the files that cases name."""

    def value(self, name: str, *folders: Path) -> Json:
        """The JSON of a file, looked for in these folders in turn. Raises `DataError`."""


class ConnectorCases:
    """Plays a connector's messages, requests and answers."""

    def __init__(self, site: Site, files: ReadsValues, connector: Connector) -> None:
        self._site, self._files, self._connector = site, files, connector
        self._folders = (connector.folder, connector.folder / "fixtures", site.root)

    def run(self, case: Mapping[str, Json]) -> Iterator[str]:
        """What is wrong with the case, nothing when it holds. Raises `DataError` when it cannot be played."""
        expect = case.get("expect") or {}
        connection = example_connection(self._connector, case.get("settings"))
        if "event" in case:
            return self._event(case, connection, expect)
        if "answer" in case:
            return self._answer(case, connection, expect)
        return self._request(case, connection, expect)

    def _event(self, case: Mapping[str, Json], connection: Connection, expect: Mapping[str, Json]) -> Iterator[str]:
        detail = self._value(case["detail"]) if "detail" in case else None
        headers = {str(name).lower(): str(text) for name, text in (case.get("headers") or {}).items()}
        try:
            message = read_event(self._site, connection, self._value(case["event"]), detail, headers)
        except DataError as error:
            if "error" not in expect:
                raise
            yield from contains("error", str(expect["error"]), str(error))
            return
        read = message.read
        yield from (f"the document is not valid: {fault}" for fault in message.faults)
        told = {"type": read.type, "state": read.state, "event_id": read.vendor_id, "ready": read.state != "waiting"}
        yield from _told(expect, told)
        for name in ("because", "skipped"):
            if name in expect:
                yield from contains(name, str(expect[name]), read.because)
        if "document" in expect:
            yield from differences(self._value(expect["document"]), message.body, subset=True, path="document")
        if "changes" in expect:
            names = [change.name for change in DIFFERS[message.kind](None, message.body)] if message.body else []
            yield from differences(expect["changes"], names, path="changes")
        if "error" in expect:
            yield "error: expected one, got none"

    def _request(self, case: Mapping[str, Json], connection: Connection, expect: Mapping[str, Json]) -> Iterator[str]:
        operation = find_operation(connection, str(case.get("operation")))
        given = case.get("given") or {}
        body = self._value(given.get("body"))
        faults = body_faults(operation, body) if body is not None else []
        if "invalid" in expect:
            yield from contains("invalid", str(expect["invalid"]), "; ".join(faults) or "the body is valid")
            return
        yield from (f"the body is not valid: {fault}" for fault in faults)
        request = build_request(connection, operation, given.get("args") or {}, body, _KEY)
        base = str(connection.settings.get("base_url", "")).rstrip("/")
        path, _, query = request.url.removeprefix(base).partition("?")
        yield from _told(expect, {"method": request.method, "path": path})
        if "query" in expect:
            asked = query if isinstance(expect["query"], str) else _pairs(query)
            yield from differences(expect["query"], asked, subset=True, path="query")
        if "headers" in expect:
            lowered = {name.lower(): value for name, value in request.headers.items()}
            wanted = {str(name).lower(): value for name, value in expect["headers"].items()}
            yield from differences(wanted, lowered, subset=True, path="headers")
        if "body" in expect:
            yield from differences(self._value(expect["body"]), request.body, path="body")

    def _answer(self, case: Mapping[str, Json], connection: Connection, expect: Mapping[str, Json]) -> Iterator[str]:
        operation = find_operation(connection, str(case.get("operation")))
        given, answer = case.get("given") or {}, case["answer"]
        args, sent = given.get("args") or {}, self._value(given.get("body"))
        body = self._value(answer.get("body"))
        headers = {str(name).lower(): str(text) for name, text in (answer.get("headers") or {}).items()}
        response = Response(int(answer["status"]), headers, body, str(answer.get("text", "")), 1)
        request = Request(connection.name, operation.name, operation.method, "https://api.example.com", {}, sent)
        outcome = classify(operation, request, response, args=args, settings=connection.public_settings)
        told = {"outcome": outcome.result, "fault": outcome.fault, "retry_after": _exact(outcome.retry_after_s)}
        yield from _told(expect, {**told, "pause": outcome.pause})
        if "because" in expect:
            yield from contains("because", str(expect["because"]), outcome.because)
        names = {"body": body, "status": response.status, "args": args, "request": {"body": sent, "args": args}}
        names["settings"] = connection.public_settings
        names["delivery"] = delivery_view("dlv_1", _KEY)
        if "capture" in expect:
            kept = {capture.kind: capture.id.render(names, "capture.id") for capture in operation.capture}
            yield from differences(expect["capture"], kept, path="capture")
        if {"found", "unclear", "answer"} & expect.keys():
            yield from self._looked(operation, names, expect)
        yield from _page(operation, names, expect)

    def _looked(self, operation: Operation, names: Mapping[str, Any], expect: Mapping[str, Json]) -> Iterator[str]:
        """What the probe of the operation, or the one that asks by this operation, would make of the answer."""
        all_ = self._connector.operations.values()
        probes = [
            one.probe
            for one in (operation, *all_)
            if one.probe and (one is operation or one.probe.operation == operation.name)
        ]
        if not probes:
            raise DataError(f"operation {operation.name} has no probe")
        probe = probes[0]
        paging = self._connector.operations[probe.operation].paging
        if paging is not None:
            # A list is read to its end: the case's answer is its only page.
            items = paging.items.render({**names, "page": paging.first}, "paging.items")
            names = {**names, "body": {"items": list(items or ())}}
        unclear = probe.unclear is not None and bool(probe.unclear.render(names, "probe.unclear"))
        if "unclear" in expect:
            yield from differences(expect["unclear"], unclear, path="unclear")
        if "found" in expect:
            found = not unclear and bool(probe.found.render(names, "probe.found"))
            yield from differences(expect["found"], found, path="found")
        if "answer" in expect:
            answer = probe.answer.render(names, "probe.answer") if probe.answer else names["body"]
            yield from differences(self._value(expect["answer"]), answer, subset=True, path="answer")

    def _value(self, given: Json) -> Json:
        return self._files.value(given, *self._folders) if isinstance(given, str) else given


def _exact(seconds: float | None) -> Decimal | None:
    """A float as YAML's numbers are read."""
    return None if seconds is None else Decimal(str(seconds))


def _told(expect: Mapping[str, Json], told: Mapping[str, Json]) -> Iterator[str]:
    for name, value in told.items():
        if name in expect:
            yield from differences(expect[name], value, path=name)


def _page(operation: Operation, names: Mapping[str, Any], expect: Mapping[str, Json]) -> Iterator[str]:
    wanted = {"items", "next"} & expect.keys()
    if not wanted:
        return
    if operation.paging is None:
        raise DataError(f"operation {operation.name} has no paging")
    page = {**names, "page": operation.paging.first}
    if "items" in wanted:
        yield from differences(expect["items"], operation.paging.items.render(page, "items"), subset=True, path="items")
    if "next" in wanted:
        yield from differences(expect["next"], operation.paging.next.render(page, "next"), path="next")


def _pairs(query: str) -> dict[str, Json]:
    """A query string as an object; a key that comes several times holds a list."""
    found: dict[str, Json] = {}
    for key, values in parse_qs(query, keep_blank_values=True).items():
        found[key] = values if len(values) > 1 else values[0]
    return found
