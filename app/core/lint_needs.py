"""Operations that are off until a connection gives the settings they need, against everybody who calls them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from app.core.connectors import Connection, Connector, Fetch
from app.core.lint_material import Material
from app.core.reading import Node
from app.model import Json

_SETTING = re.compile(r"\bsettings\.(\w+)")


def check(material: Material) -> None:
    """Report each call to an operation on a connection that does not give what the operation needs."""
    for _, node in (*material.routes, *material.bridges):
        for call in node.get("calls").each():
            _check_named(material, call.get("to"), call.get("when").text())
    used = material.used_references()
    for reference, node in material.references:
        if reference.key in used:
            for step in node.get("steps").each():
                _check_named(material, step.get("lookup").get("operation"))
    for name, connection in sorted(material.connections.items()):
        told = material.connection_node.get("connections").get(name) if material.connection_node else None
        if told is not None:
            for who, operation in _asked_by_itself(connection):
                _check_call(connection, operation, told, f" for its {who}")


def _check_named(material: Material, told: Node, when: str = "") -> None:
    """A call whose "connection.operation" is `told`. What leads nowhere is reported elsewhere.

    A setting that the call's `when` asks about is no mistake: the route itself leaves the call out without it.
    """
    name, _, operation = told.text().partition(".")
    connection = material.connections.get(name)
    if connection is not None:
        _check_call(connection, operation, told, asked=set(_SETTING.findall(when)))


def _check_call(
    connection: Connection, operation: str, told: Node, why: str = "", *, asked: Container[str] = ()
) -> None:
    connector = connection.connector
    for name in sorted(_made_for(connector, operation)):
        for setting in connector.operations[name].needs:
            if setting not in asked and is_empty(connection.settings.get(setting)):
                spec = connector.settings[setting]
                example = "" if spec.example is None else f", for example {_written(spec.example)}"
                what = f"{name} of {connection.name} needs the setting {setting}{why}"
                todo = f"set it in config/connections.yaml under connections.{connection.name}.settings{example}"
                told.kit.report(told.where_key if isinstance(told.value, dict) else told.where, what, todo, "setting")


def is_empty(value: Json) -> bool:
    """Whether a setting says nothing. Text of blanks alone says nothing either; 0 and false do say something."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def _made_for(connector: Connector, operation: str) -> set[str]:
    """The operation, and the one that looks whether what it does is done."""
    found = connector.operations.get(operation)
    if found is None:
        return set()
    probed = {found.probe.operation} & connector.operations.keys() if found.probe else set()
    return {operation, *probed}


def _asked_by_itself(connection: Connection) -> Iterator[tuple[str, str]]:
    """The operations that no route names, and what for: polls that are on, and what brings or reads documents."""
    connector = connection.connector
    for name in sorted(connection.polls):
        yield f"poll {name}", connector.polls[name].operation
    if connector.inbound is not None:
        for operation in _fetched(connector.inbound.fetch):
            yield "fetch", operation
        if connector.inbound.read is not None:
            yield "read", connector.inbound.read.operation


def _fetched(fetch: Fetch | None) -> Iterator[str]:
    while fetch is not None:
        yield fetch.operation
        fetch = fetch.before


def _written(example: Json) -> str:
    """An example as it would stand in the file."""
    if isinstance(example, list):
        return "[" + ", ".join(f'"{item}"' for item in example) + "]"
    return f'"{example}"' if isinstance(example, str) else str(example)
