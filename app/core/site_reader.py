"""All files of a site to a `Site`, with every fault in them. Pure: the texts come from `adapters/files`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath

from app.core.bridge_reader import read_bridges
from app.core.config_reader import flow_schema, read_hub, read_routes
from app.core.connection_reader import read_connections
from app.core.connector_reader import read_connector
from app.core.connectors import Connection, Connector
from app.core.env_values import fill
from app.core.expressions import Environment
from app.core.lint import cross_check
from app.core.lint_material import Material
from app.core.mapping_reader import read_mapping
from app.core.networks import Allow, read_allow
from app.core.reading import Kit, Node
from app.core.reference_reader import read_reference, table_name
from app.core.references import ReferenceFile
from app.core.schema_check import FileSchema
from app.core.site import Hub, Site
from app.core.source import Path as Steps
from app.core.source import Source, Where
from app.core.tables import Table, read_csv, read_yaml
from app.core.validation import SchemaValidator
from app.model import Json, Problem

#: Names and networks that calls may go to, beside those of the files.
ALLOW_ENV = "BACKHAUL_ALLOW"


@dataclass(frozen=True, slots=True)
class Files:
    """What was found on disk. Paths are relative to the site, or to the project for what comes with it."""

    root: Path
    texts: Mapping[str, str]
    own: frozenset[str]  # those of the site itself; the others come with the project
    folders: Mapping[str, Path]  # of the connectors, by name
    schemas: Mapping[str, Json]  # app/schemas, by name
    parse: Callable[[str, str], tuple[Source, list[Problem]]]  # (text, file): strict YAML
    exists: Callable[[str], bool]  # whether a file of fixtures is there
    problems: tuple[Problem, ...] = ()  # met while reading
    monotonic: Callable[[], float] | None = None


def stamp(texts: Mapping[str, str]) -> str:
    """sha256 over names and contents of all files, in the order of names."""
    digest = sha256()
    for name in sorted(texts):
        for part in (name.encode(), texts[name].encode()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def read_site(
    files: Files,
    env: Mapping[str, str],
    *,
    allow_missing_env: bool = False,
    need_connections: bool = True,
    whole: bool = True,
) -> tuple[Site, list[Problem]]:
    """The site and every fault in its files. With faults the site is incomplete and must not be used.

    Without `whole` connectors and mappings of the project that nothing in the site names are left out, and so are all
    test cases: for processes that live long, of which each would hold them.
    """
    reader = _Reader(files, env, allow_missing_env, need_connections, whole, frozenset() if whole else _unused(files))
    site = reader.read()
    found = sorted(set(reader.problems), key=lambda problem: (problem.file, problem.line, problem.column, problem.what))
    return site, found


@dataclass(slots=True)
class _Reader:
    files: Files
    env: Mapping[str, str]
    allow_missing_env: bool
    need_connections: bool
    whole: bool
    left_out: frozenset[str]  # files
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)  # files that are no YAML: what they define is not missed
    from_env: set[Steps] = field(default_factory=set)
    schemas: dict[str, FileSchema] = field(default_factory=dict)

    def read(self) -> Site:
        files = self.files
        self.problems.extend(files.problems)
        self.broken.update(problem.file for problem in files.problems)
        tables = self._tables()
        kit = Kit(Environment(tables, files.monotonic), self.problems)
        connector_nodes = self._nodes("connectors/", "connector", kit, "/connector.yaml")
        connectors = {
            name: read_connector(node, name, files.folders[name], files.texts, files.schemas)
            for name, node in ((PurePosixPath(file).parts[1], node) for file, node in connector_nodes.items())
        }
        broken_connectors = {PurePosixPath(file).parts[1] for file in self.broken if file.startswith("connectors/")}
        mapping_nodes = self._nodes("mappings/", "mapping", kit, depth=2)
        mappings = {
            mapping.name: mapping
            for file, node in mapping_nodes.items()
            for mapping in [read_mapping(node, files.texts[file], files.schemas, _fetched(connectors, file))]
        }
        references = self._references(kit)
        hub_node = self._node("config/hub.yaml", "hub", kit)
        connection_node = self._node("config/connections.yaml", "connections", kit)
        flow_nodes = list(self._nodes("config/flows/", "flow", kit).values())
        route_nodes = [node for node in (self._node("config/routes.yaml", "routes", kit), *flow_nodes) if node]
        bridge_nodes = [node for node in (self._node("config/bridges.yaml", "bridges", kit), *flow_nodes) if node]
        hub = read_hub(hub_node) if hub_node else Hub()
        allow = hub.allow + self._allowed_here()
        connections: dict[str, Connection] = {}
        if connection_node:
            connections = read_connections(connection_node, connectors, broken_connectors, self.from_env, allow)
        elif self.need_connections and "config/connections.yaml" not in self.broken:
            self._no_connections()
        routes = [each for node in route_nodes for each in read_routes(node, files.schemas)]
        bridges = [each for node in bridge_nodes for each in read_bridges(node, connections)]
        cross_check(
            Material(
                connectors=connectors,
                connector_nodes={PurePosixPath(file).parts[1]: node for file, node in connector_nodes.items()},
                connections=connections,
                connection_node=connection_node,
                mappings=mappings,
                mapping_nodes={PurePosixPath(file).stem: node for file, node in mapping_nodes.items()},
                references=references,
                tables=tables,
                routes=routes,
                bridges=bridges,
                hub=hub,
                hub_node=hub_node,
                texts=files.texts,
                own=files.own,
                broken=frozenset(self.broken),
                exists=files.exists,
                test_nodes=self._nodes("connectors/", "tests", kit, "/tests.yaml") if self.whole else {},
                kit=kit,
            )
        )
        # Test cases change nothing in what the hub does.
        kept = {file: text for file, text in files.texts.items() if not file.endswith("/tests.yaml")}
        return Site(
            root=files.root,
            stamp=stamp(kept),
            files=kept,
            hub=hub,
            connectors=connectors,
            connections=connections,
            mappings=mappings,
            references={reference.key: reference for reference, _ in references},
            tables=tables,
            routes=tuple(route for route, _ in routes),
            validators={kind: SchemaValidator(files.schemas[kind]) for kind in ("return", "order")},
            bridges=tuple(bridge for bridge, _ in bridges),
        )

    def _allowed_here(self) -> Allow:
        """What this machine adds: simulators on it can be called without a word in the site's files."""
        allow, wrong = read_allow([self.env.get(ALLOW_ENV, "")])
        self.problems.extend(Problem("", 0, 0, f"{ALLOW_ENV}: {what}", todo, "allow") for what, todo in wrong)
        return allow

    def _no_connections(self) -> None:
        near = [file for file in self.files.texts if file.startswith("config/")]
        todo = (
            f"write one; in config/ there is only {', '.join(near)}" if near else "write one: the accounts to work with"
        )
        self.problems.append(Problem("config/connections.yaml", 1, 1, "there is no such file", todo, "file"))

    def _node(self, file: str, schema: str, kit: Kit) -> Node | None:
        """A file that may be absent, checked against its schema, with the environment's values filled in."""
        text = self.files.texts.get(file)
        if text is None:
            return None
        source, faults = self.files.parse(text, file)
        self.problems.extend(faults)
        if faults:
            self.broken.add(file)
        if source.value is None:
            if not faults:
                self.problems.append(Problem(file, 1, 1, "the file is empty", "write it, or remove it", "schema"))
            return None
        if file.startswith("config/"):
            filled = fill(source, self.env, allow_missing=self.allow_missing_env)
            self.problems.extend(filled.problems)
            source = filled.source
            if file == "config/connections.yaml":
                self.from_env = filled.paths
        shape = flow_schema(self.files.schemas) if schema == "flow" else self.files.schemas[schema]
        if schema not in self.schemas:
            self.schemas[schema] = FileSchema(shape)
        self.problems.extend(self.schemas[schema].faults(source))
        return Node.root(source, shape, kit)

    def _nodes(self, folder: str, schema: str, kit: Kit, ending: str = ".yaml", depth: int = 0) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for file in sorted(self.files.texts.keys() - self.left_out):
            fits = file.startswith(folder) and file.endswith(ending)
            if fits and (not depth or len(PurePosixPath(file).parts) == depth):
                node = self._node(file, schema, kit)
                if node:
                    found[file] = node
        return found

    def _tables(self) -> dict[str, Table]:
        tables: dict[str, Table] = {}
        seen: dict[str, str] = {}
        for file in sorted(self.files.texts):
            if not file.startswith("mappings/tables/"):
                continue
            name = table_name(file)
            if name in seen:
                what = f"table {name!r} is given twice, by {seen[name]} too"
                self.problems.append(Problem(file, 1, 1, what, "keep one of the files", "table"))
                continue
            seen[name] = file
            words, faults = self._table(file)
            tables[name] = Table(words, file)
            self.problems.extend(faults)
        return tables

    def _table(self, file: str) -> tuple[dict[str, str], list[Problem]]:
        text = self.files.texts[file]
        if file.endswith(".csv"):
            return read_csv(text, file)
        source, faults = self.files.parse(text, file)
        return ({}, faults) if faults else read_yaml(source)

    def _references(self, kit: Kit) -> list[tuple[ReferenceFile, Node]]:
        found: list[tuple[ReferenceFile, Node]] = []
        seen: dict[tuple[str, str, str], Where] = {}
        for node in self._nodes("mappings/references/", "reference", kit).values():
            reference = read_reference(node)
            if reference.key in seen:
                what = f"the reference {_spoken(reference.key)} is given twice, at {seen[reference.key]} too"
                node.report(what, "keep one of the files", "reference")
                continue
            seen[reference.key] = reference.where
            found.append((reference, node))
        return found


def _unused(files: Files) -> frozenset[str]:
    """Connectors and mappings of the project whose names stand nowhere in the site, nor in what the site names."""
    named: dict[str, list[str]] = {}
    for file in files.texts.keys() - files.own:
        folder, name, *more = PurePosixPath(file).parts
        if folder == "connectors" or (folder == "mappings" and not more):
            named.setdefault(PurePosixPath(name).stem, []).append(file)
    todo = [files.texts[file] for file in files.own]
    while todo:
        text = todo.pop()
        for name in [name for name in named if name in text]:
            todo += [files.texts[file] for file in named.pop(name)]
    return frozenset(file for unused in named.values() for file in unused)


def _spoken(key: tuple[str, str, str]) -> str:
    kind, start, end = key
    return f"{kind} from {start} to {end}"


def _fetched(connectors: Mapping[str, Connector], file: str) -> frozenset[str]:
    """How the connectors that use this mapping call what they fetched or read again."""
    name = PurePosixPath(file).stem
    inbound = [connector.inbound for connector in connectors.values() if connector.inbound]
    brought = [call for each in inbound if each.mapping == name for call in (each.fetch, each.read) if call]
    return frozenset(call.name for call in brought)
