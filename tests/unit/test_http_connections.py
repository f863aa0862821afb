"""Which connections the HTTP adapter keeps, shares out and leaves."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from app.adapters.http import HttpSender
from app.core.connectors import Limits
from app.model import NoResponse, Response
from tests.unit.engine_servers import BadServer, always, answer, read_request, serving
from tests.unit.http_kit import JSON, connection, request


def test_one_connection_is_kept_for_many_calls(sender: HttpSender) -> None:
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        for _ in range(5):
            assert isinstance(sender.send(connection(), request(server.url + "/x", body={}), 5), Response)
    assert (server.connections, len(server.requests)) == (1, 5)


def test_an_idle_connection_is_not_trusted_again(sender: HttpSender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.sockets._IDLE_S", 0.0)
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        for _ in range(3):
            assert isinstance(sender.send(connection(), request(server.url + "/x", body={}), 5), Response)
    assert server.connections == 3


@pytest.mark.parametrize(
    "raw",
    [
        answer("200 OK", b"{}", JSON, "Connection: close"),
        answer("200 OK", b"{}", JSON).replace(b"HTTP/1.1", b"HTTP/1.0"),
        answer("200 OK", b"{}", JSON) + b"and more",
    ],
)
def test_a_connection_is_left_when_the_answer_says_or_shows_it(sender: HttpSender, raw: bytes) -> None:
    with serving(always(raw)) as server:
        for _ in range(2):
            got = sender.send(connection(), request(server.url + "/x", body={}), 5)
            assert isinstance(got, Response) and got.body == {}
    assert server.connections == 2


@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_a_kept_connection_that_was_closed_meanwhile_does_not_take_a_request(
    sender: HttpSender, unasked: bytes
) -> None:
    closed = threading.Event()

    def once(conn: socket.socket, server: BadServer) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(answer("200 OK", b"{}", JSON))
        assert answered.wait(5)
        conn.sendall(unasked)
        conn.close()
        closed.set()

    with serving(once) as server:
        for _ in range(3):
            answered = threading.Event()
            closed.clear()
            assert isinstance(sender.send(connection(), request(server.url + "/x", body={}), 5), Response)
            answered.set()
            assert closed.wait(5)
    assert (server.connections, len(server.requests)) == (3, 3)


def test_calls_at_once_get_connections_of_their_own_and_no_more_are_kept_than_allowed(sender: HttpSender) -> None:
    together = threading.Barrier(8)

    def handle(conn: socket.socket, server: BadServer) -> None:
        while request := read_request(conn):
            together.wait(10)
            number = request.rpartition(b":")[2].rstrip(b"}")
            conn.sendall(answer("200 OK", b'{"n":%b}' % number, JSON))

    narrow = replace(connection(), limits=Limits(concurrency=3))

    def call(number: int) -> Any:
        got = sender.send(narrow, request(server.url + "/x", body={"n": number}), 10)
        return isinstance(got, Response) and got.body["n"]

    with serving(handle) as server, ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            assert list(threads.map(call, range(8))) == list(range(8))
    assert server.connections == 8 + 5 + 5


def test_a_host_with_an_address_where_nobody_listens_is_asked_at_the_next(sender: HttpSender) -> None:
    # "localhost" stands for ::1 first on most machines; this server listens on 127.0.0.1 alone.
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        got = sender.send(connection(), request(f"http://localhost:{server.port}/x", body={}), 5)
    assert isinstance(got, Response)
    assert f"Host: localhost:{server.port}\r\n".encode() in server.requests[0]


def test_new_credentials_are_used_on_the_kept_connection(sender: HttpSender) -> None:
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        for token in ("one", "two"):
            sender.send(connection(scheme="bearer", token=token), request(server.url + "/x", body={}), 5)
    assert [b"Bearer one" in server.requests[0], b"Bearer two" in server.requests[1]] == [True, True]
    assert server.connections == 1


def test_a_short_deadline_leaves_nothing_behind_on_the_kept_connection(sender: HttpSender) -> None:
    slept = threading.Event()

    def handle(conn: socket.socket, server: BadServer) -> None:
        while read_request(conn):
            slept.wait(0.3)
            conn.sendall(answer("200 OK", b"{}", JSON))

    with serving(handle) as server:
        for timeout_s in (5, 0.9, 5):
            assert isinstance(sender.send(connection(), request(server.url + "/x", body={}), timeout_s), Response)
        assert server.connections == 1
        late = sender.send(connection(), request(server.url + "/x", body={}), 0.1)
    assert isinstance(late, NoResponse) and (late.kind, late.sent) == ("timeout", True)


def test_a_large_request_goes_out_whole_although_the_peer_reads_slowly(sender: HttpSender) -> None:
    pause = threading.Event()

    def handle(conn: socket.socket, server: BadServer) -> None:
        pause.wait(0.2)
        server.requests.append(read_request(conn))
        conn.sendall(answer("200 OK", b"{}", JSON))

    body = {"text": "x" * 6_000_000}
    with serving(handle) as server:
        assert isinstance(sender.send(connection(), request(server.url + "/x", body=body), 20), Response)
    assert server.requests[0].endswith(b'x"}') and len(server.requests[0]) > 6_000_000
