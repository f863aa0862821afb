"""Any message of a vendor becomes a document, or it is told why not: with every mapping that comes with the project."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.files import load_site
from app.adapters.system import SystemIds
from app.core.changes import changes
from app.core.jsontext import dumps, loads
from app.core.order_changes import order_changes
from app.core.site import Site
from app.errors import DataError
from app.pipeline.capture import captured
from app.pipeline.picture import make_document
from tests.connectors.example_site import ROOT, environment
from tests.fuzz.kit import NUMBERS, TEXTS, ends, fuzz, json_values

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SOURCES = ("returnista_eu", "digital_river", "fulfillmenttools", "nshift", "store", "wms_eu")


@cache
def site() -> Site:
    return load_site(ROOT, env=environment())


@cache
def fixtures(connector: str) -> list[Any]:
    """What the vendor sends and answers, as recorded."""
    files = sorted(Path(ROOT, "connectors", connector, "fixtures").glob("*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in it where something stands: holder and key."""
    found, waiting = [], [value]
    while waiting:
        holder = waiting.pop()
        for key in holder if isinstance(holder, dict) else range(len(holder)):
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])
    return found


@st.composite
def messages(draw: st.DrawFn, connector: str) -> Any:
    """A recorded message in which some things are others, gone or twice; or any JSON at all."""
    if not draw(st.integers(0, 9)):
        return draw(json_values())
    made = copy.deepcopy(draw(st.sampled_from(fixtures(connector))))
    for _ in range(draw(st.integers(0, 4))):
        places = _places(made) if isinstance(made, (dict, list)) else []
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["value", "text", "number", "gone", "twice", "list"])):
            case "value":
                holder[key] = draw(json_values())
            case "text":
                holder[key] = draw(TEXTS)
            case "number":
                holder[key] = draw(NUMBERS)
            case "gone" if isinstance(holder, dict):
                del holder[key]
            case "twice" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case _:
                holder[key] = [holder[key]]
    return made


def test_every_connection_of_the_example_that_sends_documents_is_tried() -> None:
    sending = {
        name for name, one in site().connections.items() if one.connector.inbound and one.connector.inbound.mapping
    }
    assert sending == set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
@fuzz
@given(st.data())
def test_any_message_becomes_a_document_or_is_told_why_not(source: str, data: st.DataObject) -> None:
    connection = site().connections[source]
    inbound: Any = connection.connector.inbound
    payload, detail = data.draw(messages(connection.connector.name)), data.draw(messages(connection.connector.name))
    word, kind = data.draw(st.sampled_from(sorted(inbound.types.items())))
    names = {
        "payload": payload,
        "settings": connection.public_settings,
        "event": {"id": "evt_1", "type": word, "received_at": NOW},
    }
    if inbound.fetch:
        names[inbound.fetch.name] = detail
    with ends():
        for value in (inbound.event_id, inbound.event_type, *(rule.when for rule in inbound.skip)):
            try:
                value.render({**names, "headers": {}}, "inbound")
            except DataError as error:
                assert error.what
        try:
            document = make_document(site(), SystemIds(), connection, kind, names, observed_at=NOW, event_id="evt_1")
            captured(connection, {**names, document.kind: document.body}, "evt_1", NOW)
        except DataError as error:
            assert error.what
            return
        try:
            assert loads(dumps(document.body)) == document.body
        except DataError as error:
            assert error.what
        facts = order_changes if document.kind == "order" else changes
        news = facts(None, document.body)
        assert all(change.key for change in news)
        keys = [line.get("key") for line in document.body.get("lines", ())]
        if len(set(keys)) == len(keys):
            assert not facts(document.body, document.body)


@cache
def documents() -> list[Any]:
    """The documents that the recorded messages make."""
    made = []
    for source in SOURCES:
        connection = site().connections[source]
        inbound: Any = connection.connector.inbound
        for payload in fixtures(connection.connector.name):
            names = {"payload": payload, "settings": connection.public_settings}
            names["event"] = {"id": "evt_1", "type": "", "received_at": NOW}
            if inbound.fetch:
                names[inbound.fetch.name] = payload
            for word, kind in inbound.types.items():
                names["event"]["type"] = word
                try:
                    one = make_document(site(), SystemIds(), connection, kind, names, observed_at=NOW, event_id="evt_1")
                except DataError:
                    continue
                made.append(one.body)
                break
    assert len(made) > 10
    return made


@st.composite
def pictures(draw: st.DrawFn) -> Any:
    """A document in which some things are others or gone."""
    made = copy.deepcopy(draw(st.sampled_from(documents())))
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(_places(made)))
        if draw(st.booleans()):
            holder[key] = draw(json_values())
        elif isinstance(holder, dict):
            del holder[key]
        if not made:
            return made
    return made


@fuzz
@given(pictures(), json_values(), st.data())
def test_any_document_becomes_a_request_or_is_told_why_not(document: Any, raw: Any, data: st.DataObject) -> None:
    wanted = sorted(name for name, mapping in site().mappings.items() if mapping.document is None)
    mapping = site().mappings[data.draw(st.sampled_from(wanted))]
    settings = site().connections[data.draw(st.sampled_from(sorted(site().connections)))].public_settings
    names: dict[str, Any] = {
        **{"return": document, "order": document, "request": document, "raw": raw, "source": "shop", "answers": [raw]},
        **{"change": {"kind": "return.labelled", "quantity": 1}, "settings": settings},
        "delivery": {"id": "dlv_1", "key": "dlv_1.0"},
        "refs": {use.name: "R-1" for use in mapping.references},
    }
    values = [mapping.args, mapping.body, *(use.id for use in mapping.references)]
    values += [mapping.split.each, mapping.split.key] if mapping.split else []
    with ends():
        for value in values:
            if value is None:
                continue
            try:
                made = value.render(names, "body")
                dumps(made)
            except DataError as error:
                assert error.what
