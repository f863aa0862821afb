"""The `inbound` block of a connector: how messages are taken in, told apart and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.core.connectors import Capture, Fetch, Inbound, Read, Skip
from app.core.expression_compiler import Names
from app.core.expressions import Value
from app.core.mapping_reader import KINDS
from app.core.reading import Node
from app.core.shapes import Shape
from app.core.words import did_you_mean
from app.model import Json


def read_inbound(connector: Node, shapes: Names, documents: Mapping[str, Json]) -> Inbound | None:
    """The block; None where there is none. `shapes` tell what the connector's names hold, `documents` are the schemas
    of documents."""
    node = connector.get("inbound")
    if not node.given:
        return None
    reader = _Reader(connector, node, shapes, documents)
    verify, ack = node.get("verify"), node.get("ack")
    webhooks = node.get("webhooks").flag(True)
    _check_door(connector, node, webhooks)
    return Inbound(
        verify=verify.value if isinstance(verify.value, dict) else {},
        event_id=node.get("event_id").template(shapes),
        event_type=node.get("event_type").template(shapes),
        types={word: kind.text() for word, kind in node.get("types").items()},
        mapping=node.get("mapping").text(),
        ack_status=ack.get("status").whole(200),
        ack_unreadable=ack.get("unreadable").whole(200),
        ack_within_s=ack.get("within").seconds(5.0),
        ignore=frozenset(node.get("ignore").texts()),
        skip=tuple(
            Skip(rule.get("when").template(shapes), rule.get("because").text()) for rule in node.get("skip").each()
        ),
        fetch=reader.fetch(node.get("fetch")),
        read=reader.read(node.get("read")),
        capture=tuple(reader.capture(item) for item in node.get("capture").each()),
        webhooks=webhooks,
    )


def _check_door(connector: Node, node: Node, webhooks: bool) -> None:
    if webhooks and not node.get("verify").given and isinstance(node.value, dict):
        todo = "add `verify:` (how a message proves who sent it), or `webhooks: false` where polls bring everything"
        node.report("'verify' is missing in inbound", todo, "schema")
    if webhooks:
        return
    for key in ("verify", "ack"):
        if node.get(key).given:
            what = f"{key!r} is of no use: with `webhooks: false` nothing comes in at the door"
            node.kit.report(node.get(key).where_key, what, "remove it", "inbound")
    if not connector.get("poll").given:
        todo = "add poll, or remove webhooks: false"
        node.get("webhooks").report("nothing can come in: there are neither webhooks nor a poll", todo, "inbound")


class _Reader:
    def __init__(self, connector: Node, node: Node, shapes: Names, documents: Mapping[str, Json]) -> None:
        self._operations = [key for key, _ in connector.get("operations").items()]
        self._shapes = shapes
        self._names: Names = {**shapes, **{kind: Shape.of(documents[kind]) for kind in KINDS}}
        told = {kind.text() for _, kind in node.get("types").items()}
        self._hidden = [kind for kind in KINDS if kind not in told]
        brought = [node.get(key).get("as").text("detail") for key in ("fetch", "read") if node.get(key).given]
        self._brought: Names = dict.fromkeys(brought)

    def fetch(self, node: Node) -> Fetch | None:
        if not node.given:
            return None
        before = self._call(node.get("before"), "found") if node.get("before").given else None
        return replace(self._call(node, "detail", before), before=before)

    def _call(self, node: Node, name: str, before: Fetch | None = None) -> Fetch:
        name = node.get("as").text(name)
        known: Names = {before.name: None} if before else {}
        self._known(node.get("operation"))
        return Fetch(
            operation=node.get("operation").text(),
            args=_arguments(node, self._shapes, extra=known),
            name=name,
            not_found="dead" if node.get("not_found").value == "dead" else "retry",
            ready=node.get("ready").optional(self._shapes, {name: None}),
            when=node.get("when").optional(self._shapes),
        )

    def read(self, node: Node) -> Read | None:
        if not node.given:
            return None
        self._known(node.get("operation"))
        args = _arguments(node, self._names, self._hidden)
        return Read(node.get("operation").text(), args, node.get("as").text("detail"))

    def capture(self, node: Node) -> Capture:
        system, translated = node.get("system"), node.get("from")
        if system.given != translated.given:
            lacks, has = ("from", "system") if system.given else ("system", "from")
            todo = f"add {lacks}, or remove {has}: then the number can be searched for, and translates nothing"
            node.report(f"{has!r} without {lacks!r}: no translation can be kept", todo, "reference")
        return Capture(
            kind=node.get("reference").text(),
            id=node.get("id").template(self._names, self._brought, self._hidden),
            system=system.text() or None,
            from_id=translated.optional(self._names, self._brought, self._hidden),
        )

    def _known(self, told: Node) -> None:
        if isinstance(told.value, str) and told.value not in self._operations:
            todo = did_you_mean(told.value, self._operations)
            told.report(f"unknown operation {told.value!r}", todo, "operation")


def _arguments(node: Node, shapes: Names, hide: list[str] | None = None, extra: Names | None = None) -> Value:
    told = node.get("with")
    if told.given:
        return told.template(shapes, extra, hide=hide or ())
    return node.kit.environment.compile_value({}, where=node.where, names=())
