"""The guard at the exit: what is judged is the address connected to, and a connection's secrets stay with its hosts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.http import HttpSender
from app.adapters.http_request import origin_of, write_request
from app.core.connectors import Connection
from app.core.networks import Allow
from app.core.outcomes import classify
from app.errors import DataError
from app.model import NoResponse, Request, Response
from app.pipeline.request import build_request
from tests.unit import engine_kit
from tests.unit.engine_servers import always, answer, serving
from tests.unit.http_kit import HERE, JSON, WHERE, Sender, allow, at, connection, request

OK = answer("200 OK", b'{"a":1}', JSON)
Looked = list[tuple[str, int]]


@pytest.fixture
def sender() -> Iterator[HttpSender]:
    made = HttpSender()
    yield made
    made.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[list[str]]], Looked]:
    """`names(host, answers)`: what the name server tells of the host, time after time. Gives the look-ups made."""
    real = socket.getaddrinfo

    def say(host: str, answers: list[list[str]]) -> Looked:
        looked: Looked = []

        def look_up(name: Any, port: Any, *more: Any, **how: Any) -> Any:
            if name != host:
                return real(name, port, *more, **how)
            if how.get("flags", 0) & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            looked.append((name, port))
            found = answers[min(len(looked), len(answers)) - 1]
            return [one for address in found for one in real(address, port, type=socket.SOCK_STREAM)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return looked

    return say


def closed() -> Connection:
    """A connection that allows nothing."""
    return replace(connection(scheme="bearer", token="s3cret"), allow=Allow())


def ask(sender: HttpSender, url: str, found: Connection | None = None, timeout_s: float = 5) -> Response | NoResponse:
    """Send to this address, as one of the connection's own."""
    return sender.send(at(found or closed(), url), request(url, body={}), timeout_s)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0177.0.0.1", "2130706433", "0x7f.1", "0x7f000001", "127.1", "0", "0.0.0.0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::]", "[64:ff9b::7f00:1]"),
    ],
)
def test_this_machine_is_not_called_however_it_is_written(sender: HttpSender, host: str) -> None:
    with serving(always(OK)) as server:
        got = ask(sender, f"http://{host}:{server.port}/x")
    assert isinstance(got, NoResponse) and (got.kind, got.sent) in (("barred", False), ("refused", False)), got
    assert (server.connections, server.requests) == (0, [])


def test_a_refusal_says_what_was_refused_where_and_what_to_do(sender: HttpSender) -> None:
    got = ask(sender, "http://169.254.169.254/latest/meta-data")
    assert isinstance(got, NoResponse)
    assert got.what == (
        "169.254.169.254 is the address of a cloud's metadata service; if that is meant, "
        f"write `allow: [169.254.169.254]` at {WHERE}, restart the hub, then `backhaul resume acme_eu`"
    )


def test_a_refusal_pauses_the_connection_so_that_nothing_is_lost_or_hammered(sender: HttpSender) -> None:
    got = ask(sender, "http://10.0.0.5/x")
    outcome = classify(engine_kit.operation(), request("http://10.0.0.5/x"), got)
    assert (outcome.result, outcome.fault, outcome.pause) == ("retry", "config", True)
    assert "10.0.0.5 is a private address" in outcome.because


def test_a_name_that_leads_to_a_refused_address_is_refused(
    sender: HttpSender, names: Callable[[str, list[list[str]]], Looked]
) -> None:
    names("wms.example", [["127.0.0.1"]])
    with serving(always(OK)) as server:
        got = ask(sender, f"http://wms.example:{server.port}/x")
        assert isinstance(got, NoResponse) and got.kind == "barred"
        assert got.what.startswith(
            "wms.example is at 127.0.0.1, a loopback address; if that is meant, write `allow: [127."
        )
        named = replace(closed(), allow=allow("wms.example"))
        assert isinstance(ask(sender, f"http://wms.example:{server.port}/x", named), Response)
    assert f"Host: wms.example:{server.port}".encode() in server.requests[0]


