"""The log: one structured line a happening, on stderr, without secrets and without people."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TextIO

import structlog

#: Words in a key's name whose value never reaches the log.
_KEPT_BACK = ("authorization", "token", "secret", "password", "cookie", "body", "headers", "payload")
#: `token` also names the hub's own claim tokens; those say which worker held a row and open nothing.
_HARMLESS = frozenset({"claim_token"})
_SHORTEST_SECRET = 4
_LEVELS = {"warn": "warning", "exception": "error"}
_BACKSLASH = "\\"

Event = dict[str, Any]

_line: _Line | None = None


def configure(
    style: Literal["text", "json"] = "text",
    *,
    level: str = "info",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Set up the log of this process: `text` is `key=value` for people, `json` one object a line for machines.

    `secrets` are values (tokens, passwords) that are blotted out wherever they turn up, an exception's text included.
    """
    global _line
    out = _Lossy(stream or sys.stderr)
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    line = _line = _Line(_as_json if style == "json" else _as_text, secrets)
    structlog.configure(
        processors=[line],
        wrapper_class=_short_way(structlog.make_filtering_bound_logger(number)),
        logger_factory=lambda: out,
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard logging: only what they warn of is wanted, in the same form.
    handler = logging.StreamHandler(out)
    handler.setFormatter(_LibraryLines(line))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _Lossy:
    """A stream that loses what cannot be written: a full disk beneath the log must not end anybody's work."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        # A file is written to directly: one system call a line, and lines of several threads stay whole.
        raw = getattr(getattr(out, "buffer", None), "raw", None)
        self._file = raw if isinstance(raw, io.FileIO) else None
        self._encoding, self._errors = out.encoding or "utf-8", out.errors or "backslashreplace"
        self.flush()

    def msg(self, line: str) -> None:
        """Write a line, if that is possible."""
        self.write(line + "\n")
        if self._file is None:
            self.flush()

    def write(self, text: str) -> int:
        """Write, if that is possible."""
        try:
            if self._file is None:
                self._out.write(text)
                return len(text)
            data = text.encode(self._encoding, self._errors)
            while data:
                data = data[self._file.write(data) or len(data) :]
        except (OSError, ValueError):
            pass
        return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with suppress(OSError, ValueError):
            self._out.flush()


def hide(whose: str, secret: str) -> None:
    """From now on blot out this secret too, and the one that came before it from the same place."""
    if _line is not None:
        _line.hide(whose, secret)


def get_log(part: str) -> Any:
    """A logger whose lines carry `part=…`; `log.info("delivery.attempted", delivery=…, outcome=…)`."""
    return structlog.get_logger().bind(part=part)


def _short_way(filtering: type[Any]) -> type[Any]:
    """structlog's logger that goes by level; what it lets through is one line, without its chain of processors."""

    class Short(filtering):  # type: ignore[misc]
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **given: Any) -> Any:
            line = self._processors[0]
            if not isinstance(line, _Line):  # `structlog.testing.capture_logs` has put itself in its place
                return super()._proxy_to_logger(method_name, event, **given)
            self._logger.msg(line(None, method_name, {**self._context, **given, "event": event}))
            return None

    return Short


