"""Every way to prove who sent a message, of every scheme and every connector that comes with the project, against
everything that can be wrong with the proof. A new scheme or connector is in the table by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.adapters.files import load_site
from app.core.signatures import EXAMPLES, SCHEMES, build
from tests.unit.signature_kit import (
    NEW,
    OLD,
    OTHER,
    Message,
    at,
    changed,
    header,
    kind_of,
    one_byte,
    other_encoding,
    proven,
    reserialised,
    several,
    signed_by,
)

CONNECTORS = Path(__file__).parents[2] / "connectors"
#: Settings by which a connector's messages are proven otherwise than by its defaults.
OTHERWISE: dict[str, list[dict[str, Any]]] = {
    "digital_river": [
        {"signature": "stripe_like"},
        {"signature": "basic", "webhook_user": "${USER}", "webhook_password": "${PASSWORD}"},
        {"signature": "off"},
    ],
    "returnista": [{"signature_encoding": "base64", "signature_prefix": "sha256="}],
    "returnista_bridge": [{"proof": "bearer", "tokens": ["${TOKEN}"]}],
    "generic_shop": [{"webhook_secrets": None}],
    "generic_wms": [{"webhook_secrets": None}],
}


def _doors() -> Iterator[tuple[str, int]]:
    """Every connector that is sent messages or asked questions, with the number of each way to prove them."""
    for file in sorted(CONNECTORS.glob("*/connector.yaml")):
        written = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)
        if "verify" in written.get("inbound", {}) or "verify" in written.get("bridge", {}):
            for number in range(1 + len(OTHERWISE.get(file.parent.name, []))):
                yield file.parent.name, number


DOORS = list(_doors())


@cache
def _configs(root: Path) -> dict[tuple[str, int], Mapping[str, Any]]:
    """The `verify:` block of each door, rendered with the settings of a connection, as the hub renders it."""
    connections = {
        f"{name}_{number}": {"connector": name, "settings": _settings(name, number)} for name, number in DOORS
    }
    (root / "config").mkdir(exist_ok=True)
    text = yaml.safe_dump({"connections": connections})
    (root / "config/connections.yaml").write_text(text, encoding="utf-8")
    site = load_site(root, env={name: f"test-{name}" for name in re.findall(r"\$\{(\w+)\}", text)}, whole=False)
    found = {}
    for name, number in DOORS:
        connection = site.connections[f"{name}_{number}"]
        found[name, number] = connection.bridge_verify or connection.verify
    return found


def _settings(name: str, number: int) -> dict[str, Any]:
    written = yaml.load((CONNECTORS / name / "connector.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)
    filled = {}
    for key, setting in written["settings"].items():
        if "required" in setting or ("secret" in setting and isinstance(setting.get("example"), list)):
            filled[key] = setting["example"]
    more = OTHERWISE[name][number - 1] if number else {}
    return {key: value for key, value in {**filled, **more}.items() if value is not None}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


# What must be said of each: of all proofs, or of one kind of them. "" is belief.
SIGNED = ("plain", "timed", "parts", "standard_webhooks")
TIMED = ("timed", "parts", "standard_webhooks")
SENT = ("static_header", "bearer", "basic")
BAD = {**dict.fromkeys(SIGNED, "bad signature"), **dict.fromkeys(SENT, "bad credentials")}
MISSING = {**dict.fromkeys(SIGNED, "missing signature"), **dict.fromkeys(SENT, "missing credentials")}
#: A secret that is sent along proves nothing about body and time.
BODY_COUNTS = {**dict.fromkeys(SIGNED, "bad signature"), **dict.fromkeys(SENT, "")}
#: Nor is there a time in a signature of the body alone.
TIME_COUNTS = {**dict.fromkeys(TIMED, "timestamp outside tolerance"), "plain": "", **dict.fromkeys(SENT, "")}
GOOD = {**dict.fromkeys(SIGNED, ""), **dict.fromkeys(SENT, "")}

ROWS: dict[str, tuple[Callable[[Mapping[str, Any]], Message], dict[str, str]]] = {
    "good": (proven, GOOD),
    "one byte of the body changed": (one_byte, BODY_COUNTS),
    "the same JSON written otherwise": (reserialised, BODY_COUNTS),
    "four minutes old": (at(-4), GOOD),
    "six minutes old": (at(-6), TIME_COUNTS),
    "six minutes ahead": (at(6), TIME_COUNTS),
    "no header": (header(None), MISSING),
    "an empty header": (header(lambda value: ""), MISSING),
    "several, the last is right": (several(OTHER, own=True), {**BAD, "parts": "", "standard_webhooks": ""}),
    "several, none is right": (several(OTHER, "x", "y", own=False), BAD),
    "another encoding": (changed(other_encoding), {**BAD, "auto": ""}),
    "upper case": (changed(str.upper), {**BAD, "hex": "", "auto": ""}),
    "a sign more": (changed(lambda proof: proof + "0"), BAD),
    "a byte more": (changed(lambda proof: proof + "00"), BAD),
    "a sign less": (changed(lambda proof: proof[:-1]), BAD),
    "a sign less in front": (changed(lambda proof: proof[1:]), BAD),
    "half of it": (changed(lambda proof: proof[: len(proof) // 2]), BAD),
    "a line break behind it": (changed(lambda proof: proof + "\n0"), BAD),
    "the old secret while both hold": (signed_by(OLD, NEW, OLD), GOOD),
    "the new secret while both hold": (signed_by(NEW, NEW, OLD), GOOD),
    "the old secret when it is gone": (signed_by(OLD, NEW), BAD),
    "another secret": (signed_by(OTHER, NEW, OLD), BAD),
    "signs that are not ASCII": (changed(lambda proof: "é" + proof[1:]), BAD),
    "other alphabets' digits": (changed(lambda proof: "\u0661" * len(proof)), BAD),
    "half of a surrogate pair": (changed(lambda proof: "\udc80" * len(proof)), BAD),
    "NUL": (changed(lambda proof: "\0" * len(proof)), BAD),
    "a huge header": (changed(lambda proof: "A" * 1_000_000), BAD),
    "a huge header of parts": (changed(lambda proof: "v1=A,v1,A " * 100_000), BAD),
}  # fmt: skip


def _expected(expected: Mapping[str, str], config: Mapping[str, Any]) -> str:
    kind = kind_of(config)
    if kind == "none":
        return ""
    if kind in ("plain", "timed", "parts"):
        return expected.get(config.get("encoding", "hex"), expected[kind])
    return expected[kind]


def _judge(row: str, config: Mapping[str, Any]) -> None:
    make, expected = ROWS[row]
    if kind_of(config) == "none":
        assert Message(config, {}).cause == ""
    else:
        assert make(config).cause == _expected(expected, config)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_each_scheme_believes_what_it_should_and_nothing_else(example: Any, row: str) -> None:
    _judge(row, example.config)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]}-{door[1]}")
def test_each_connector_believes_what_it_should_and_nothing_else(door: tuple[str, int], row: str, root: Path) -> None:
    _judge(row, _configs(root)[door])


def test_every_scheme_and_every_kind_of_proof_is_in_the_table(root: Path) -> None:
    assert {example.config["scheme"] for example in EXAMPLES} == set(SCHEMES)
    kinds = {kind_of(example.config) for example in EXAMPLES}
    assert kinds - {"none"} == set(SIGNED) | set(SENT)
    for _, expected in ROWS.values():
        assert kinds - {"none"} <= set(expected)
    # A connector whose settings choose among schemes says each choice in OTHERWISE.
    assert {kind_of(config) for config in _configs(root).values()} >= {"plain", "parts", "static_header", "bearer"}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]}-{door[1]}")
def test_no_connector_believes_everybody_unless_it_is_told_to(door: tuple[str, int], root: Path) -> None:
    if kind_of(_configs(root)[door]) == "none":
        assert door == ("digital_river", 3)  # its setting `signature: off`


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if kind_of(one.config) in TIMED], ids=lambda one: one.title
)
def test_a_time_is_needed_and_stands_under_the_signature(example: Any) -> None:
    message = proven(example.config)
    scheme: Any = build(message.config)
    if kind_of(example.config) == "parts":
        name = scheme.header
        stamps = {"missing timestamp": "", "bad signature": "1795309201"}
        for cause, stamp in stamps.items():
            value = message.headers[name].replace("1795309200", stamp, 1)
            assert Message(message.config, {name: value}).cause == cause
        return
    name = scheme.names[1] if kind_of(example.config) == "standard_webhooks" else scheme.timestamp.header
    assert Message(message.config, {**message.headers, name: ""}).cause == "missing timestamp"
    for stamp in ("1795309201", "0", "-1", "1e9", "9" * 5000, "\u0661", "NaN", " 1795309200"):
        assert Message(message.config, {**message.headers, name: stamp}).cause == "bad signature"