def test_of_several_addresses_only_those_that_are_allowed_are_connected_to(
    sender: HttpSender, names: Callable[[str, list[list[str]]], Looked]
) -> None:
    names("wms.example", [["10.0.0.5", "169.254.169.254", "127.0.0.1"]])
    with serving(always(OK)) as server:
        got = ask(sender, f"http://wms.example:{server.port}/x", replace(closed(), allow=allow("127.0.0.1")))
    assert isinstance(got, Response) and got.took_ms < 2_000


def test_what_is_connected_to_is_what_was_judged_without_a_second_look_up(
    sender: HttpSender, names: Callable[[str, list[list[str]]], Looked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server tells another address each time it is asked, as one that attacks would."""
    connected: list[Any] = []
    real = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, to: (connected.append(to), real(self, to))[1])
    looked = names("wms.example", [["127.0.0.1"], ["127.0.0.2"]])
    with serving(always(OK)) as server:
        some = replace(closed(), allow=allow("127.0.0.1"))
        for _ in range(3):
            assert isinstance(ask(sender, f"http://wms.example:{server.port}/x", some), Response)
        assert looked == [("wms.example", server.port)]
    assert ("127.0.0.1", server.port) in connected and not [to for to in connected if to[0] == "127.0.0.2"]


def test_a_changed_name_is_judged_anew_and_a_kept_connection_stays_where_it_is(
    sender: HttpSender, names: Callable[[str, list[list[str]]], Looked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.adapters.outbound._KEPT_S", 0.0)
    looked = names("wms.example", [["127.0.0.1"], ["127.0.0.2"]])
    some = replace(closed(), allow=allow("127.0.0.1"))
    with serving(always(OK)) as server:
        url = f"http://wms.example:{server.port}/x"
        for _ in range(3):
            assert isinstance(ask(sender, url, some), Response)
        assert (len(looked), server.connections) == (1, 1)
        monkeypatch.setattr("app.adapters.sockets._IDLE_S", 0.0)
        got = ask(sender, url, some)
    assert isinstance(got, NoResponse) and (got.kind, len(looked)) == ("barred", 2)
    assert "127.0.0.2" in got.what


def test_what_is_no_longer_allowed_is_not_called_over_a_kept_connection(sender: HttpSender) -> None:
    with serving(always(OK)) as server:
        assert isinstance(ask(sender, server.url + "/x", connection()), Response)
        got = ask(sender, server.url + "/x", closed())
    assert isinstance(got, NoResponse) and got.kind == "barred"


# --- the time of a look-up


def test_a_name_server_that_does_not_answer_costs_no_more_than_the_time_of_the_call(
    sender: HttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, looked, real = threading.Event(), Looked(), socket.getaddrinfo

    def silent(name: Any, port: Any, *more: Any, **how: Any) -> Any:
        if name == "slow.example" and not how.get("flags"):
            looked.append((name, port))
            hold.wait(20)
        return real("127.0.0.1" if name == "slow.example" and not how.get("flags") else name, port, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    began = time.monotonic()
    try:
        with serving(always(OK)) as server, ThreadPoolExecutor(8) as threads:
            url = f"http://slow.example:{server.port}/x"
            some = replace(closed(), allow=allow(HERE))
            for got in threads.map(lambda _: ask(sender, url, some, 0.3), range(8)):
                assert isinstance(got, NoResponse) and (got.kind, got.sent) == ("connect", False)
            # Far less than the name server takes, and one look-up for all of them.
            assert time.monotonic() - began < 15 and len(looked) == 1
            hold.set()
            assert isinstance(ask(sender, url, some), Response)
    finally:
        hold.set()


def test_a_name_that_nobody_knows_is_told_and_asked_for_again(
    sender: HttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, real = Looked(), socket.getaddrinfo

    def unknown(name: Any, port: Any, *more: Any, **how: Any) -> Any:
        if name == "gone.example":
            looked.append((name, port))
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(name, port, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for _ in range(2):
        got = ask(sender, "http://gone.example/x")
        assert isinstance(got, NoResponse)
        assert (got.kind, got.what) == ("connect", "the host's name is not known")
    assert len(looked) == 4  # as an address, and as a name, each time


# --- secrets stay with the connection's hosts


@pytest.mark.parametrize("other", ["http://127.0.0.2:{port}", "http://localhost:{port}", "https://127.0.0.1:{port}"])
def test_a_request_to_a_host_that_is_not_the_connections_is_not_sent(sender: HttpSender, other: str) -> None:
    with serving(always(OK)) as server:
        url = other.format(port=server.port)
        found = at(connection(scheme="bearer", token="s3cret"), server.url)
        got = sender.send(found, request(url + "/x", body={}), 5)
        assert isinstance(got, NoResponse) and (got.kind, got.sent) == ("refused", False)
        assert "is no host of the connection" in got.what and "s3cret" not in got.what
        port = sender.send(found, request(f"http://127.0.0.1:{server.port % 65_535 + 1}/x"), 5)
        assert isinstance(port, NoResponse) and "is no host of the connection" in port.what
    assert (server.connections, server.requests) == (0, [])


def test_a_connection_without_an_address_calls_nobody(sender: HttpSender) -> None:
    got = sender.send(connection(), request("http://127.0.0.1:9/x"), 5)
    assert isinstance(got, NoResponse) and (got.kind, got.sent) == ("refused", False)


#: Whatever a template can make of a payload, with what turns an address into another one more often.
PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["//", "\\", "@", "@evil.example", "://", "http://evil.example", "\r\n", "#", "?", "..", "%2f", ":"]
        ),
        st.text(max_size=8),
    ),
    max_size=6,
).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    told=PIECES, whole=st.booleans(), base=st.sampled_from(["http://shop.example", "https://shop.example:8443/api/"])
)
def test_no_value_of_a_payload_turns_a_call_to_another_host(told: str, whole: bool, base: str) -> None:
    operation = engine_kit.operation(
        "GET", "{{ args.id }}" if whole else "/returns/{{ args.id }}/lines?x={{ args.id }}"
    )
    found = engine_kit.connection(operation, base_url=base)
    try:
        made = build_request(found, operation, {"id": told})
        origin, message = write_request(made, {})
    except (DataError, ValueError):
        return
    assert origin == origin_of(base)
    head = message.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line.split(b":")[0] for line in head[1:]] == [b"Host", b"Accept-Encoding", b"Accept", b"User-Agent"]
    assert head[1] == b"Host: " + base.split("/")[2].encode()


@given(path=PIECES, base=st.sampled_from(["http://shop.example", "https://shop.example:8443/api/"]))
def test_no_path_of_a_connector_turns_a_call_to_another_host(path: str, base: str) -> None:
    try:
        origin, message = write_request(Request("a", "b", "GET", f"{base.rstrip('/')}/{path.lstrip('/')}", {}), {})
    except (DataError, ValueError, OSError):  # of `requests`, whose faults are OSErrors
        return
    assert origin == origin_of(base)
    assert message.count(b"\r\n") == 4


# --- redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_an_answer_that_says_where_it_leads_and_is_not_followed(status: str) -> None:
    sender = Sender()
    leads = "http://169.254.169.254/latest/meta-data"
    with serving(always(answer(status, b"", f"Location: {leads}"))) as server:
        asked = request(server.url + "/x", body={})
        got = sender.send(connection(scheme="bearer", token="s3cret"), asked, 5)
        outcome = classify(engine_kit.operation(), asked, got)
    sender.close()
    assert (outcome.result, outcome.fault) == ("rejected", "config")
    assert f"{status[:3]}: redirected to {leads}" in outcome.because and len(server.requests) == 1
