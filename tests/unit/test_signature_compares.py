"""Secrets are compared in a time that tells nothing: nowhere with ==, and never only as far as the first that fits."""

from __future__ import annotations

import ast
import hmac
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.signatures import EXAMPLES
from tests.unit.signature_kit import NEW, OLD, OTHER, kind_of, proof_of, proven, with_secrets

APP = Path(__file__).parents[2] / "app"
#: Where messages and people prove who they are.
FILES = sorted({*(APP / "core").glob("signature*.py"), *(APP / "core").glob("*tokens.py"), APP / "web" / "auth.py"})
#: How often secrets are compared in each, so that a way round is seen when it is written.
COMPARED = {"signature_config.py": 1, "signature_hmac.py": 2, "signature_tokens.py": 2, "auth.py": 2}
#: What is compared plainly although no constant stands beside it, and why that tells nothing.
ALLOWED = {
    "secret != secret.strip()",  # while the site is read
    "base64.b64encode(found) == text.encode()",  # what was given, against itself in its one right spelling
    "word.lower() != self.word.lower()",  # "Bearer"
    "key not in self._used",  # words of the file
    "value not in options",
    "name not in SCHEMES",
    "key in self._config",
    "piece in fill",  # the template's pieces
}


def _plain(node: ast.expr) -> bool:
    """Whether it is no secret for sure: written there, a length, a number."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(map(_plain, node.elts))
    if isinstance(node, ast.BinOp):
        return _plain(node.left) or _plain(node.right)
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "len")


def _compares(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Compare) or any(map(_plain, (node.left, *node.comparators))):
            continue
        if any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops):
            yield node.lineno, ast.unparse(node)


def _tells_nothing(text: str) -> bool:
    # Which path was asked for, with which method, is no secret.
    return text in ALLOWED or text.startswith(("request.path", "request.method"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_that_may_be_a_secret_is_compared_with_equals(path: Path) -> None:
    found = [f"{path.name}:{line} {text}" for line, text in _compares(path) if not _tells_nothing(text)]
    assert found == [], "compare with `same` or hmac.compare_digest, or say in ALLOWED why it is no secret"


def test_secrets_are_compared_where_this_test_knows_it() -> None:
    counted = {}
    for path in FILES:
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        names = [ast.unparse(node.func).rpartition(".")[2] for node in calls]
        counted[path.name] = sum(name in ("same", "compare_digest", "_any_equal") for name in names)
    # In signature_hmac.py `_any_equal` is called by both schemes and compares once.
    assert {name: count for name, count in counted.items() if count} == COMPARED | {"signature_hmac.py": 4}


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each comparison gave."""
    made: list[bool] = []
    real = hmac.compare_digest

    def spy(left: Any, right: Any) -> bool:
        made.append(real(left, right))
        return made[-1]

    monkeypatch.setattr(hmac, "compare_digest", spy)
    return made


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if kind_of(one.config) != "none"], ids=lambda example: example.title
)
def test_all_secrets_are_compared_whichever_fits(example: Any, compared: list[bool]) -> None:
    for signer in (NEW, OTHER, OLD, "somebody else"):
        message = replace(proven(example.config, signer), config=with_secrets(example.config, NEW, OTHER, OLD))
        compared.clear()
        believed = message.cause == ""
        assert believed == (signer != "somebody else")
        assert (len(compared), sum(compared)) == (3, int(believed))


@pytest.mark.parametrize(
    "example",
    [one for one in EXAMPLES if kind_of(one.config) in ("parts", "standard_webhooks")],
    ids=lambda example: example.title,
)
def test_all_signatures_of_a_message_are_compared_though_the_first_fits(example: Any, compared: list[bool]) -> None:
    message = proven(example.config)
    name, head, proof = proof_of(message)
    glue = " v1," if kind_of(example.config) == "standard_webhooks" else head[len(head.split("1795309200")[0]) + 10 :]
    other = proof_of(proven(example.config, OTHER))[2]
    several = replace(message, headers={**message.headers, name: head + glue.join([proof, other, other])})
    compared.clear()
    assert several.cause == ""
    assert (len(compared), sum(compared)) == (6, 1)
