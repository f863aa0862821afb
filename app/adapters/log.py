"""The log: one structured line a happening, on stderr, without secrets and without people."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Literal, TextIO

import structlog

#: Words in a key's name whose value never reaches the log.
_KEPT_BACK = ("authorization", "token", "secret", "password", "cookie", "body", "headers", "payload")
#: `token` also names the hub's own claim tokens; those say which worker held a row and open nothing.
_HARMLESS = frozenset({"claim_token"})
_SHORTEST_SECRET = 4

Event = MutableMapping[str, Any]


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
    out = stream or sys.stderr
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    render: Any = structlog.processors.JSONRenderer(default=str) if style == "json" else _logfmt()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            drop_secrets,
            _Blotter(secrets),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard logging: only what they warn of is wanted, in the same form.
    handler = logging.StreamHandler(out)
    handler.setFormatter(_LibraryLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def get_log(part: str) -> Any:
    """A logger whose lines carry `part=…`; `log.info("delivery.attempted", delivery=…, outcome=…)`."""
    return structlog.get_logger().bind(part=part)


def drop_secrets(_: Any, __: str, event: Event) -> Event:
    """Replace the value of every key that could hold a secret or a person's data."""
    for key in event:
        if _is_kept_back(key):
            event[key] = "[kept back]"
    return event


@lru_cache(maxsize=1024)
def _is_kept_back(key: str) -> bool:
    lowered = key.lower()
    return lowered not in _HARMLESS and any(word in lowered for word in _KEPT_BACK)


class _Blotter:
    """Blots known secret values out of every text of a line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first: a secret that holds another one goes as a whole.
        known = sorted((secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _: Any, __: str, event: Event) -> Event:
        if self._any is not None:
            for key, value in event.items():
                if isinstance(value, str) and self._any.search(value):
                    event[key] = self._any.sub("[secret]", value)
        return event


class _LibraryLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        event: Event = {"event": text, "level": record.levelname.lower(), "part": record.name}
        for processor in structlog.get_config()["processors"][2:]:
            event = processor(None, record.levelname.lower(), event)
        return str(event)


def _logfmt() -> Callable[[Any, str, Event], str]:
    render = structlog.processors.LogfmtRenderer(key_order=["at", "level", "event"], bool_as_flag=False)

    def line(logger: Any, name: str, event: Event) -> str:
        # A stack trace belongs on lines of its own: quoted into one it is unreadable.
        trace = event.pop("exception", "")
        # The renderer refuses names with blanks; a slip in a key must not cost the line.
        clean: Event = {key.replace(" ", "_"): value for key, value in event.items()}
        text = render(logger, name, clean)
        return f"{text}\n{trace}" if trace else text

    return line
