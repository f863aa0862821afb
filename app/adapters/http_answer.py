"""Reading an answer of HTTP/1 off a connection: what it says, and whether the connection can be used again.

Vendors' servers are read leniently, as `http.client` does, where it is clear what they mean; whoever breaks a rule
loses the connection.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

_HEAD_CAP = 65_536  # bytes: status lines and headers of one answer; as much again for its trailers
_MEMBERS = 100  # of one gzip body
_BLANK_LINE = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) +([1-9][0-9][0-9])(?: .*)?\r?")
#: Of an answer that has a body, where it says how long that is.
_USUAL_STATUS = re.compile(r"HTTP/1\.1 (?:20[0-35-9]|30[0-35-9]|[45][0-9][0-9])(?: [^\r\n]*)?")
_BLANKS, _BLANKS_AND_CR = " \t", " \t\r"
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?", re.DOTALL)


class BadAnswerError(Exception):
    """What came is no whole answer of HTTP/1."""


class _ClosedError(BadAnswerError):
    pass


class TooLargeError(Exception):
    """The answer's body is larger than allowed."""


class Answer(NamedTuple):
    """A whole answer: header names in lower case, repeated ones joined, the body unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool  # nothing is left of it on the connection, and the peer keeps that open


class _Head:
    """Status line and headers."""

    def __init__(self, text: str) -> None:
        first, _, rest = text.partition("\n")
        status_line = _STATUS_LINE.fullmatch(first)
        if status_line is None:
            raise BadAnswerError("the answer does not begin like one of HTTP/1")
        self.minor, self.status = int(status_line[1]), int(status_line[2])
        self.clean = True
        self.headers: dict[str, str] = {}
        name = ""
        for line in rest.split("\n"):
            before, colon, value = line.partition(":")
            if line[:1] in (" ", "\t") and name:  # an old way to go on with the value of the line before
                self.headers[name] += " " + line.strip(" \t\r")
            elif colon:
                name, value = before.strip(" \t").lower(), value.strip(" \t\r")
                known = self.headers.get(name)
                self.headers[name] = value if known is None else f"{known}, {value}"
            else:
                self.clean = self.clean and not line.strip("\r")

    def length(self) -> int | None:
        """How long the body is said to be."""
        told = self.headers.get("content-length", "")
        if not told:
            return None
        if "," in told:
            each = {one.strip() for one in told.split(",")}
            told = each.pop() if len(each) == 1 else ""
        if not told.isdecimal() or len(told) > 18:
            raise BadAnswerError("the answer has no usable Content-Length")
        return int(told)

    def stays_open(self) -> bool:
        """Whether the peer keeps the connection open."""
        told = self.headers.get("connection", "").lower()
        if self.minor == 0:
            return "keep-alive" in told
        return "close" not in told


class _Source:
    """What comes off the connection, in the pieces that are asked for."""

    def __init__(self, first: bytes, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._data, self._at = first, 0
        self._heads = 0  # bytes of heads and trailers so far

    def empty(self) -> bool:
        """Whether everything that came has been taken."""
        return self._at == len(self._data)

    def head(self) -> _Head:
        """Status line and headers up to the empty line."""
        searched = self._at
        while (end := _BLANK_LINE.search(self._data, searched)) is None:
            self._more(_HEAD_CAP - self._heads)
            searched = max(self._at, searched - 3)
        text = self._data[self._at : end.start()].decode("latin-1")
        self._heads += end.end() - self._at
        self._at = end.end()
        return _Head(text)

    def line(self, cap: int = _HEAD_CAP) -> bytes:
        """The next line without its line feed."""
        while (end := self._data.find(b"\n", self._at)) < 0:
            self._more(cap)
        line = self._data[self._at : end]
        self._at = end + 1
        return line

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._at + size
        part = self._data[self._at : end]
        self._at = min(end, len(self._data))
        missing = size - len(part)
        if not missing:
            return part
        parts = [part]
        while missing:
            self._data, self._at = self._some(), 0
            part = self._data[:missing]
            self._at = len(part)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def rest(self, cap: int) -> bytes:
        """All that comes until the peer closes."""
        parts, size = [self._data[self._at :]], len(self._data) - self._at
        while size <= cap and (part := self._receive()):
            parts.append(part)
            size += len(part)
        if size > cap:
            raise TooLargeError
        return b"".join(parts)

    def _more(self, cap: int) -> None:
        """Take what comes to what is there, as long as that is not more than `cap`."""
        if len(self._data) - self._at > cap:
            raise BadAnswerError("the answer's headers are too long")
        self._data, self._at = self._data[self._at :] + self._some(), 0

    def _some(self) -> bytes:
        part = self._receive()
        if not part:
            raise _ClosedError("the peer closed the connection")
        return part


def read_answer(receive: Callable[[], bytes], method: str, cap: int) -> Answer:
    """One whole answer to a request with `method`; `receive` gives the next bytes, b"" once the peer has closed.

    Interim answers are left out. Raises `BadAnswerError`, and `TooLargeError` for a body of more than `cap` bytes.
    """
    first = receive()
    return _at_once(first, method, cap) or _step_by_step(_Source(first, receive), method, cap)


def _at_once(data: bytes, method: str, cap: int) -> Answer | None:
    """The answer, where `data` is one as nearly all are: plain, whole, with its length. None: it has to be looked at.

    A fifth of the work of `_step_by_step`, whose answer is the same.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not _USUAL_STATUS.fullmatch(first) or method == "HEAD" or len(body) > cap:
        return None
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name[:1] in _BLANKS or "\n" in line:
            return None
        headers[name.strip(_BLANKS).lower()] = value.strip(_BLANKS_AND_CR)
    told = headers.get("content-length", "")
    if not told.isdecimal() or len(told) > 18 or int(told) != len(body) or len(headers) != len(lines):
        return None
    if "transfer-encoding" in headers or "content-encoding" in headers:
        return None
    return Answer(int(first[9:12]), headers, body, "close" not in headers.get("connection", "").lower())


