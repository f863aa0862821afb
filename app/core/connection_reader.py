"""`config/connections.yaml` to `Connection`s: settings checked and secrets resolved, auth and verify rendered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import ceil
from urllib.parse import urlsplit

from app.core import auth, auth_token, signatures
from app.core.config_reader import allowed
from app.core.connector_reader import read_limits
from app.core.connectors import Connection, Connector, InboundRate, SettingSpec
from app.core.networks import Allow
from app.core.poll_reader import polls_on
from app.core.reading import Node
from app.core.source import Path
from app.core.times import rate, retention
from app.core.words import did_you_mean
from app.errors import ConfigError, DataError
from app.model import Json


def read_connections(
    node: Node, connectors: Mapping[str, Connector], broken: Collection[str], from_env: Collection[Path], allow: Allow
) -> dict[str, Connection]:
    """The connections by name. `broken` are connectors whose files cannot be read; `from_env` the values that the
    environment gave; `allow` what the hub lets each of them call."""
    found: dict[str, Connection] = {}
    for name, item in node.get("connections").items():
        wanted = item.get("connector")
        connector = connectors.get(wanted.text())
        if connector:
            found[name] = _connection(name, item, connector, from_env, allow)
        elif isinstance(wanted.value, str) and wanted.value not in broken:
            todo = did_you_mean(wanted.value, connectors) + " (folders under connectors/)"
            wanted.report(f"unknown connector {wanted.value!r}", todo, "connector")
    return found


def _connection(name: str, node: Node, connector: Connector, from_env: Collection[Path], allow: Allow) -> Connection:
    settings, complete = _settings(name, node, connector, from_env)
    if complete:
        _refuse(name, node, connector, settings)
    rendered_auth = _rendered(node, "auth", connector, connector.auth, settings) if complete else None
    verify = None
    if connector.inbound and connector.inbound.webhooks:
        verify = _rendered(node, "verify", connector, connector.inbound.verify, settings) if complete else {}
    asks = connector.bridge
    bridge_verify = _rendered(node, "verify", connector, asks.verify, settings) if asks and complete else None
    if bridge_verify and asks:
        _tell(node, signatures.problems(bridge_verify), asks.verify, signatures.SCHEMES, "bridge.verify")
    if connector.token and complete:
        _tell(node, auth_token.problems(connector.token, settings), connector.auth, auth.SCHEMES, "auth")
    if rendered_auth is not None:
        _tell(node, [f"{what}" for what in auth.problems(rendered_auth)], connector.auth, auth.SCHEMES, "auth")
    if verify:
        assert connector.inbound
        _tell(node, signatures.problems(verify), connector.inbound.verify, signatures.SCHEMES, "verify")
    return Connection(
        name=name,
        connector=connector,
        where=node.where_key,
        system=node.get("system").text(name),
        settings=settings,
        limits=read_limits(node.get("limits"), connector.limits),
        auth=rendered_auth or {"scheme": "none"},
        verify=verify,
        inbound_rate=_inbound_rate(node.get("inbound"), connector),
        polls=_polls(name, node, connector),
        bridge_verify=bridge_verify if bridge_verify or not asks else {},
        secret_values=frozenset(_secret_values(connector.settings, settings)),
        allow=allow + allowed(node.get("allow")),
        retention_s=node.get("retention").parsed(retention, 0.0) or None,
    )


def _inbound_rate(node: Node, connector: Connector) -> InboundRate | None:
    if node.given and not (connector.inbound and connector.inbound.webhooks):
        what = f"'inbound' is of no use: connector {connector.name} takes no webhooks"
        node.kit.report(node.where_key, what, "remove it", "inbound")
    most = node.get("rate").parsed(rate, None)
    return InboundRate(most, node.get("burst").whole(max(1, ceil(most)))) if most else None


def _polls(name: str, node: Node, connector: Connector) -> dict[str, float]:
    on = polls_on(node, connector)
    if connector.inbound and not connector.inbound.webhooks and not on and connector.polls:
        what = f"nothing can come in from {name!r}: connector {connector.name} takes no webhooks, and no poll is on"
        node.kit.report(node.where_key, what, "write poll: true", "poll")
    return on


def _settings(name: str, node: Node, connector: Connector, from_env: Collection[Path]) -> tuple[dict[str, Json], bool]:
    """The settings with defaults, and whether they are all there."""
    told, complete = node.get("settings"), True
    settings: dict[str, Json] = {}
    for key, item in told.items():
        if key not in connector.settings:
            where, todo = item.where_key, did_you_mean(key, connector.settings)
            node.kit.report(where, f"connector {connector.name} has no setting {key!r}", todo, "setting")
    for key, spec in connector.settings.items():
        item = told.get(key)
        value = item.value if item.given else spec.default
        if value is not None:
            settings[key] = value
        if spec.required and (value is None or value == "" or value == []):
            complete = False
            where = item.where_key if item.given else node.where_key
            todo = f"give it under settings ({spec.description.rstrip('.') or f'for example {spec.example}'})"
            node.kit.report(where, f"connection {name!r} lacks the setting {key!r}", todo, "setting")
        elif spec.secret and item.given:
            _no_secret_in_file(item, from_env)
    _check_base_url(told.get("base_url"), settings.get("base_url"))
    return settings, complete


def _refuse(name: str, node: Node, connector: Connector, settings: Mapping[str, Json]) -> None:
    """Report settings that the connector refuses, at the connection."""
    for rule in connector.refuse:
        try:
            refused = rule.when.render({"settings": settings}, "refuse.when")
        except DataError as error:
            node.kit.report(node.where_key, f"connection {name!r}: {error.what}", "give it under settings", "setting")
            continue
        if refused:
            todo = rule.todo or "correct its settings"
            node.kit.report(node.where_key, f"connection {name!r}: {rule.because}", todo, "setting")


def _no_secret_in_file(item: Node, from_env: Collection[Path]) -> None:
    for part in item.each() if isinstance(item.value, list) else [item]:
        if part.value != "" and not any(path[: len(item.path)] == item.path for path in from_env):
            part.report(
                f"{item.path[-1]!r} is a secret and stands in the file", "write ${NAME}, and set NAME", "secret"
            )
            return


def _check_base_url(told: Node, value: Json) -> None:
    if value is None or (isinstance(value, str) and "${" in value):
        return
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        told.report("base_url is no address", "write it like https://api.example.com/v1", "setting")
    elif parts.username or parts.query or parts.fragment:
        told.report(
            "base_url holds more than an address", "put credentials into auth and queries into query", "setting"
        )


def _rendered(
    node: Node, what: str, connector: Connector, block: Mapping[str, Json], settings: Mapping[str, Json]
) -> dict[str, Json] | None:
    """A block of the connector with the connection's settings in it; None when that cannot be done."""
    try:
        value = node.kit.environment.compile_value(dict(block), where=node.where, names=("settings",))
        rendered: dict[str, Json] = value.render({"settings": settings}, what)
        return rendered
    except ConfigError:
        return None  # reported where the connector's own file says it
    except DataError as error:
        wanted = error.what.removeprefix("settings.").split(" ")[0].split(".")[0].split("[")[0]
        if error.what.startswith("settings.") and wanted not in connector.settings:
            return None  # the connector has no such setting: reported at its own file too
        node.kit.report(node.where_key, f"{error.path}: {error.what}", "give it under settings", "setting")
        return None


def _tell(node: Node, faults: list[str], block: Mapping[str, Json], schemes: Collection[str], what: str) -> None:
    scheme = block.get("scheme")
    if not isinstance(scheme, str) or ("{{" not in scheme and scheme not in schemes):
        return  # reported where the connector's own file says it
    for fault in faults:
        said, _, todo = fault.partition(": ")
        node.kit.report(node.where_key, f"connection {node.path[-1]!r}, {what}: {said}", todo, what)


def _secret_values(specs: Mapping[str, SettingSpec], settings: Mapping[str, Json]) -> Iterator[str]:
    waiting = [settings[key] for key, spec in specs.items() if spec.secret and key in settings]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif value is not None and not isinstance(value, bool) and str(value):
            yield str(value)
