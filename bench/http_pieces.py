"""The little of HTTP/1.1 that the stubs and the load generator speak, as fast as plain Python can."""

from __future__ import annotations

_END = b"\r\n\r\n"


def head_end(buffer: bytes | bytearray) -> int:
    """Where the body begins; -1 while the head is not complete."""
    found = buffer.find(_END)
    return found + 4 if found >= 0 else -1


def header(head: bytes, name: bytes) -> str:
    """The value of a header, "" when it is not there; `name` in lower case."""
    lowered = head.lower()
    at = lowered.find(b"\r\n" + name + b":")
    if at < 0:
        return ""
    begin = at + len(name) + 3
    return head[begin : head.index(b"\r\n", begin)].strip().decode("latin-1")


def body_length(head: bytes) -> int:
    """How long the body is; -1 for a chunked one."""
    if header(head, b"transfer-encoding").lower() == "chunked":
        return -1
    return int(header(head, b"content-length") or 0)


def status_of(head: bytes) -> int:
    """The status of an answer."""
    return int(head[9:12])


def message_end(buffer: bytes | bytearray) -> int:
    """Where the first message in the buffer ends; -1 while it is not complete."""
    start = head_end(buffer)
    if start < 0:
        return -1
    length = body_length(bytes(buffer[:start]))
    if length < 0:
        last = buffer.find(b"0\r\n\r\n", start)
        return last + 5 if last >= 0 else -1
    return start + length if len(buffer) >= start + length else -1
