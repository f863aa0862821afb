"""Reading answers of HTTP/1: well-formed, odd and hostile ones, in any pieces."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.http_answer import Answer, BadAnswerError, TooLargeError, read_answer

CAP = 1000


def coming(raw: bytes, size: int = 65_536) -> Callable[[], bytes]:
    """Gives `raw` in pieces of `size` bytes, then the peer's closing for ever."""
    pieces = iter([raw[at : at + size] for at in range(0, len(raw), size)])
    return lambda: next(pieces, b"")


def read(raw: bytes, method: str = "POST", size: int = 65_536) -> Answer:
    return read_answer(coming(raw, size), method, CAP)


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *lines)).encode("latin-1") + b"\r\n\r\n" + body


CHUNKED = "Transfer-Encoding: chunked"
WELL = {
    "with a length": (raw("Content-Length: 2", "X: y", body=b"{}"), b"{}", True),
    "without a body": (raw("Content-Length: 0"), b"", True),
    "in chunks": (raw(CHUNKED, body=b"2\r\n{}\r\n1\r\n1\r\n0\r\n\r\n"), b"{}1", True),
    "in chunks with extensions and trailers": (
        raw(CHUNKED, body=b'00A ;a="b"\r\n0123456789\r\n0;x\r\nX-Sum: 1\r\n\r\n'),
        b"0123456789",
        True,
    ),
    "in chunks, without the last line": (raw(CHUNKED, body=b"2\r\n{}\r\n0\r\n"), b"{}", True),
    "in chunks, with half a trailer": (raw(CHUNKED, body=b"2\r\n{}\r\n0\r\nX: "), b"{}", False),
    "until the end": (raw("X: y", body=b"{}"), b"{}", False),
    "the last of its connection": (raw("Connection: Close", "Content-Length: 2", body=b"{}"), b"{}", False),
    "of HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", False),
    "of HTTP/1.0 on a kept connection": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
        b"{}",
        True,
    ),
    "after an interim one": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        + raw("Content-Length: 2", body=b"{}"),
        b"{}",
        True,
    ),
    "without a reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}", True),
    "with bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 6\n\n{}\r\n\r\n", b"{}\r\n\r\n", True),
    "with one length told twice": (raw("Content-Length: 2", "Content-Length: 2", body=b"{}"), b"{}", True),
    "with bytes behind it": (raw("Content-Length: 2", body=b"{}HTTP/1.1 200 OK\r\n\r\n"), b"{}", False),
    "with a length and in chunks": (raw("Content-Length: 9", CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n"), b"{}", False),
    "with a line that is no header": (raw("nonsense", "Content-Length: 2", body=b"{}"), b"{}", False),
}


@pytest.mark.parametrize(("sent", "body", "reusable"), WELL.values(), ids=WELL)
@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_an_answer_is_read_to_its_end_in_whatever_pieces_it_comes(
    sent: bytes, body: bytes, reusable: bool, size: int
) -> None:
    got = read(sent, size=size)
    assert (got.status, got.body) == (200, body)
    # Bytes behind an answer are only seen when they come along with it; `Pool.take` finds the later ones.
    if size > 7 or sent != WELL["with bytes behind it"][0]:
        assert got.reusable is reusable


@pytest.mark.parametrize(
    ("sent", "method", "reusable"),
    [
        (raw("Content-Length: 9"), "HEAD", True),
        (raw(CHUNKED), "HEAD", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "POST", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET", True),
        (b"HTTP/1.1 204 No Content\r\n\r\nbody", "POST", False),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "GET", False),
    ],
)
def test_some_answers_have_no_body_whatever_their_headers_say(sent: bytes, method: str, reusable: bool) -> None:
    got = read(sent, method)
    assert (got.body, got.reusable) == (b"", reusable)


def test_headers_are_lower_case_joined_and_unfolded() -> None:
    got = read(raw("X-Id :  7 ", "Vary: a", "VARY: b", "X-Long: one", "\ttwo", "X-Name: Zo\xeb", "Content-Length: 0"))
    assert got.headers == {"x-id": "7", "vary": "a, b", "x-long": "one two", "x-name": "Zo\xeb", "content-length": "0"}


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"\x16\x03\x01\x02\x00\x01\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        raw("Content-Length: 3", body=b"{}"),
        raw("Content-Length: 2", "Content-Length: 3", body=b"{}."),
        raw("Content-Length: -2", body=b"{}"),
        raw("Content-Length: 2x", body=b"{}"),
        raw(CHUNKED, body=b"2\r\n{}\r\n"),
        raw(CHUNKED, body=b"2\r\n{}"),
        raw(CHUNKED, body=b"2\r\n{}xx\r\n0\r\n\r\n"),
        raw(CHUNKED, body=b"-2\r\n{}\r\n0\r\n\r\n"),
        raw(CHUNKED, body=b"0x2\r\n{}\r\n0\r\n\r\n"),
        raw(CHUNKED, body=b"\r\n{}\r\n0\r\n\r\n"),
        raw("Content-Encoding: gzip", "Content-Length: 2", body=b"{}"),
    ],
)
@pytest.mark.parametrize("size", [1, 65_536])
def test_what_is_no_whole_answer_is_said_to_be_none(sent: bytes, size: int) -> None:
    with pytest.raises(BadAnswerError):
        read(sent, size=size)


