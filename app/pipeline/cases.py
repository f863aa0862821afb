"""Runs the YAML cases of mappings and connectors, without network: `backhaul test` and the project's own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from app.core.difference import contains, differences
from app.core.mapping import MappingFile, MappingTest
from app.core.site import Site
from app.core.source import Where
from app.errors import DataError
from app.model import Json
from app.pipeline.bridge_rehearse import bridge_case
from app.pipeline.connector_cases import ConnectorCases
from app.pipeline.rehearse import body_faults, render_call
from app.pipeline.route import split_items
from app.pipeline.route_cases import route_case


class CaseFiles(Protocol):
    """Reads what cases name. All raise `DataError` for a file that is not there or cannot be read."""

    def cases(self, folder: Path) -> list[tuple[Mapping[str, Json], Where]]:
        """The cases of a connector's tests.yaml with their places; none when there is no such file."""

    def value(self, name: str, *folders: Path) -> Json:
        """The JSON of a file, looked for in these folders in turn."""

    def place(self, where: Where) -> Path:
        """The folder of the file in which something stands."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case and what became of it; no faults is passed."""

    where: Where
    of: str  # "mapping return.to_wms" or "connector wms"
    name: str
    faults: tuple[str, ...] = ()


def run_cases(site: Site, files: CaseFiles) -> Iterator[Case]:
    """Every case of the site's mappings, routes, bridges and connectors, in turn."""
    for mapping in site.mappings.values():
        for test in mapping.tests:
            faults = _run(partial(_mapping_case, site, files, mapping, test))
            yield Case(test.where, f"mapping {mapping.name}", test.name, faults)
    for route in site.routes:
        for one in route.tests:
            yield Case(one.where, f"route {route.name}", one.name, _run(partial(route_case, site, files, route, one)))
    for bridge in site.bridges:
        for one in bridge.tests:
            faults = _run(partial(bridge_case, site, files, bridge, one))
            yield Case(one.where, f"bridge {bridge.name}", one.name, faults)
    for connector in site.connectors.values():
        runner = ConnectorCases(site, files, connector)
        for case, where in files.cases(connector.folder):
            faults = _run(partial(runner.run, case))
            yield Case(where, f"connector {connector.name}", str(case.get("name", "")), faults)


def _run(case: Callable[[], Iterator[str]]) -> tuple[str, ...]:
    try:
        return tuple(case())
    except DataError as error:
        return (str(error),)


# --- mappings ------------------------------------------------------------------------------------


def _mapping_case(site: Site, files: CaseFiles, mapping: MappingFile, test: MappingTest) -> Iterator[str]:
    folders = (files.place(mapping.where), site.root)
    given, expect = test.given, test.expect
    try:
        made, faults = _make(site, files, folders, mapping, given, expect)
    except DataError as error:
        if "error" not in expect:
            raise
        yield from contains("error", str(expect["error"]), str(error))
        return
    if "error" in expect:
        # A body that its schema refuses is an error too: it would not be sent.
        yield from contains("error", str(expect["error"]), "; ".join(faults) or "no error")
        return
    yield from (f"made, but not valid: {fault}" for fault in faults)
    if "file" in expect:
        whole = "document" if mapping.document else "body"
        yield from differences(files.value(str(expect["file"]), *folders), made[whole], path=whole)
    if "document" in expect:
        wanted = expect["document"]
        wanted = files.value(wanted, *folders) if isinstance(wanted, str) else wanted
        yield from differences(wanted, made.get("document"), subset=True, path="document")
    for name in ("body", "args", "parts"):
        if name in expect:
            yield from differences(expect[name], made.get(name), path=name)


def _make(
    site: Site,
    files: CaseFiles,
    folders: tuple[Path, ...],
    mapping: MappingFile,
    given: Mapping[str, Json],
    expect: Mapping[str, Json],
) -> tuple[dict[str, Json], list[str]]:
    def value(name: str, default: Json = None) -> Json:
        found = given.get(name, default)
        # A text where an object is wanted names a file.
        return files.value(found, *folders) if isinstance(found, str) else found

    if mapping.document is not None:
        names = {"payload": value("payload"), "event": given.get("event", {}), "settings": given.get("settings", {})}
        names |= {name: value(name) for name in given if name not in ("payload", "event", "settings")}
        made = mapping.document.render(names, "document")
        kind = _kind_of(site, mapping)
        return {"document": made}, site.validators[kind].errors(made) if kind in site.validators else []
    document = value("document") or value("return") or value("order")
    if document is None and "request" not in given:
        raise DataError("given has no document, and no request of a bridge", where=str(mapping.where))
    names = {"request": value("request")} if "request" in given else dict.fromkeys(("return", "order"), document)
    names |= {
        "raw": value("raw", {}),
        "source": given.get("source", ""),
        "change": given.get("change", {}),
        "settings": given.get("settings", {}),
        "answers": given.get("answers", []),
        "delivery": {"id": "dlv_1", "key": "dlv_1.0", **(given.get("delivery") or {})},
    }
    parts = split_items(mapping, names) if mapping.split else {}
    if mapping.split:
        if list(expect) == ["parts"]:
            return {"parts": list(parts)}, []
        names[mapping.split.name] = _part(mapping, parts, given.get("part"))
    refs = given.get("refs") or {}
    args, body = render_call(mapping, names, lambda use, _: _reference(refs, use.name, mapping))
    return {"args": args, "body": body}, [
        fault for one in _operations(site, mapping) for fault in body_faults(one, body)
    ]


def _part(mapping: MappingFile, parts: Mapping[str, Json], wanted: Json) -> Json:
    if wanted is None and len(parts) == 1:
        return next(iter(parts.values()))
    if wanted not in parts:
        raise DataError(
            f"given.part is {wanted!r}", where=str(mapping.where), todo=f"the parts are {', '.join(map(repr, parts))}"
        )
    return parts[str(wanted)]


def _reference(refs: Mapping[str, Json], name: str, mapping: MappingFile) -> str:
    if name not in refs:
        raise DataError(f"given.refs lacks {name!r}", where=str(mapping.where))
    return str(refs[name])


def _operations(site: Site, mapping: MappingFile) -> Iterator[Any]:
    """The operations for which routes use the mapping, each once."""
    made = [call for route in site.routes for call in route.calls]
    made += [call for bridge in site.bridges for call in bridge.calls]
    used = {(call.connection, call.operation) for call in made if call.mapping == mapping.name}
    for connection, operation in sorted(used):
        yield site.connections[connection].connector.operations[operation]


def _kind_of(site: Site, mapping: MappingFile) -> str:
    for connector in site.connectors.values():
        if connector.inbound and connector.inbound.mapping == mapping.name:
            return next(iter(connector.inbound.types.values()), "return")
    return "return"
