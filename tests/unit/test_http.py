"""The HTTP adapter against real sockets that misbehave."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from app.adapters.http import HttpSender
from app.model import NoResponse, Response
from tests.unit.engine_servers import BadServer, always, answer, read_request, serving
from tests.unit.http_kit import JSON, connection, request


def test_numbers_keep_every_digit_there_and_back(sender: HttpSender) -> None:
    raw = b'{"a": 0.10, "b": 123456789012345678901234567890}'
    with serving(always(answer("200 OK", raw, JSON, "X-Id: 7", "Set-Cookie: sid=1"))) as server:
        got = sender.send(connection(), request(server.url + "/x", body={"price": Decimal("10.50"), "id": "0012E4"}), 5)
    assert isinstance(got, Response)
    assert got.status == 200
    assert got.body == {"a": Decimal("0.10"), "b": 123456789012345678901234567890}
    assert str(got.body["a"]) == "0.10"
    assert got.headers["x-id"] == "7"
    assert "set-cookie" not in got.headers
    assert server.requests[0].endswith(b'{"price":10.50,"id":"0012E4"}')


def test_nobody_listening_was_not_sent(sender: HttpSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    got = sender.send(connection(), request(f"http://127.0.0.1:{port}/x", body={}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("connect", False)
    assert got.what == "no connection: Connection refused"


def test_an_unknown_host_was_not_sent(sender: HttpSender) -> None:
    got = sender.send(connection(), request("http://no-such-host.invalid/x", body={}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("connect", False)


def test_tls_to_a_plain_port_was_not_sent(sender: HttpSender) -> None:
    def plain(conn: socket.socket, server: BadServer) -> None:
        conn.recv(65536)
        conn.sendall(answer("400 Bad Request", b"plain"))

    with serving(plain) as server:
        got = sender.send(connection(), request(f"https://127.0.0.1:{server.port}/x", body={}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("tls", False)


def drop_after_reading(conn: socket.socket, server: BadServer) -> None:
    server.requests.append(read_request(conn))


def reset_after_reading(conn: socket.socket, server: BadServer) -> None:
    server.requests.append(read_request(conn))
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("drop", [drop_after_reading, reset_after_reading])
def test_a_connection_dropped_after_the_request_was_sent(sender: HttpSender, drop: Any) -> None:
    with serving(drop) as server:
        got = sender.send(connection(), request(server.url + "/x", body={"a": 1}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("broken", True)
    assert len(server.requests) == 1, "a request that may have worked must not go out again"


def test_a_dropped_get_is_asked_once_more(sender: HttpSender) -> None:
    def first_time_drop(conn: socket.socket, server: BadServer) -> None:
        server.requests.append(read_request(conn))
        if len(server.requests) > 1:
            conn.sendall(answer("200 OK", b'{"ok":true}', JSON))

    with serving(first_time_drop) as server:
        got = sender.send(connection(), request(server.url + "/x", "GET"), 5)
    assert isinstance(got, Response)
    assert len(server.requests) == 2


def test_silence_ends_at_the_deadline(sender: HttpSender) -> None:
    def silent(conn: socket.socket, server: BadServer) -> None:
        read_request(conn)
        conn.recv(1)

    with serving(silent) as server:
        started = time.monotonic()
        got = sender.send(connection(), request(server.url + "/x", body={}), 0.3)
        took = time.monotonic() - started
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("timeout", True)
    assert 0.25 < took < 1.5


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-A: ", answer("200 OK", b"")[:-4] + b"0000\r\n\r\n"])
def test_an_answer_in_drips_ends_at_the_deadline(sender: HttpSender, start: bytes) -> None:
    def drip(conn: socket.socket, server: BadServer) -> None:
        read_request(conn)
        conn.sendall(start.replace(b"Content-Length: 0", b"Content-Length: 9"))
        while True:
            conn.sendall(b"a")
            time.sleep(0.05)

    with serving(drip) as server:
        started = time.monotonic()
        # A machine that stands still for half a second must not end the call before it is connected.
        got = sender.send(connection(), request(server.url + "/x", body={}), 0.9)
        took = time.monotonic() - started
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("timeout", True)
    assert took < 1.5


def test_a_gigabyte_is_cut_off(sender: HttpSender) -> None:
    def huge(conn: socket.socket, server: BadServer) -> None:
        read_request(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n")
        block = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        for _ in range(16384):
            conn.sendall(block)
            server.connections += 1

    with serving(huge) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 10)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("too_large", True)
    assert got.what == "the answer is larger than 5 MiB"
    assert server.connections < 2000


def test_a_gigabyte_that_says_so_is_not_read_at_all(sender: HttpSender) -> None:
    def huge(conn: socket.socket, server: BadServer) -> None:
        read_request(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{")
        conn.recv(1)

    with serving(huge) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 10)
    assert isinstance(got, NoResponse)
    assert got.kind == "too_large"


def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut_off(sender: HttpSender) -> None:
    bomb = gzip.compress(b"a" * (64 * 2**20))
    with serving(always(answer("200 OK", bomb, "Content-Encoding: gzip"))) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 10)
    assert isinstance(got, NoResponse)
    assert got.kind == "too_large"


def test_a_packed_answer_is_unpacked(sender: HttpSender) -> None:
    packed = gzip.compress(b'{"a":1}')
    with serving(always(answer("200 OK", packed, JSON, "Content-Encoding: gzip"))) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 10)
    assert isinstance(got, Response)
    assert got.body == {"a": 1}


def test_an_answer_shorter_than_announced_is_broken(sender: HttpSender) -> None:
    def short(conn: socket.socket, server: BadServer) -> None:
        read_request(conn)
        conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a":')

    with serving(short) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("broken", True)


@pytest.mark.parametrize(
    ("body", "content_type", "parsed"),
    [
        (b'{"a":', "application/json", None),
        (b"<html><title>502 Bad Gateway</title>", "text/html", None),
        (b'{"a":1}', "text/plain", {"a": 1}),
        (b'\xef\xbb\xbf{"a":1}', "application/json", {"a": 1}),
        (b'"ok"', "application/problem+json", "ok"),
        (b"12", "text/plain", None),
        (b"", "application/json", None),
        (b'{"a":"\xe9"}', "application/json", None),
    ],
)
def test_a_body_is_json_only_where_it_is(sender: HttpSender, body: bytes, content_type: str, parsed: Any) -> None:
    with serving(always(answer("502 Bad Gateway", body, f"Content-Type: {content_type}"))) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 5)
    assert isinstance(got, Response)
    assert (got.status, got.body) == (502, parsed)
    assert got.text == body.decode("utf-8", "replace")


def test_a_redirect_is_not_followed(sender: HttpSender) -> None:
    with serving(always(answer("307 Temporary Redirect", b"", "Location: http://169.254.169.254/"))) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 5)
    assert isinstance(got, Response)
    assert (got.status, got.headers["location"]) == (307, "http://169.254.169.254/")


def test_the_environment_of_the_process_has_no_say(sender: HttpSender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        assert isinstance(sender.send(connection(), request(server.url + "/x", body={}), 5), Response)


def test_an_answer_before_the_request_was_read_counts(sender: HttpSender) -> None:
    def hasty(conn: socket.socket, server: BadServer) -> None:
        conn.recv(1)
        conn.sendall(answer("413 Content Too Large", b'{"message":"too large"}', JSON))
        conn.shutdown(socket.SHUT_WR)
        while conn.recv(65536):
            pass

    with serving(hasty) as server:
        got = sender.send(connection(), request(server.url + "/x", body={"a": "b" * 2**24}), 10)
    assert isinstance(got, Response)
    assert got.status == 413


def test_a_target_that_does_not_read_ends_at_the_deadline(sender: HttpSender) -> None:
    over = threading.Event()

    with serving(lambda conn, server: over.wait(10) and None) as server:
        started = time.monotonic()
        got = sender.send(connection(), request(server.url + "/x", body={"a": "b" * 2**24}), 1.5)
        took = time.monotonic() - started
        over.set()
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("timeout", True)
    assert took < 6


def test_interim_answers_are_no_answers(sender: HttpSender) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\n"
    with serving(always(early + answer("201 Created", b"{}", JSON))) as server:
        got = sender.send(connection(), request(server.url + "/x", body={}), 5)
    assert isinstance(got, Response)
    assert got.status == 201
