"""The signed time of sending: where it stands, how it is written, and how old it may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from app.core.signature_config import SchemeReader
from app.core.times import parse_time

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{13}", re.ASCII)
_PRINTED = re.compile(r"[0-9A-Za-z:.+-]{1,40}", re.ASCII)
_PIECES = re.compile(r"(\{timestamp\}|\{body\})")
#: More signatures than this nobody sends; each costs us a comparison with each secret.
_MOST_PARTS = 20


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A signed time of sending: its header, how far off it may be, and what is signed with it."""

    header: str  # "" = it stands in the signature's header
    tolerance_s: float  # 0 = any age
    template: tuple[str, ...]  # the pieces of "{timestamp}.{body}"
    prefix: str = ""  # what its part begins with; "" = it is the first part
    any_form: bool = False  # milliseconds and ISO 8601 too, not only Unix seconds

    def written(self, stamp: str) -> bool:
        """Whether the text can be a time at all: only then it is worth to be hashed."""
        return bool((_PRINTED if self.any_form else _SECONDS).fullmatch(stamp))

    def fresh(self, stamp: str, now: datetime) -> bool:
        """Whether it is near enough to now, before or after. What cannot be read as a time is not."""
        if not self.tolerance_s:
            return True
        sent = _moment(stamp)
        return sent is not None and abs(now.timestamp() - sent) <= self.tolerance_s

    def signed(self, stamp: bytes, body: bytes) -> bytes:
        """The bytes under the signature."""
        fill = {"{timestamp}": stamp, "{body}": body}
        return b"".join(fill[piece] if piece in fill else piece.encode() for piece in self.template)


@dataclass(frozen=True, slots=True)
class Parts:
    """One header for the time and one or more signatures: "1739788399, abc=" or "t=1739788399,v1=abc"."""

    separator: str  # blanks around the parts do not count
    stamp: str  # what the time's part begins with; "" = it is the first part
    signature: str  # what a signature's part begins with; "" = every other part is one

    def split(self, header: str) -> tuple[str, list[str]]:
        """The time ("" when there is none) and the signatures, without what they begin with."""
        parts = [part.strip() for part in header.split(self.separator.strip() or self.separator)]
        place = next((number for number, part in enumerate(parts) if part.startswith(self.stamp)), None)
        if place is None:
            return "", []
        stamp = parts.pop(place).removeprefix(self.stamp)
        found = [part.removeprefix(self.signature) for part in parts if part.startswith(self.signature)]
        return stamp, found[:_MOST_PARTS]

    def join(self, stamp: str, signature: str) -> str:
        """The header's value."""
        return f"{self.stamp}{stamp}{self.separator}{self.signature}{signature}"


def read_timestamp(part: SchemeReader, *, in_header: bool) -> Timestamp:
    """The `timestamp:` block; `in_header` when it has a header of its own."""
    template = part.text("template", "{timestamp}.{body}")
    pieces = tuple(_PIECES.split(template))
    if pieces.count("{timestamp}") != 1 or pieces.count("{body}") != 1:
        part.fault("template", "must hold {timestamp} once and {body} once")
    return Timestamp(
        header=part.header("header") if in_header else "",
        # One that shares the signature's header is often undocumented: 0 is for vendors whose clock nobody can rely on.
        tolerance_s=part.duration("tolerance", "5m", zero=not in_header),
        template=pieces,
        prefix="" if in_header or part.use("prefix") in (None, "") else part.text("prefix"),
        any_form=part.choice("form", ("unix", "any"), "unix") == "any",
    )


def read_parts(reader: SchemeReader, timestamp: Timestamp | None, signature: str) -> Parts | None:
    """The `separator:` key, None where the header holds one signature and nothing else."""
    if not reader.has("separator"):
        return None
    separator = reader.text("separator")
    if timestamp is None:
        reader.fault("separator", "needs a timestamp block: what is separated is a time and its signatures")
        return None
    return Parts(separator, timestamp.prefix, signature)


def _moment(stamp: str) -> float | None:
    if _SECONDS.fullmatch(stamp):
        return float(stamp)
    if _MILLISECONDS.fullmatch(stamp):
        return int(stamp) / 1000
    if stamp.isdigit():
        return None
    try:
        return parse_time(stamp).timestamp()
    except ValueError:
        return None
