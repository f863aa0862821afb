"""Connectors and connections: schemes, probes, addresses, time limits, and the words of inbound."""

from __future__ import annotations

from app.core import auth, signatures
from app.core.arguments import check_arguments
from app.core.lint_material import Material
from app.core.outcomes import SAFE_METHODS
from app.core.reading import Node
from app.core.words import did_you_mean


def check(material: Material) -> None:
    """Report what is wrong with connectors and connections."""
    used = {connection.connector.name for connection in material.connections.values()}
    for name, node in material.connector_nodes.items():
        if material.matters(node, name in used):
            _check_schemes(node)
            _check_operations(node)
            _check_inbound(material, node, name)
    _check_times(material)


def _check_schemes(node: Node) -> None:
    blocks = [(node.get("auth"), auth.SCHEMES.keys(), "auth")]
    blocks += [(node.get(door).get("verify"), signatures.SCHEMES.keys(), "signature") for door in ("inbound", "bridge")]
    for block, schemes, what in blocks:
        scheme = block.get("scheme")
        if isinstance(scheme.value, str) and "{{" not in scheme.value and scheme.value not in schemes:
            scheme.report(f"unknown {what} scheme {scheme.value!r}", did_you_mean(scheme.value, schemes), what)


def _check_operations(node: Node) -> None:
    operations = node.get("operations")
    if operations.value and "base_url" not in (node.get("settings").value or {}):
        todo = "add it under settings: hosts come from connections only"
        operations.report("a connector with operations needs the setting 'base_url'", todo, "setting")
    for _, operation in operations.items():
        probe = operation.get("probe")
        probed = operations.get(probe.get("operation").text())
        if probe.given and probed.given:
            arguments = probe.get("with")
            check_arguments(probed, arguments.value if arguments.given else {}, probe, "the probe")
        if probe.get("before").value is True and (
            operation.get("safe").value is True or operation.get("method").value in SAFE_METHODS
        ):
            what = f"{operation.path[-1]} changes nothing: there is nothing to look for before it"
            probe.get("before").report(what, "take the probe away", "probe")
    fetch = node.get("inbound").get("fetch")
    fetched = operations.get(fetch.get("operation").text())
    if fetch.given and fetched.given:
        arguments = fetch.get("with")
        check_arguments(fetched, arguments.value if arguments.given else {}, fetch, "fetch")
    before = fetch.get("before")
    found = operations.get(before.get("operation").text())
    if before.given and found.given:
        arguments = before.get("with")
        check_arguments(found, arguments.value if arguments.given else {}, before, "what is made before the fetch")
    read = node.get("inbound").get("read")
    for call, who in (
        (read, "read"),
        *((poll, f"the poll {poll.get('poll').text()}") for poll in node.get("poll").each()),
    ):
        asked = operations.get(call.get("operation").text())
        if call.given and asked.given:
            arguments = call.get("with")
            check_arguments(asked, arguments.value if arguments.given else {}, call, who)


def _check_inbound(material: Material, node: Node, name: str) -> None:
    inbound = node.get("inbound")
    types = inbound.get("types").value
    for word in inbound.get("ignore").each():
        if isinstance(types, dict) and isinstance(word.value, str) and word.value in types:
            word.report(
                f"the type {word.value!r} is read and ignored", "remove it from types or from ignore", "inbound"
            )
    used = inbound.get("mapping")
    if not isinstance(used.value, str) or f"mappings/{used.value}.yaml" in material.broken:
        return
    mapping = material.mapping_nodes.get(used.value)
    if mapping is None:
        used.report(f"unknown mapping {used.value!r}", did_you_mean(used.value, material.mapping_nodes), "mapping")
    elif not mapping.get("document").given:
        used.report(f"mapping {used.value!r} makes no document", f"give {name} one with `document:`", "mapping")


def _check_times(material: Material) -> None:
    lease = material.hub.lease_s
    for name, connection in material.connections.items():
        timeouts = [operation.timeout_s or 0.0 for operation in connection.connector.operations.values()]
        longest = max([connection.limits.timeout_s, *timeouts])
        if longest >= lease and material.connection_node:
            node = material.connection_node.get("connections").get(name)
            where = node.where_key
            what = f"connection {name!r} may wait {longest:g}s for an answer, and a lease lasts {lease:g}s"
            material.kit.report(where, what, "make hub.lease longer or the timeout shorter", "time")
