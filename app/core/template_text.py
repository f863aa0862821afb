"""Takes a YAML text apart into plain pieces and the expressions between `{{` and `}}`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_OPENING, _CLOSING = "([{", ")]}"
_STATEMENTS = {
    "{%": "{% … %} is not part of the language: use $each, $if or an inline if",
    "{#": "{# … #} is not part of the language: write a YAML comment",
}


class TemplateFault(ValueError):
    """The text's braces make no sense. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Plain text, or an expression without its braces."""

    text: str
    is_expression: bool


def take_apart(text: str) -> list[Piece]:
    """The pieces of a text in order. Raises `TemplateFault`."""
    return list(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    start = 0
    while True:
        found = text.find("{{", start)
        plain = text[start:] if found < 0 else text[start:found]
        for word, why in _STATEMENTS.items():
            if word in plain:
                raise TemplateFault(why)
        if "}}" in plain:
            raise TemplateFault("}} closes nothing: its {{ is missing")
        if plain:
            yield Piece(plain, False)
        if found < 0:
            return
        end = _end(text, found + 2)
        inner = text[found + 2 : end]
        if inner[:1] in ("-", "+") or inner[-1:] in ("-", "+"):
            raise TemplateFault("{{- and -}} are not part of the language: YAML already trims")
        if not inner.strip():
            raise TemplateFault("{{ }} is empty: write an expression between the braces")
        yield Piece(inner.strip(), True)
        start = end + 2


def _end(text: str, start: int) -> int:
    """Where the `}}` of the expression that begins at `start` stands: not in quotes, not inside other brackets."""
    depth, quote, at = 0, "", start
    while at < len(text):
        sign = text[at]
        if quote:
            if sign == "\\":
                at += 1
            elif sign == quote:
                quote = ""
        elif sign in "'\"":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif depth == 0 and text.startswith("}}", at):
            return at
        elif sign in _CLOSING:
            depth -= 1
        at += 1
    raise TemplateFault("a quote in {{ is not closed" if quote else "{{ is not closed: write }} behind the expression")
