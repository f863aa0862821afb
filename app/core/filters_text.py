"""Filters that make text and times."""

from __future__ import annotations

import base64
import hashlib
from decimal import Decimal
from typing import Any

from app.core.exact import Refused, shown, text_of
from app.core.filter_kit import Example, Filter
from app.core.jsontext import dump_text
from app.core.times import iso, parse_time
from app.errors import DataError

#: No padding or cutting beyond this many characters.
MAX_WIDTH = 1000
#: No text that a filter makes is longer.
MAX_TEXT = 1_000_000


def _width(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WIDTH:
        raise Refused(f"{shown(value)} is no width", f"write a whole number from 0 to {MAX_WIDTH}")
    return value


def _text(value: Any) -> str:
    return text_of(value)


def _upper(value: Any) -> str:
    return text_of(value).upper()


def _lower(value: Any) -> str:
    return text_of(value).lower()


def _trim(value: Any) -> str:
    return text_of(value).strip()


def _strip_prefix(value: Any, prefix: str) -> str:
    return text_of(value).removeprefix(text_of(prefix))


def _strip_suffix(value: Any, suffix: str) -> str:
    return text_of(value).removesuffix(text_of(suffix))


def _zero_pad(value: Any, width: int) -> str:
    return text_of(value).rjust(_width(width), "0")


def _cut(value: Any, width: int) -> str:
    return text_of(value)[: _width(width)]


def _replace(value: Any, old: str, new: str) -> str:
    text, old, new = text_of(value), text_of(old), text_of(new)
    if not old:
        raise Refused("replace needs a text to look for")
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_TEXT:
        raise Refused(f"the result is larger than {MAX_TEXT:,} characters")
    return text.replace(old, new)


def _split(value: Any, separator: str) -> list[str]:
    separator = text_of(separator)
    if not separator:
        raise Refused("split needs a separator")
    return text_of(value).split(separator)


def _sha256(value: Any) -> str:
    return hashlib.sha256(text_of(value).encode()).hexdigest()


def _b64(value: Any) -> str:
    return base64.b64encode(text_of(value).encode()).decode()


def _b64url(value: Any) -> str:
    return base64.urlsafe_b64encode(text_of(value).encode()).decode().rstrip("=")


def _json(value: Any) -> str:
    try:
        text = dump_text(value)
    except DataError as error:
        raise Refused(f"{shown(value)} {error.what}") from None
    if len(text) > MAX_TEXT:
        raise Refused(f"the result is larger than {MAX_TEXT:,} characters")
    return text


def _date(value: Any) -> str:
    return _iso_time(value)[:10]


def _iso_time(value: Any) -> str:
    try:
        return iso(parse_time(text_of(value)))
    except ValueError:
        raise Refused(f"{shown(value)} is no time", "times are written like 2026-11-22T01:02:03Z") from None


_LINE = {"sku": "00123", "price": Decimal("4.10")}

FILTERS = (
    Filter(
        "text",
        "text",
        "The value as text, digit for digit.",
        _text,
        (Example("4711 | text", "4711"), Example("[1] | text", fails="cannot be written as text")),
    ),
    Filter("upper", "upper", "Capital letters.", _upper, (Example("'eu' | upper", "EU"),)),
    Filter("lower", "lower", "Small letters.", _lower, (Example("'EU' | lower", "eu"),)),
    Filter("trim", "trim", "Without blanks at both ends.", _trim, (Example("' R-1 ' | trim", "R-1"),)),
    Filter(
        "strip_prefix",
        "strip_prefix(prefix)",
        "Without the prefix, if it is there.",
        _strip_prefix,
        (Example("'#1004800' | strip_prefix('#')", "1004800"), Example("'77' | strip_prefix('#')", "77")),
    ),
    Filter(
        "strip_suffix",
        "strip_suffix(suffix)",
        "Without the suffix, if it is there.",
        _strip_suffix,
        (Example("'1001-A' | strip_suffix('-A')", "1001"),),
    ),
    Filter(
        "zero_pad",
        "zero_pad(width)",
        "Zeros in front until it is `width` long; never shortened.",
        _zero_pad,
        (Example("'12E4' | zero_pad(10)", "00000012E4"), Example("'12345' | zero_pad(3)", "12345")),
    ),
    Filter("cut", "cut(width)", "At most the first `width` characters.", _cut, (Example("'Hamburg' | cut(3)", "Ham"),)),
    Filter(
        "replace",
        "replace(old, new)",
        "Every `old` replaced by `new`.",
        _replace,
        (Example("'a-b-c' | replace('-', '')", "abc"),),
    ),
    Filter(
        "split",
        "split(separator)",
        "The parts between the separators, as a list.",
        _split,
        (Example("'a,b' | split(',')", ["a", "b"]),),
    ),
    Filter(
        "sha256",
        "sha256",
        "The SHA-256 of the text's UTF-8 bytes, in hex.",
        _sha256,
        (Example("'abc' | sha256 | cut(16)", "ba7816bf8f01cfea"),),
    ),
    Filter("b64", "b64", "The text's UTF-8 bytes in base64.", _b64, (Example("'abc' | b64", "YWJj"),)),
    Filter(
        "b64url",
        "b64url",
        "The text's UTF-8 bytes in base64 as URLs take it: `-` and `_` for `+` and `/`, no `=` at the end.",
        _b64url,
        (Example("'abcd' | b64url", "YWJjZA"), Example("'a?b>c~' | b64url", "YT9iPmN-")),
    ),
    Filter(
        "json",
        "json",
        "The value as one line of JSON text; numbers stay digit for digit.",
        _json,
        (
            Example("{'sku': sku, 'price': price} | json", '{"sku":"00123","price":4.10}', given=_LINE),
            Example("['ä', none, true] | json", '["ä",null,true]'),
            Example("[['code', '=', '12E4']] | json | b64url", "W1siY29kZSIsIj0iLCIxMkU0Il1d"),
        ),
    ),
    Filter(
        "date",
        "date",
        "The UTC day of a time.",
        _date,
        (Example("'2026-11-22T23:30:00-02:00' | date", "2026-11-23"), Example("'soon' | date", fails="is no time")),
    ),
    Filter(
        "iso_time",
        "iso_time",
        "A time as UTC with milliseconds.",
        _iso_time,
        (
            Example("'2026-11-22T01:02+01:00' | iso_time", "2026-11-22T00:02:00.000Z"),
            Example("'2026-11-22T01:02:03.5+01:00[UTC]' | iso_time", "2026-11-22T00:02:03.500Z"),
        ),
    ),
)
