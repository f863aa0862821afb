"""`connector.yaml` to a `Connector`, with its faults reported."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from app.core.auth_token import read_token_auth
from app.core.bridge_reader import read_door
from app.core.connectors import (
    Capture,
    Connector,
    Limits,
    Operation,
    Paging,
    Refusal,
    ResponseRule,
    SettingSpec,
)
from app.core.expression_compiler import Names
from app.core.inbound_reader import read_inbound
from app.core.jsontext import loads
from app.core.poll_reader import read_polls
from app.core.probe_reader import read_probe
from app.core.reading import Node
from app.core.schema_check import statuses
from app.core.shapes import Shape
from app.core.times import rate
from app.core.validation import SchemaValidator, Validator
from app.core.words import did_you_mean
from app.errors import DataError
from app.model import Fault, Json, Result

_REQUEST = Shape.keys(("body", "args"))
_EVENT = Shape.keys(("id", "type", "received_at"))


def read_connector(
    node: Node, name: str, folder: Path, texts: Mapping[str, str], documents: Mapping[str, Json]
) -> Connector:
    """The connector in the folder `name`. `texts` are the site's files by path, for the schemas of bodies;
    `documents` the schemas of documents."""
    _check_name(node.get("connector"), name)
    reader = _Reader(node, posixpath.dirname(node.source.file), texts)
    return Connector(
        name=name,
        folder=folder,
        where=node.where,
        title=node.get("title").text(),
        settings={key: _setting(spec) for key, spec in node.get("settings").items()},
        refuse=reader.refusals(),
        auth=_auth(node.get("auth")),
        limits=read_limits(node.get("limits"), Limits()),
        operations=reader.operations(),
        inbound=read_inbound(node, reader.open, documents),
        polls=read_polls(node, reader.open),
        bridge=read_door(node.get("bridge")),
        token=reader.token,
        personal=frozenset(node.get("personal").texts()),
    )


def _check_name(told: Node, folder: str) -> None:
    if told.text(folder) != folder:
        told.report(f"the connector is called {told.text()!r} in the folder {folder!r}", "let both be equal", "name")


def _auth(told: Node) -> Mapping[str, Json]:
    if not isinstance(told.value, dict):
        return {"scheme": "none"}
    # What a login needs is worked out at each login: of it `TokenAuth` tells.
    return {"scheme": "token"} if told.get("scheme").value == "token" else told.value


def _setting(spec: Node) -> SettingSpec:
    return SettingSpec(
        required=spec.get("required").flag(),
        secret=spec.get("secret").flag(),
        default=spec.get("default").value,
        example=spec.get("example").value,
        description=spec.get("description").text(),
    )


def read_limits(node: Node, base: Limits) -> Limits:
    """The limits, those of `base` where nothing is said."""
    return Limits(
        rate=node.get("rate").parsed(rate, base.rate),
        concurrency=node.get("concurrency").whole(base.concurrency),
        timeout_s=node.get("timeout").seconds(base.timeout_s),
    )


class _Reader:
    def __init__(self, node: Node, folder: str, texts: Mapping[str, str]) -> None:
        self._node, self._folder, self._texts = node, folder, texts
        self._shapes: Names = {
            "settings": Shape.keys(key for key, _ in node.get("settings").items()),
            "request": _REQUEST,
            "event": _EVENT,
        }
        # A secret must never reach a path, a body or a log: only auth and verify see it.
        settings = {key: {"x-secret": spec.get("secret").flag()} for key, spec in node.get("settings").items()}
        self.open: Names = {
            **self._shapes,
            "settings": Shape.of({"properties": settings, "additionalProperties": False}),
        }
        self.token = read_token_auth(node.get("auth"), self._shapes)
        auth = None if self.token else node.get("auth")
        for block in (auth, node.get("inbound").get("verify"), node.get("bridge").get("verify")):
            if block is not None:
                block.optional(self._shapes)

    def refusals(self) -> tuple[Refusal, ...]:
        return tuple(
            Refusal(rule.get("when").template(self._shapes), rule.get("because").text(), rule.get("todo").text())
            for rule in self._node.get("refuse").each()
        )

    def operations(self) -> dict[str, Operation]:
        found = {name: self._operation(name, item) for name, item in self._node.get("operations").items()}
        for _, item in self._node.get("operations").items():
            self._known(item.get("probe").get("operation"), found)
        return found

    def _known(self, told: Node, operations: Iterable[str]) -> None:
        if isinstance(told.value, str) and told.value not in operations:
            told.report(f"unknown operation {told.value!r}", did_you_mean(told.value, operations), "operation")

    def _operation(self, name: str, node: Node) -> Operation:
        return Operation(
            name=name,
            method=node.get("method").text("GET"),
            path=node.get("path").template(self.open),
            where=node.where_key,
            query=node.get("query").optional(self.open),
            headers=node.get("headers").optional(self.open),
            idempotency_header=node.get("idempotency").get("header").text() or None,
            body_schema=self._body_schema(node.get("body")),
            responses=tuple(self._rule(rule) for rule in node.get("responses").each()),
            capture=tuple(self._capture(item) for item in node.get("capture").each()),
            probe=read_probe(node.get("probe"), self.open),
            paging=self._paging(node.get("paging")),
            timeout_s=node.get("timeout").seconds(0.0) or None,
            safe=node.get("safe").flag(),
            needs=self._needs(node.get("needs")),
        )

    def _needs(self, node: Node) -> tuple[str, ...]:
        known = [key for key, _ in self._node.get("settings").items()]
        for item in node.each():
            if isinstance(item.value, str) and item.value not in known:
                item.report(f"the connector has no setting {item.value!r}", did_you_mean(item.value, known), "setting")
        return tuple(name for name in node.texts() if name in known)

    def _rule(self, node: Node) -> ResponseRule:
        fault = node.get("fault").text()
        outcome = node.get("outcome").text()
        return ResponseRule(
            status=node.get("status").parsed(statuses, None),
            when=node.get("when").optional(self.open),
            outcome=next((word for word in _OUTCOMES if word == outcome), "rejected"),
            because=node.get("because").text(),
            fault=next((word for word in _FAULTS if word == fault), None),
        )

    def _capture(self, node: Node) -> Capture:
        return Capture(
            kind=node.get("reference").text(),
            id=node.get("id").template(self.open),
            system=node.get("system").text() or None,
            from_id=node.get("from").optional(self.open),
        )

    def _paging(self, node: Node) -> Paging | None:
        if not isinstance(node.value, dict):
            return None
        return Paging(
            items=node.get("items").template(self.open),
            next=node.get("next").template(self.open),
            param=node.get("param").text("page"),
            first=None if node.value.get("first", 1) is None else node.get("first").whole(1),
            size_param=node.get("size_param").text() or None,
            size=node.get("size").whole(0) or None,
            id=node.get("id").optional(self.open),
        )

    def _body_schema(self, node: Node) -> Validator | None:
        if not isinstance(node.value, str):
            return None
        path = posixpath.normpath(posixpath.join(self._folder, node.value))
        text = self._texts.get(path)
        if not path.startswith(self._folder + "/") or text is None:
            known = [file.removeprefix(self._folder + "/") for file in self._texts if file.startswith(self._folder)]
            schemas = [file for file in known if file.endswith(".json")]
            node.report(f"there is no file {node.value!r} in {self._folder}", did_you_mean(node.value, schemas), "file")
            return None
        try:
            return SchemaValidator(loads(text))
        except (ValueError, DataError) as error:
            node.report(f"{path} is no JSON Schema: {error}", "correct that file", "file")
            return None


_OUTCOMES: tuple[Result, ...] = get_args(Result)
_FAULTS: tuple[Fault, ...] = ("config", "data", "remote", "transient")