def _step_by_step(source: _Source, method: str, cap: int) -> Answer:
    head = source.head()
    while 100 <= head.status < 200 and head.status != 101:
        head = source.head()
    framed = True
    if method == "HEAD" or head.status in (101, 204, 304):
        body, framed = b"", head.status != 101
    elif head.headers.get("transfer-encoding", "").rpartition(",")[2].strip().lower() == "chunked":
        body = _chunks(source, cap)
        framed = "content-length" not in head.headers
    elif (length := head.length()) is not None:
        if length > cap:
            raise TooLargeError
        body = source.exactly(length)
    else:
        body, framed = source.rest(cap), False
    coding = head.headers.get("content-encoding")
    if coding and body:
        body = _unpacked(body, coding.lower(), cap)
    return Answer(head.status, head.headers, body, framed and head.clean and head.stays_open() and source.empty())


def _chunks(source: _Source, cap: int) -> bytes:
    parts, whole = [], 0
    while size := _chunk_size(source.line()):
        whole += size
        if whole > cap:
            raise TooLargeError
        parts.append(source.exactly(size))
        if source.line().strip(b"\r"):
            raise BadAnswerError("a chunk of the answer is longer than it said")
    with suppress(_ClosedError):  # some do so instead of sending the last empty line
        _skip_trailers(source)
    return b"".join(parts)


def _skip_trailers(source: _Source) -> None:
    left = _HEAD_CAP
    while (trailer := source.line(left)).strip(b"\r"):
        left -= len(trailer) + 1
        if left < 0:
            raise BadAnswerError("the answer's trailers are too long")


def _chunk_size(line: bytes) -> int:
    size = _CHUNK_SIZE.fullmatch(line)
    if size is None:
        raise BadAnswerError("a chunk of the answer has no size")
    return int(size[1], 16)


def _unpacked(body: bytes, coding: str, cap: int) -> bytes:
    """The body without gzip or deflate; as it is under any other name. The hub asks for neither."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        return _inflated(body, 32 + zlib.MAX_WBITS, cap)
    except zlib.error as error:
        if coding != "deflate":
            raise BadAnswerError(f"the answer cannot be unpacked: {error}") from None
    try:
        return _inflated(body, -zlib.MAX_WBITS, cap)  # many mean the bare stream by "deflate"
    except zlib.error as error:
        raise BadAnswerError(f"the answer cannot be unpacked: {error}") from None


def _inflated(packed: bytes, bits: int, cap: int) -> bytes:
    whole = b""
    for _ in range(_MEMBERS):
        one = zlib.decompressobj(bits)
        try:
            whole += one.decompress(packed, cap + 1 - len(whole))
        except zlib.error:
            if not whole:
                raise
            break  # something else behind the packed part
        if len(whole) > cap:
            raise TooLargeError
        packed = one.unused_data
        if not packed:
            break
    return whole