class _Line:
    """Makes the one line of a happening, without secrets and without people.

    One step instead of a chain of structlog's own, for every event writes several lines.
    """

    def __init__(self, render: Callable[[Event], str], secrets: Iterable[str]) -> None:
        self._render = render
        self._fixed = tuple(secrets)
        self._later: dict[str, tuple[str, ...]] = {}
        self._learning = threading.Lock()
        self._learn(self._fixed)

    def hide(self, whose: str, secret: str) -> None:
        """Hide one secret more. Of those that come from one place the last two are hidden: tokens come every hour."""
        with self._learning:
            before = self._later.get(whose, ())
            if secret not in before:
                self._later[whose] = (*before[-1:], secret)
                self._learn((*self._fixed, *(one for kept in self._later.values() for one in kept)))

    def _learn(self, secrets: Iterable[str]) -> None:
        # Longest first: a secret that holds another one goes as a whole.
        known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True)
        # Within a list or an error's arguments it is written as Python writes it.
        forms = list(dict.fromkeys(form for secret in known for form in (secret, repr(secret)[1:-1])))
        self._any = re.compile("|".join(map(re.escape, forms)))
        self._spellings = list(dict.fromkeys(spelling for form in forms for spelling in _spellings(form)))

    def __call__(self, _: Any, method: str, given: Any) -> str:
        event: Event = {
            "at": _now(),
            "level": _LEVELS.get(method, method),
            "event": given.pop("event", ""),
            **given,
        }
        if "exc_info" in event:
            structlog.processors.format_exc_info(None, method, event)
        for key in _kept_back(tuple(event)):
            event[key] = "[kept back]"
        line = self._render(event)
        # Asked of the whole line, for that is quick; blotted out value by value, so that the line keeps its form.
        for spelling in self._spellings:
            if spelling in line:
                return self._render({key: self._blotted(value) for key, value in event.items()})
        return line

    def _blotted(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self._any.sub("[secret]", str(value))


def _now() -> str:
    nanos = time.time_ns()
    return f"{_second(nanos // 1_000_000_000)}.{nanos // 1_000 % 1_000_000:06d}Z"


@lru_cache(maxsize=2)
def _second(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).isoformat()[:19]


@lru_cache(maxsize=1024)
def _kept_back(keys: tuple[str, ...]) -> list[str]:
    """The keys whose values could be a secret or a person's data."""
    lowered = [(key, key.lower()) for key in keys]
    return [key for key, name in lowered if name not in _HARMLESS and any(word in name for word in _KEPT_BACK)]


def _spellings(secret: str) -> list[str]:
    """The secret as it may stand in a line."""
    doubled = secret.replace(_BACKSLASH, _BACKSLASH * 2)
    return [secret, _escaped(secret), _escaped(doubled), _json.encode(secret)[1:-1]]


# --- forms of a line -----------------------------------------------------------------------------

# Made once: `json.dumps` with options builds an encoder at each call.
_json = json.JSONEncoder(default=str)
_quoted = json.encoder.encode_basestring_ascii


def _as_json(event: Event) -> str:
    words = [
        _quoted(value) if (kind := value.__class__) is str else value if kind is int else _json_word(value)
        for value in event.values()
    ]
    return _json_form(tuple(event)) % tuple(words)


def _json_word(value: Any) -> str:
    return "null" if value is None else _json.encode(value)


@lru_cache(maxsize=1024)
def _json_form(keys: tuple[str, ...]) -> str:
    return "{" + ", ".join([f"{_quoted(key)}: ".replace("%", "%%") + "%s" for key in keys]) + "}"


def _as_text(event: Event) -> str:
    words = [value if (kind := value.__class__) is str or kind is int else _bare(value) for value in event.values()]
    line = _text_form(tuple(event)) % tuple(words)
    # Looked at as a whole, for that is quick: nearly always no word has to be quoted.
    usual = line.count(" ") == len(words) - 1 and line.count("=") == len(words) and '"' not in line and "\n" not in line
    return line if usual and "exception" not in event else _in_quotes(event)


@lru_cache(maxsize=1024)
def _text_form(keys: tuple[str, ...]) -> str:
    return " ".join([f"{_name(key)}=".replace("%", "%%") + "%s" for key in keys])


def _in_quotes(event: Event) -> str:
    line = " ".join([f"{_name(key)}={_word(value)}" for key, value in event.items() if key != "exception"])
    # A stack trace belongs on lines of its own: quoted into one it is unreadable.
    return f"{line}\n{event['exception']}" if event.get("exception") else line


def _name(key: str) -> str:
    # A slip in a key must not cost the line.
    return re.sub(r"[\x00- ]", "_", key)


def _word(value: Any) -> str:
    text = _bare(value)
    if " " in text or "=" in text or '"' in text:
        return f'"{_escaped(text.replace(_BACKSLASH, _BACKSLASH * 2))}"'
    return _escaped(text) if "\n" in text else text


def _bare(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _escaped(text: str) -> str:
    return text.replace('"', _BACKSLASH + '"').replace("\n", _BACKSLASH + "n")


class _LibraryLines(logging.Formatter):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return self._line(None, record.levelname.lower(), {"event": text, "part": record.name})
