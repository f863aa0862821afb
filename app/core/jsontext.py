"""JSON to values and back without damage: fractions stay exact decimals, big numbers stay whole."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson
import simplejson

from app.errors import DataError
from app.model import Json

#: A number with a larger exponent is nobody's quantity or price; written out it would fill the memory.
_LONGEST_EXPONENT = 400
#: Python itself reads no whole number that is longer: the work grows with the square of its digits.
_LONGEST_NUMBER = 4300
_BEYOND = Decimal((0, (1,), _LONGEST_EXPONENT + 1))


def loads(text: bytes | str) -> Json:
    """The value of a JSON text; fractions are `Decimal`. Raises `DataError` when it is not UTF-8 or not JSON."""
    try:
        return _quick.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        # What it refuses is told by the slower reader, which also takes lone surrogates.
        pass
    except RecursionError:
        raise DataError("nested too deeply to be read") from None
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return _decoder.decode(text)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: byte {error.start} cannot be decoded") from None
    except RecursionError:
        raise DataError("nested too deeply to be read") from None
    except ValueError as error:
        raise DataError(f"not JSON: {error}") from None


def dumps(value: Json) -> bytes:
    """Compact JSON. A `Decimal` becomes the number it is, digit for digit. Raises `DataError` for what JSON lacks."""
    try:
        return orjson.dumps(value, default=_exact)
    except TypeError:
        # orjson stops at 64 bits and at lone surrogates; the slower library does not.
        try:
            text = simplejson.dumps(value, use_decimal=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise DataError(f"cannot be written as JSON: {error}") from None
        return text.encode("utf-8")


def dump_text(value: Json) -> str:
    """`dumps` as text."""
    return dumps(value).decode("utf-8")


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(type(value).__name__)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text) if len(text) <= _LONGEST_NUMBER else _BEYOND
    except InvalidOperation:
        # An exponent of twenty digits is more than a Decimal can say.
        number = _BEYOND
    if abs(number.adjusted()) > _LONGEST_EXPONENT:
        raise ValueError(f"the number {text[:40]} is out of all bounds")
    return number


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"the number {text[:40]} is out of all bounds")
    return int(text)


def _refuse(name: str) -> Json:
    raise ValueError(f"{name} is no JSON number")


_quick = msgspec.json.Decoder(float_hook=_number)
_decoder = simplejson.JSONDecoder(parse_float=_number, parse_int=_whole, parse_constant=_refuse)
