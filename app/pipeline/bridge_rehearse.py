"""The way of a question without network and ledger: for `try`, and for the YAML cases of bridges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.core.bridges import Bridge
from app.core.difference import contains, differences
from app.core.routing import RouteCall, RouteTest, delivery_view, wanted
from app.core.site import Site
from app.errors import DataError
from app.model import Json
from app.pipeline.rehearse import Known, Rehearsed, body_faults, render_call
from app.pipeline.request import build_request, find_operation
from app.pipeline.route_cases import ReadsFiles, call_name, played, shown

_KEY = "<idempotency key>"
_QUESTION = "brq_rehearsed"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The calls of a question, and the answer; `complete` when all that it needs was said."""

    calls: tuple[Rehearsed, ...]
    answer: Json
    complete: bool


def rehearse_bridge(
    site: Site, bridge: Bridge, request: Json, given: Mapping[str, str], answers: Sequence[Json]
) -> Rehearsal:
    """Every request that a question leads to, and its answer, with what the calls are answered.

    `given` are references by name, by kind, or by "kind:number". Raises `DataError` when an expression fails.
    """
    calls: list[Rehearsed] = []
    known: list[Json] = []
    for step, call in enumerate(bridge.calls):
        try:
            rehearsed = _call(site, call, step, request, given, known)
        except DataError as error:
            if step <= len(answers):
                raise
            raise DataError(str(error), todo="say what the calls before it are answered") from None
        calls.append(rehearsed)
        known.append(None if rehearsed.request is None else answers[step] if step < len(answers) else {})
    complete = len(answers) >= len(bridge.calls)
    made = None
    if complete:
        mapping = site.mappings[bridge.answer]
        assert mapping.body is not None
        settings = site.connections[bridge.source].public_settings
        made = mapping.body.render({"request": request, "answers": known, "settings": settings}, "body")
    return Rehearsal(tuple(calls), made, complete)


def _call(
    site: Site, call: RouteCall, step: int, request: Json, given: Mapping[str, str], answers: list[Json]
) -> Rehearsed:
    mapping, connection = site.mappings[call.mapping], site.connections[call.connection]
    operation = find_operation(connection, call.operation)
    names: dict[str, Any] = {
        "request": request,
        "answers": answers,
        "settings": connection.public_settings,
        "delivery": delivery_view(_QUESTION, f"{_QUESTION}.{step}"),
    }
    if not wanted(call, step + 1, names):
        return Rehearsed(call.connection, call.operation, call.mapping, "", None)
    known = Known(site, given)
    args, body = render_call(mapping, names, known.resolve)
    made = build_request(connection, operation, args, body, _KEY)
    faults, notes = tuple(body_faults(operation, body)), tuple(known.notes)
    return Rehearsed(call.connection, call.operation, call.mapping, "", made, faults, notes)


def bridge_case(site: Site, files: ReadsFiles, bridge: Bridge, case: RouteTest) -> Iterator[str]:
    """What is wrong with the case, nothing when it holds. Raises `DataError` when it cannot be played."""
    folders: tuple[Path, ...] = (files.place(bridge.where), site.root)

    def value(given: Json) -> Json:
        # A text where an object is wanted names a file.
        return files.value(given, *folders) if isinstance(given, str) else given

    given, expect = case.given, case.expect
    settings = given.get("settings") or {}
    connections = {name: played(one, settings.get(name) or {}) for name, one in site.connections.items()}
    try:
        answers = [value(answer) for answer in given.get("answers") or ()]
        place = replace(site, connections=connections)
        made = rehearse_bridge(place, bridge, value(given.get("request")), given.get("refs") or {}, answers)
    except DataError as error:
        if "error" not in expect:
            raise
        yield from contains("error", str(expect["error"]), str(error))
        return
    faults = [f"{call_name(call)}: {fault}" for call in made.calls for fault in call.faults]
    if "error" in expect:
        yield from contains("error", str(expect["error"]), "; ".join(faults) or "no error")
        return
    yield from faults
    if "calls" in expect:
        wants = expect["calls"]
        yield from differences([call["to"] for call in wants], [call_name(call) for call in made.calls], path="calls")
        for number, (told, call) in enumerate(zip(wants, made.calls, strict=False)):
            for key in told.keys() - {"to"}:
                expected = value(told[key]) if key == "body" else told[key]
                yield from differences(expected, shown(call).get(key), path=f"calls[{number}].{key}")
    if "answer" in expect:
        if made.complete:
            yield from differences(value(expect["answer"]), made.answer, path="answer")
        else:
            yield "answer: given.answers lacks what the last calls are answered"
