"""Strict YAML: what looks like text stays text, nothing is given twice, and every value knows its line.

Plain scalars become null (`null`, `~`, nothing), true, false, whole numbers (`12`) or exact decimals (`4.10`). All else
stays text: 00123, 1_000, 12:30, 1e5, 0x10, no, on, dates. Keys are always text. No anchors, aliases, tags or merges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import yaml

from app.core.source import Path, Source
from app.model import Json, Problem

# PyYAML's stubs know no fields of events.
Event = Any

_INT = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, Json] = {"": None, "null": None, "~": None, "true": True, "false": False}
MAX_DEPTH = 60
MAX_DIGITS = 4000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str, file: str) -> tuple[Source, list[Problem]]:
    """The file's values with their places, and every fault in its form. With faults the values may be incomplete."""
    reader = _Reader(text, file)
    try:
        value = reader.read()
    except yaml.YAMLError as error:
        reader.broken(error)
        value = None
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        what = "half a character pair, which no UTF-8 file holds"
        reader.problems.append(Problem(file, line, 1, f"no YAML: {what}", "write the character itself", "yaml"))
        value = None
    return Source(file, value, reader.places, reader.keys), reader.problems


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self._text, self._file = text, file
        self._events: Iterator[Event] = iter(())
        self.places: dict[Path, tuple[int, int]] = {}
        self.keys: dict[Path, tuple[int, int]] = {}
        self.problems: list[Problem] = []

    def read(self) -> Json:
        self._events = iter(yaml.parse(self._text, Loader=_LOADER))
        value: Json = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._report(event, "a second document begins", "one file holds one document: remove the ---")
                    break
            elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent, yaml.CollectionStartEvent)):
                value = self._value(event, ())
        return value

    def _value(self, event: Event, path: Path) -> Json:
        self.places[path] = _place(event)
        if isinstance(event, yaml.AliasEvent):
            self._report(event, f"the alias *{event.anchor} is not allowed", "copy what it stands for")
            return f"*{event.anchor}"
        if getattr(event, "anchor", None):
            self._report(event, f"the anchor &{event.anchor} is not allowed", "remove it: lines are copied here")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._report(event, f"the tag {tag} is not allowed", "write text in quotes, everything else plainly")
        if len(path) > MAX_DEPTH:
            raise yaml.MarkedYAMLError(None, None, f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        return _scalar(event)

    def _list(self, path: Path) -> list[Json]:
        made: list[Json] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            made.append(self._value(event, (*path, len(made))))
        return made

    def _mapping(self, path: Path) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path)
            inner = (*path, key)
            if key in made:
                first = self.keys[inner][0]
                self._report(event, f"the key {key!r} is given twice", f"the first is in line {first}: keep one")
                inner = (*path, key, "")  # its places must not hide those of the first
            else:
                self.keys[inner] = _place(event)
            value = self._value(next(self._events), inner)
            made.setdefault(key, value)
        return made

    def _key(self, event: Event, path: Path) -> str:
        if isinstance(event, yaml.ScalarEvent):
            if event.value == "<<" and not event.style:
                self._report(event, "merging with << is not allowed", "copy the lines")
            if event.anchor or event.tag:
                self._value(event, (*path, event.value))
            return str(event.value)
        self._report(event, "a key must be plain text", "write `key: value`")
        self._value(event, (*path, "?"))
        return f"?{event.start_mark.index}"

    def _report(self, event: Event, what: str, todo: str) -> None:
        self.problems.append(Problem(self._file, *_place(event), what, todo, "yaml"))

    def broken(self, error: yaml.YAMLError) -> None:
        """The text is no YAML at all."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
        if isinstance(error, yaml.reader.ReaderError):
            line = self._text.count("\n", 0, error.position) + 1
        self.problems.append(Problem(self._file, line, column, f"no YAML: {what}", _advice(what), "yaml"))


def _advice(what: str) -> str:
    if "mapping values are not allowed" in what:
        return "put text that holds `: ` in quotes"
    if "cannot start any token" in what:
        return "indent with blanks, and put text that begins with a sign in quotes"
    if "expected <block end>" in what or "expected ',' or" in what:
        return "look at the indentation and the quotes of this line and the one before"
    return "look at the indentation and the quotes of this line"


def _place(event: Event) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _scalar(event: Event) -> Json:
    text = str(event.value)
    if event.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    return text
