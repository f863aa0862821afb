"""The `poll` list of a connector, and which of its polls a connection has on."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.connectors import Connector
from app.core.expression_compiler import Names
from app.core.expressions import Value
from app.core.polls import Poll, Window
from app.core.reading import Node
from app.core.shapes import Shape
from app.core.words import did_you_mean

#: How often a poll looks when neither the connector nor the connection says.
EVERY_S = 900.0
#: Looking more often than this is a mistyped duration.
_EVERY_LEAST_S = 1.0
_SPAN = Shape.keys(("from", "to"))


def read_polls(connector: Node, shapes: Names) -> dict[str, Poll]:
    """The polls by name. `shapes` are those of `settings`."""
    found: dict[str, Poll] = {}
    for node in connector.get("poll").each():
        name = node.get("poll").text()
        if name in found:
            node.get("poll").report(f"the poll {name!r} is given twice", "give it another name", "poll")
        found[name] = _poll(name, node, connector, shapes)
    if found and not connector.get("inbound").given:
        todo = "add inbound: its event_id, types and mapping are those of what a poll brings"
        connector.get("poll").report("a connector without inbound can read nothing that a poll brings", todo, "poll")
    return found


def _poll(name: str, node: Node, connector: Node, shapes: Names) -> Poll:
    spans = node.get("window")
    shapes = {**shapes, "window": _SPAN}
    hide = () if spans.given else ("window",)
    operations = [key for key, _ in connector.get("operations").items()]
    told = node.get("operation")
    if isinstance(told.value, str) and told.value not in operations:
        told.report(f"unknown operation {told.value!r}", did_you_mean(told.value, operations), "operation")
    elif told.given:
        _check_items(node, connector.get("operations").get(told.text()))
    return Poll(
        name=name,
        where=node.where,
        operation=told.text(),
        args=_arguments(node, shapes, hide),
        every_s=max(node.get("every").seconds(EVERY_S), _EVERY_LEAST_S),
        payload=node.get("payload").template(shapes),
        window=_window(spans, node, shapes) if spans.given else None,
        items=node.get("items").optional(shapes),
        wanted=node.get("where").optional(shapes, hide=hide),
    )


def _arguments(node: Node, shapes: Names, hide: tuple[str, ...]) -> Value:
    told = node.get("with")
    if told.given:
        return told.template(shapes, hide=hide)
    return node.kit.environment.compile_value({}, where=node.where, names=())


def _check_items(node: Node, operation: Node) -> None:
    items, paging = node.get("items"), operation.get("paging")
    if items.given and paging.given:
        items.report(
            f"the paging of {node.get('operation').text()} says already where its items are", "remove items", "poll"
        )
    elif not items.given and not paging.given:
        what = f"nothing says where the items are in the answer of {node.get('operation').text()}"
        node.get("operation").report(what, "give the poll items, or the operation paging", "poll")


def _window(node: Node, poll: Node, shapes: Names) -> Window:
    base = Window()
    if "window." not in str(poll.get("with").value) and isinstance(node.value, dict):
        what = "the poll has a window, and its arguments do not ask for it"
        node.report(what, "use window.from and window.to under with, or remove window", "poll")
    return Window(
        overlap_s=node.get("overlap").seconds(base.overlap_s),
        behind_s=node.get("behind").seconds(base.behind_s),
        longest_s=node.get("longest").seconds(base.longest_s),
        start_s=node.get("start").seconds(base.start_s),
        whole=node.get("whole").optional(shapes),
    )


def polls_on(node: Node, connector: Connector) -> dict[str, float]:
    """The polls that a connection has on, each with how often it looks, in seconds."""
    told = node.get("poll")
    if not told.given or told.value is False:
        return {}
    if not connector.polls:
        told.report(f"connector {connector.name} has no poll", "remove poll, or add one to the connector", "poll")
        return {}
    if told.value is True:
        return {name: poll.every_s for name, poll in connector.polls.items()}
    return dict(_chosen(told, connector.polls))


def _chosen(told: Node, polls: Mapping[str, Poll]) -> list[tuple[str, float]]:
    found = []
    for name, item in told.items():
        poll = polls.get(name)
        if poll is None:
            todo = did_you_mean(name, polls)
            item.kit.report(item.where_key, f"the connector has no poll {name!r}", todo, "poll")
        else:
            found.append((name, max(item.seconds(poll.every_s), _EVERY_LEAST_S)))
    return found
