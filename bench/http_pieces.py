"""The little of HTTP/1.1 that the stubs and the load generator speak, as fast as plain Python can."""

from __future__ import annotations

import re

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)


def header(head: bytes, name: bytes) -> str:
    """The value of a header, "" when it is not there; `name` in lower case."""
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return ""
    begin = at + len(name) + 3
    return head[begin : head.index(b"\r\n", begin)].strip().decode("latin-1")


def status_of(head: bytes) -> int:
    """The status of an answer."""
    return int(head[9:12])


def message_end(buffer: bytes) -> int:
    """Where the first message in the buffer ends; -1 while it is not complete."""
    at = buffer.find(_END)
    if at < 0:
        return -1
    start = at + len(_END)
    if length := _LENGTH.search(buffer, 0, at):
        end = start + int(length[1])
        return end if len(buffer) >= end else -1
    if _CHUNKED.search(buffer, 0, at):
        last = buffer.find(b"0\r\n\r\n", start)
        return last + 5 if last >= 0 else -1
    return start


def answer(status: bytes, body: bytes) -> bytes:
    """A whole answer with JSON; `status` with its words, "200 OK"."""
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
