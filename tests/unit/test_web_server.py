"""The web server is started with its bounds: places for connections, and time and room for headers."""

from __future__ import annotations

from typing import Any

import pytest

from app import bootstrap
from app.web import doorkeeper
from tests.unit.conftest import Run


def test_the_server_has_its_bounds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    class Server:
        def __init__(self, target: str, **how: Any) -> None:
            told.update(how)

        def serve(self, **how: Any) -> None:
            told["served"] = True

    monkeypatch.setattr("app.web.serving.server_of", lambda processes: Server)
    monkeypatch.setattr("app.cli.processes.name_process", lambda name: None)
    monkeypatch.setattr(bootstrap, "need_redis", lambda settings: None)
    monkeypatch.setattr(doorkeeper, "make_room", lambda: 321)
    run("web", "--host", "127.0.0.1", "--port", "8123", "--threads", "5")
    assert told["served"] and told["backpressure"] == 321
    headers = told["http1_settings"]
    assert (headers.header_read_timeout, headers.max_buffer_size) == (10_000, 16 * 1024)
    assert 5 < told["blocking_threads"] < 1_000 and told["websockets"] is False