def endless(start: bytes, again: bytes) -> Callable[[], bytes]:
    """Gives `start`, then `again` for ever; fails the test when somebody takes 4 MiB of it."""
    left = [4 * 2**20]

    def receive() -> bytes:
        part = start if left[0] == 4 * 2**20 else again
        left[0] -= len(part)
        assert left[0] > 0, "it reads without end"
        return part

    return receive


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"a" * 1000),
        (b"HTTP/1.1 ", b"2" * 1000),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        (raw(CHUNKED), b"0" * 1000),
        (raw(CHUNKED, body=b"1;"), b"x" * 1000),
        (raw(CHUNKED, body=b"0\r\n"), b"X: y\r\n" * 100),
    ],
)
def test_headers_without_end_are_not_read_for_ever(start: bytes, again: bytes) -> None:
    with pytest.raises(BadAnswerError):
        read_answer(endless(start, again), "GET", CAP)


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (raw("Content-Length: 1001"), b""),
        (raw("Content-Length: 999999999999999999"), b""),
        (raw(CHUNKED), b"3e8\r\n" + b"a" * 1000 + b"\r\n"),
        (raw(CHUNKED, body=b"fffffffffffff\r\n"), b""),
        (raw("X: y"), b"a" * 600),
    ],
)
def test_a_body_over_the_cap_is_not_read(start: bytes, again: bytes) -> None:
    with pytest.raises(TooLargeError):
        read_answer(endless(start, again), "GET", CAP)


PACKED = {
    "gzip": gzip.compress(b'{"a":1}'),
    "x-gzip": gzip.compress(b'{"a":1}'),
    "GZIP": gzip.compress(b'{"a"') + gzip.compress(b":1}"),
    "gzip ": gzip.compress(b'{"a":1}') + b"\0\0 something else",
    "deflate": zlib.compress(b'{"a":1}'),
    "Deflate": zlib.compress(b'{"a":1}', wbits=-15),
    "identity": b'{"a":1}',
    "zebra": b'{"a":1}',
}


@pytest.mark.parametrize(("coding", "body"), PACKED.items(), ids=PACKED)
def test_a_packed_body_is_unpacked(coding: str, body: bytes) -> None:
    got = read(raw(f"Content-Encoding: {coding}", f"Content-Length: {len(body)}", body=body))
    assert (got.body, got.reusable) == (b'{"a":1}', True)


