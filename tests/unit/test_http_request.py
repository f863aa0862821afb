"""What the HTTP adapter sends, and what it refuses to send."""

from __future__ import annotations

import pytest

from app.adapters.http import HttpSender
from app.model import NoResponse, Request
from tests.unit.engine_servers import always, answer, serving
from tests.unit.http_kit import JSON, connection, request


def test_credentials_are_added_last_and_stay_out_of_the_request(sender: HttpSender) -> None:
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        asked = request(server.url + "/x", body={})
        sender.send(connection(scheme="bearer", token="s3cret"), asked, 5)
    assert b"Authorization: Bearer s3cret" in server.requests[0]
    assert "s3cret" not in str(asked)


def test_an_escaped_path_goes_out_as_it_is(sender: HttpSender) -> None:
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        sender.send(connection(), request(server.url + "/orders/%231004800%2Fb?x=a%20b&x=%26", "GET"), 5)
    assert server.requests[0].startswith(b"GET /orders/%231004800%2Fb?x=a%20b&x=%26 HTTP/1.1")


@pytest.mark.parametrize("url", ["ftp://example.com/x", "http:///x", "no url", "http://a b/x"])
def test_what_is_no_address_is_refused_without_a_call(sender: HttpSender, url: str) -> None:
    got = sender.send(connection(), request(url, body={}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("refused", False)


def test_a_header_with_a_line_break_is_refused(sender: HttpSender) -> None:
    bad = Request("acme_eu", "x", "POST", "http://127.0.0.1:9/x", {"X-A": "1\r\nX-B: 2"})
    got = sender.send(connection(), bad, 5)
    assert isinstance(got, NoResponse)
    assert got.kind == "refused"


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("/returns", b"/returns"),
        ("", b"/"),
        ("/a/../b/./c", b"/b/c"),
        ("/%7Ea?x=ä b", b"/~a?x=%C3%A4%20b"),
        ("/x?y=1#part", b"/x?y=1"),
        ("?x=1", b"/?x=1"),
        ("//elsewhere/x", b"/elsewhere/x"),
    ],
)
def test_addresses_are_put_as_requests_would_put_them(sender: HttpSender, written: str, target: bytes) -> None:
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        sender.send(connection(), request(server.url + written, "GET"), 5)
    assert server.requests[0].split(b" ")[1] == target


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("GET /a HTTP/1.1\r\nX-B:", "http://127.0.0.1:9/x", {}),
        ("POST", "http://127.0.0.1:9/x", {"X-A\r\nX-B": "2"}),
        ("POST", "http://127.0.0.1:9/x", {"X-A": "1\n"}),
        ("POST", "http://127.0.0.1:9/x", {"X-A": "\u20ac"}),
        ("POST", "http://127.0.0.1:99999/x", {}),
        ("POST", f"http://{'a' * 70}.example/x", {}),
    ],
)
def test_what_cannot_be_sent_is_refused_without_a_call(
    sender: HttpSender, method: str, url: str, headers: dict[str, str]
) -> None:
    got = sender.send(connection(), Request("acme_eu", "x", method, url, headers), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("refused", False)


def test_a_line_break_in_an_address_stays_in_it(sender: HttpSender) -> None:
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        got = sender.send(connection(), request(server.url + "/x HTTP/1.1\r\nX-B: 2", "GET"), 5)
    assert isinstance(got, NoResponse) or b"X-B: 2" not in server.requests[0]


def test_the_request_holds_what_it_should_and_credentials_win(sender: HttpSender) -> None:
    own = {"Accept": "application/json", "authorization": "mine", "X-Name": "Zo\xeb", "Host": "shop.example"}
    with serving(always(answer("200 OK", b"{}", JSON))) as server:
        asked = Request("acme_eu", "x", "POST", server.url + "/x", own)
        sender.send(connection(scheme="bearer", token="abc"), asked, 5)
    assert server.requests[0] == (
        b"POST /x HTTP/1.1\r\nHost: shop.example\r\nAccept-Encoding: identity\r\nAccept: application/json\r\n"
        b"Authorization: Bearer abc\r\nX-Name: Zo\xeb\r\nContent-Length: 0\r\n\r\n"
    )
