"""What the checks across files look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.core.bridges import Bridge
from app.core.connectors import Connection, Connector
from app.core.mapping import MappingFile
from app.core.reading import Kit, Node
from app.core.references import ReferenceFile
from app.core.routing import Route
from app.core.site import Hub


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that was read, with the places it was read from."""

    connectors: Mapping[str, Connector]
    connector_nodes: Mapping[str, Node]
    connections: Mapping[str, Connection]
    connection_node: Node | None
    mappings: Mapping[str, MappingFile]
    mapping_nodes: Mapping[str, Node]
    references: Sequence[tuple[ReferenceFile, Node]]
    tables: Mapping[str, Mapping[str, str]]
    routes: Sequence[tuple[Route, Node]]
    bridges: Sequence[tuple[Bridge, Node]]
    hub: Hub
    hub_node: Node | None
    texts: Mapping[str, str]
    own: frozenset[str]
    broken: frozenset[str]
    exists: Callable[[str], bool]
    test_nodes: Mapping[str, Node]
    kit: Kit

    def connection_names(self) -> list[str]:
        """Every connection that is written down, those with faults included: they are not missing."""
        node = self.connection_node
        return [name for name, _ in node.get("connections").items()] if node else []

    def used_mappings(self) -> set[str]:
        """The mappings that routes, bridges and the connections' connectors name."""
        inbound = [each.connector.inbound for each in self.connections.values() if each.connector.inbound]
        calls = [call for route, _ in self.routes for call in route.calls]
        calls += [call for bridge, _ in self.bridges for call in bridge.calls]
        answers = {bridge.answer for bridge, _ in self.bridges}
        return {call.mapping for call in calls} | answers | {each.mapping for each in inbound}

    def used_references(self) -> set[tuple[str, str, str]]:
        """The references (kind, from, to) that the used mappings name."""
        used = self.used_mappings() & self.mapping_nodes.keys()
        uses = [use for name in used for _, use in self.mapping_nodes[name].get("references").items()]
        return {(use.get("kind").text(), use.get("from").text(), use.get("to").text()) for use in uses}

    def matters(self, node: Node, used: bool) -> bool:
        """Whether a file has to fit this site: it is the site's own, or in use. Others come with the project."""
        return used or node.source.file in self.own
