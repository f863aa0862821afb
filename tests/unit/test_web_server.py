"""The web server is started with its bounds: places for connections, and time and room for headers."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from app import bootstrap
from app.web import doorkeeper
from tests.unit.conftest import Run


class Server:
    """Stands in for Granian's: remembers how it was made, and does what a test wants when it is to serve."""

    def __init__(self, target: str, **how: Any) -> None:
        type(self).told = how

    told: ClassVar[dict[str, Any]]
    meets: Exception | None = None

    def serve(self, **how: Any) -> None:
        self.told["served"] = True
        if self.meets:
            raise self.meets


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> type[Server]:
    class Fresh(Server):
        """For one test."""

    monkeypatch.setattr("app.web.serving.server_of", lambda processes: Fresh)
    monkeypatch.setattr("app.cli.processes.name_process", lambda name: None)
    monkeypatch.setattr(bootstrap, "need_redis", lambda settings: None)
    monkeypatch.setattr(doorkeeper, "make_room", lambda: 321)
    return Fresh


def test_the_server_has_its_bounds(run: Run, server: type[Server]) -> None:
    run("web", "--host", "127.0.0.1", "--port", "8123", "--threads", "5")
    told = server.told
    assert told["served"] and told["backpressure"] == 321
    headers = told["http1_settings"]
    assert (headers.header_read_timeout, headers.max_buffer_size) == (10_000, 16 * 1024)
    assert 5 < told["blocking_threads"] < 1_000 and told["websockets"] is False


def test_an_address_that_is_taken_is_named(run: Run, server: type[Server]) -> None:
    server.meets = RuntimeError("Address already in use (os error 98)")
    said = run("web", "--host", "127.0.0.1", "--port", "8123", status=1).output
    assert "cannot listen on 127.0.0.1:8123: Address already in use" in said


def test_another_fault_of_the_server_is_one_of_the_hub(run: Run, server: type[Server]) -> None:
    server.meets = RuntimeError("something else")
    assert "a fault of the hub itself" in run("web", "--port", "8123", status=1).output
