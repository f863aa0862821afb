"""How values lie in the ledger: milliseconds for times, text that every database takes, keys of bounded length."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from app.core.times import iso

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_KEY = 200


def to_ms(moment: datetime) -> int:
    """The time as whole milliseconds since 1970, UTC."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(ms: int) -> datetime:
    """The aware UTC time of `to_ms`."""
    return _EPOCH + timedelta(milliseconds=ms)


def iso_ms(ms: int | None) -> str | None:
    """The time as ISO text, for lists and stories; None stays None."""
    return None if ms is None else iso(from_ms(ms))


def clean(text: str) -> str:
    """The text without what a database refuses: NUL and lone surrogates are written as escapes.

    One vendor's odd byte must not turn away the receipts that are committed together with it.
    """
    if text.isascii():
        return text.replace("\x00", "\\u0000") if "\x00" in text else text
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode("utf-8")


def bounded(text: str) -> str:
    """`clean`, and what is longer than 200 signs cut and told apart by its hash: indexes take no longer keys."""
    if len(text) <= _LONGEST_KEY and text.isascii() and "\x00" not in text:
        return text
    text = clean(text)
    if len(text) <= _LONGEST_KEY:
        return text
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return f"{text[: _LONGEST_KEY - 65]}…{digest}"


def plain(texts: Collection[str | None]) -> bool:
    """Whether `clean` and `bounded` would leave all these texts as they are: true of nearly all, and quickly told."""
    told: Collection[Any] = [text for text in texts if text is not None] if None in texts else texts
    joined = "".join(told)
    return joined.isascii() and "\x00" not in joined and max(map(len, told), default=0) <= _LONGEST_KEY


class Words(TypeDecorator[str]):
    """Text of people and vendors."""

    impl = Text
    cache_ok = True
    prepare = staticmethod(clean)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """The text as `clean` gives it."""
        return None if value is None else clean(value)


class Key(TypeDecorator[str]):
    """Text that is looked up by an index."""

    impl = Text
    cache_ok = True
    prepare = staticmethod(bounded)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """The text as `bounded` gives it."""
        return None if value is None else bounded(value)


#: Milliseconds since 1970.
Millis = BigInteger
#: A number that counts up with each row. SQLite makes only an INTEGER key its row id.
Counter = BigInteger().with_variant(Integer(), "sqlite")
