"""The HTTP adapter over TLS, with a certificate made for the test."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adapters import sockets
from app.adapters.http import HttpSender
from app.model import NoResponse, Response
from tests.unit.engine_servers import BadServer, always, answer, serving
from tests.unit.http_kit import JSON, connection, request

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the command openssl")
OK = answer("200 OK", b'{"a":1}', JSON)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with key and certificate of `localhost`, which is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "c.cnf").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=more\nprompt=no\n[name]\nCN=localhost\n"
        "[more]\nsubjectAltName=DNS:localhost\nbasicConstraints=critical,CA:TRUE\n"
    )
    key, made = folder / "key.pem", folder / "made.pem"
    for command in (
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        ["openssl", "req", "-x509", "-new", "-key", key, "-days", "2", "-config", "c.cnf", "-out", made],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    whole = folder / "whole.pem"
    whole.write_text(key.read_text() + made.read_text())
    return whole


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sockets, "DEFAULT_CA_BUNDLE_PATH", str(certificate))
    sockets._tls.cache_clear()
    yield
    sockets._tls.cache_clear()


def secured(
    certificate: Path, handle: Callable[[socket.socket, BadServer], None], names: list[str | None]
) -> Callable[[socket.socket, BadServer], None]:
    """`handle` behind TLS; `names` gets the names that clients asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, context: names.append(name)

    def handle_secured(conn: socket.socket, server: BadServer) -> None:
        with context.wrap_socket(conn, server_side=True) as tls:
            handle(tls, server)

    return handle_secured


@pytest.mark.usefixtures("trusted")
def test_a_connection_over_tls_names_its_host_and_is_kept(sender: HttpSender, certificate: Path) -> None:
    names: list[str | None] = []
    with serving(secured(certificate, always(OK), names)) as server:
        for _ in range(4):
            got = sender.send(connection(), request(f"https://localhost:{server.port}/x", body={}), 5)
            assert isinstance(got, Response) and got.body == {"a": 1}
    assert (server.connections, len(server.requests), names) == (1, 4, ["localhost"])


@pytest.mark.usefixtures("trusted")
def test_large_bodies_go_both_ways_over_tls(sender: HttpSender, certificate: Path) -> None:
    big = answer("200 OK", b'{"a":"' + b"b" * 2**20 + b'"}', JSON)
    with serving(secured(certificate, always(big), [])) as server:
        got = sender.send(connection(), request(f"https://localhost:{server.port}/x", body={"a": "b" * 2**20}), 10)
    assert isinstance(got, Response) and len(got.body["a"]) == 2**20
    assert server.requests[0].endswith(b'{"a":"' + b"b" * 2**20 + b'"}')


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_is_not_accepted(sender: HttpSender, certificate: Path) -> None:
    with serving(secured(certificate, always(OK), [])) as server:
        got = sender.send(connection(), request(f"https://127.0.0.1:{server.port}/x", body={}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent, server.requests) == ("tls", False, [])
    assert "certificate verify failed" in got.what


def test_a_certificate_of_an_unknown_authority_is_not_accepted(sender: HttpSender, certificate: Path) -> None:
    with serving(secured(certificate, always(OK), [])) as server:
        got = sender.send(connection(), request(f"https://localhost:{server.port}/x", body={}), 5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent, server.requests) == ("tls", False, [])


def test_a_handshake_without_end_is_no_call(sender: HttpSender) -> None:
    def silent(conn: socket.socket, server: BadServer) -> None:
        while conn.recv(65536):
            pass

    with serving(silent) as server:
        got = sender.send(connection(), request(f"https://localhost:{server.port}/x", body={}), 0.3)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("connect", False)
    assert got.what.startswith("no connection after ")


@pytest.mark.usefixtures("trusted")
def test_silence_over_tls_ends_at_the_deadline(sender: HttpSender, certificate: Path) -> None:
    def silent(conn: socket.socket, server: BadServer) -> None:
        while conn.recv(65536):
            pass

    with serving(secured(certificate, silent, [])) as server:
        got = sender.send(connection(), request(f"https://localhost:{server.port}/x", body={}), 1.5)
    assert isinstance(got, NoResponse)
    assert (got.kind, got.sent) == ("timeout", True)
