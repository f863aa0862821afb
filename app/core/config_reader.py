"""`config/hub.yaml`, `config/routes.yaml` and the form of `config/flows/*.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.changes import kind_of
from app.core.expression_compiler import Names
from app.core.mapping_reader import DELIVERY, document_shapes
from app.core.networks import Allow, read_allow
from app.core.reading import Node
from app.core.routing import Route, RouteCall, RouteTest
from app.core.site import BreakerPolicy, Hub, ParkedPolicy, RetryPolicy
from app.core.times import interval, retention, size
from app.model import Json

#: How often `settle` fits into `settle_cap`, where a route does not say.
_CAP = 6.0


def read_hub(node: Node) -> Hub:
    """The hub's settings; what is not said is as the defaults of `Hub` say."""
    told, hub = node.get("hub"), Hub()
    retry, parked, breaker = told.get("retry"), told.get("parked"), told.get("breaker")
    return Hub(
        name=told.get("name").text(hub.name),
        body_limit=told.get("body_limit").parsed(size, hub.body_limit),
        lease_s=told.get("lease").seconds(hub.lease_s),
        retry=RetryPolicy(
            first_s=retry.get("first").seconds(hub.retry.first_s),
            factor=retry.get("factor").number(hub.retry.factor),
            longest_s=retry.get("longest").seconds(hub.retry.longest_s),
            give_up_after_s=retry.get("give_up_after").seconds(hub.retry.give_up_after_s),
        ),
        parked=ParkedPolicy(
            recheck_s=parked.get("recheck").seconds(hub.parked.recheck_s),
            longest_s=parked.get("longest").seconds(hub.parked.longest_s),
            alarm_s=parked.get("alarm").seconds(hub.parked.alarm_s),
        ),
        breaker=BreakerPolicy(
            failures=breaker.get("failures").whole(hub.breaker.failures),
            open_s=breaker.get("open").seconds(hub.breaker.open_s),
            longest_s=breaker.get("longest").seconds(hub.breaker.longest_s),
        ),
        host=told.get("host").text(hub.host),
        port=told.get("port").whole(hub.port),
        web_threads=told.get("web_threads").whole(hub.web_threads),
        workers=told.get("workers").whole(hub.workers),
        threads=told.get("threads").whole(hub.threads),
        nice=told.get("nice").whole(hub.nice),
        api_token=told.get("api_token").text(),
        allow=allowed(told.get("allow")),
        verify_s=told.get("verify").parsed(interval, hub.verify_s),
        retention_s=told.get("retention").parsed(retention, hub.retention_s),
        metrics="token" if told.get("metrics").value == "token" else "open",
    )


def allowed(node: Node) -> Allow:
    """The hosts and networks of an `allow`, a list of texts or one text; each fault at its line."""
    allow = Allow()
    for item in node.each() if isinstance(node.value, list) else [node]:
        # A variable that is not set stands there as ${NAME}: it is told of by itself.
        more, wrong = read_allow([item.text()] if "${" not in item.text() else [])
        allow += more
        for what, todo in wrong:
            item.report(f"allow: {what}", todo, "allow")
    return allow


def flow_schema(schemas: Mapping[str, Json]) -> Json:
    """The schema of a file in config/flows: the keys of config/routes.yaml and config/bridges.yaml, any of them."""
    parts: dict[str, Json] = {}
    for kind in ("routes", "bridges"):
        schema = schemas[kind]
        assert isinstance(schema, dict) and isinstance(schema["properties"], dict)
        parts.update(schema["properties"])
    return {"type": "object", "properties": parts, "additionalProperties": False, "minProperties": 1}


def read_routes(node: Node, documents: Mapping[str, Json]) -> list[tuple[Route, Node]]:
    """The routes with the places they were read from."""
    return [(_route(item, documents), item) for item in node.get("routes").each()]


def _route(node: Node, documents: Mapping[str, Json]) -> Route:
    told = node.get("change")
    changes = tuple(told.texts()) if isinstance(told.value, list) else (told.text(),)
    kind = kind_of(changes[0]) if changes else "return"
    settle = node.get("settle").seconds(0.0) if node.get("settle").given else None
    hide = ["return" if kind == "order" else "order"]
    shapes = document_shapes(documents, kind)
    return Route(
        name=node.get("route").text(),
        changes=changes or ("",),
        where=node.where,
        source=node.get("source").text() or None,
        when=node.get("when").optional(shapes, hide=hide),
        calls=tuple(_call(item, shapes, hide) for item in node.get("calls").each()),
        order="free" if node.get("order").value == "free" else "per_return",
        confirm=node.get("confirm").flag(),
        settle_s=None if settle is None else (settle, node.get("settle_cap").seconds(_CAP * settle)),
        tests=tuple(read_test(case) for case in node.get("tests").each()),
    )


def _call(node: Node, shapes: Names, hide: Sequence[str]) -> RouteCall:
    connection, _, operation = node.get("to").text().partition(".")
    when = node.get("when").optional({**shapes, "delivery": DELIVERY}, hide=hide)
    return RouteCall(connection, operation, node.get("mapping").text(), when)


def read_test(node: Node) -> RouteTest:
    """A case beside a route or bridge."""
    given, expect = node.get("given").value, node.get("expect").value
    return RouteTest(
        name=node.get("name").text(),
        given=given if isinstance(given, dict) else {},
        expect=expect if isinstance(expect, dict) else {},
        where=node.where,
    )