def test_a_body_that_unpacks_beyond_the_cap_is_given_up() -> None:
    for bomb in (gzip.compress(b"a" * 1001), gzip.compress(b"a" * 600) * 2):
        with pytest.raises(TooLargeError):
            read(raw("Content-Encoding: gzip", f"Content-Length: {len(bomb)}", body=bomb))


class Served(io.BytesIO):
    """Bytes as `http.client` takes them from a socket."""

    def makefile(self, mode: str) -> Served:
        return self


# Small texts, put together from pieces: a regular expression as a strategy takes longer than the test itself.
_name = st.sampled_from(["X-A", "x-b", "Content-Type", "ETag", "Location", "Vary"])
_value = st.lists(st.sampled_from(["a", "Z9", "/", ":", '"q"', "=", ",", ";"]), max_size=6).map(" ".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    status=st.integers(200, 599),
    headers=st.lists(st.tuples(_name, _value), max_size=6, unique_by=lambda pair: pair[0].lower()),
    parts=st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    framing=st.sampled_from(["length", "chunks", "end"]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    size=st.integers(1, 50),
)
def test_it_reads_what_http_client_reads(
    status: int, headers: list[tuple[str, str]], parts: list[bytes], framing: str, method: str, size: int
) -> None:
    body, lines = b"".join(parts), [f"{name}: {value}" for name, value in headers]
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunks" and status not in (204, 304):  # there `http.client` looks for chunks all the same
        lines.append(CHUNKED)
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    sent = "\r\n".join((f"HTTP/1.1 {status} Any", *lines)).encode() + b"\r\n\r\n"
    if method != "HEAD" and status not in (204, 304):
        sent += body
    served: Any = Served(sent)
    oracle = HTTPResponse(served, method=method)
    oracle.begin()
    expected = (oracle.status, {name.lower(): value for name, value in oracle.getheaders()}, oracle.read())
    got = read(sent, method, size)
    assert (got.status, got.headers, got.body) == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.tuples(st.sampled_from([one[0] for one in WELL.values()]), st.integers(0, 120), st.binary(max_size=4)).map(
            lambda made: made[0][: made[1]] + made[2] + made[0][made[1] + len(made[2]) :]
        ),
    )
)
def test_whatever_comes_is_an_answer_or_said_to_be_none(sent: bytes) -> None:
    for size in (3, 65_536):
        with suppress(BadAnswerError, TooLargeError):
            assert isinstance(read(sent, size=size), Answer)


_NAMES = st.sampled_from(
    ["Content-Type", "X-Id", "x-id", "Date", "Connection", "Content-Length", "X ", " X", "", "Vary"]
)
_VALUES = st.sampled_from(["1", " a, b", "close", "Keep-Alive", "", "2", "\tx ", "a\nb: c", "a\rb", "gz\u00ebp"])
_LINES = st.lists(st.tuples(_NAMES, st.sampled_from([":", ": ", " "]), _VALUES), max_size=6)
_FIRST = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 201", "HTTP/1.0 200 OK", "HTTP/1.1 204 No", "HTTP/1.1 404 a: b", "HTTP/1.1  200 OK"]
)


@settings(max_examples=500)
@given(first=_FIRST, lines=_LINES, body=st.binary(max_size=12), told=st.integers(-1, 1), method=st.sampled_from("GH"))
def test_an_answer_that_comes_at_once_says_the_same_as_one_in_drips(
    first: str, lines: list[tuple[str, str, str]], body: bytes, told: int, method: str
) -> None:
    length = f"Content-Length: {len(body) + told}"
    head = "\r\n".join([first, length, *("".join(line) for line in lines)]).encode("latin-1")
    sent, asked = head + b"\r\n\r\n" + body, "HEAD" if method == "H" else "GET"

    def outcome(size: int) -> Any:
        try:
            return read(sent, asked, size)[:3]
        except BadAnswerError as error:
            return str(error)

    assert outcome(65_536) == outcome(1)
