"""The cases beside a route: all its calls for one document, with the answers that the case gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from app.core.connectors import Connection
from app.core.difference import contains, differences
from app.core.routing import Route, RouteTest
from app.core.site import Site
from app.core.source import Where
from app.errors import DataError
from app.model import Json
from app.pipeline.rehearse import Rehearsed, change_of, rehearse

#: Stands for every base_url: what a case says does not depend on the environment.
BASE = "https://api.example.com"


class ReadsFiles(Protocol):
    """Reads the files that cases name. All raise `DataError` for a file that is not there or cannot be read."""

    def value(self, name: str, *folders: Path) -> Json:
        """The JSON of a file, looked for in these folders in turn."""

    def place(self, where: Where) -> Path:
        """The folder of the file in which something stands."""


def route_case(site: Site, files: ReadsFiles, route: Route, case: RouteTest) -> Iterator[str]:
    """What is wrong with the case, nothing when it holds. Raises `DataError` when it cannot be played."""
    folders = (files.place(route.where), site.root)

    def value(given: Json) -> Json:
        # A text where an object is wanted names a file.
        return files.value(given, *folders) if isinstance(given, str) else given

    given, expect = case.given, case.expect
    try:
        calls, faults = _play(
            site,
            route,
            {**given, **{key: value(given.get(key)) for key in ("document", "before")}},
            [value(answer) for answer in given.get("answers") or ()],
        )
    except DataError as error:
        if "error" not in expect:
            raise
        yield from contains("error", str(expect["error"]), str(error))
        return
    if "error" in expect:
        yield from contains("error", str(expect["error"]), "; ".join(faults) or "no error")
        return
    yield from faults
    if "calls" in expect:
        wanted = expect["calls"]
        yield from differences([call["to"] for call in wanted], [call_name(call) for call in calls], path="calls")
        for number, (told, call) in enumerate(zip(wanted, calls, strict=False)):
            made = shown(call)
            for key in told.keys() - {"to"}:
                expected = value(told[key]) if key == "body" else told[key]
                yield from differences(expected, made.get(key), path=f"calls[{number}].{key}")


def _play(
    site: Site, route: Route, given: Mapping[str, Json], answers: list[Json]
) -> tuple[list[Rehearsed], list[str]]:
    body = given["document"]
    kind = route.kind
    faults = [f"given: {fault}" for fault in site.validators[kind].errors(body, "document")]
    settings = given.get("settings") or {}
    connections = {name: played(connection, settings.get(name) or {}) for name, connection in site.connections.items()}
    place = replace(site, connections=connections)
    source = str(given.get("source") or route.source or "")
    change = change_of(route, given.get("before"), body, source, str(given.get("change") or ""))
    calls = list(rehearse(place, route, body, change, source, given.get("refs") or {}, answers))
    return calls, faults + [f"{call_name(call)}: {fault}" for call in calls for fault in call.faults]


def played(connection: Connection, settings: Mapping[str, Json]) -> Connection:
    """The connection with a case's settings, at an address that does not depend on the environment."""
    return replace(connection, settings={**connection.settings, **settings, "base_url": BASE})


def call_name(call: Rehearsed) -> str:
    """The call as files write it."""
    return f"{call.connection}.{call.operation}"


def shown(call: Rehearsed) -> dict[str, Any]:
    """What cases may expect of a call."""
    if call.request is None:
        return {"skipped": True}
    path = call.request.url.removeprefix(BASE)
    told = {"skipped": False, "part": call.part, "method": call.request.method, "path": path}
    return {**told, "body": call.request.body}
