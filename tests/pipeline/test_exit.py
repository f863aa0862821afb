"""A target at an address that calls may not go to: the work waits until the files are mended, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.http import HttpSender
from app.adapters.ledger import Ledger
from app.core.connectors import Connection
from app.model import NoResponse, Request, Response
from tests.pipeline.kit import FILES, LABELLED, MiniHub
from tests.support import HandClock
from tests.unit.engine_servers import BadServer, always, answer, serving

OK = answer("200 OK", b'{"number":"W-1"}', "Content-Type: application/json")


@pytest.fixture
def wms() -> Iterator[BadServer]:
    with serving(always(OK)) as server:
        yield server


def connections(base_url: str, allow: str) -> dict[str, str]:
    told = f'wms: {{connector: acme_wms, allow: {allow}, settings: {{base_url: "{base_url}"}}}}'
    text = FILES["config/connections.yaml"]
    return {"config/connections.yaml": "".join([text.split("  wms:")[0], f"  {told}\n"])}


def test_a_refused_target_pauses_and_loses_nothing_once_it_is_allowed(
    tmp_path: Path, ledger: Ledger, clock: HandClock, wms: BadServer
) -> None:
    hub, http = MiniHub(tmp_path, ledger, clock, **connections("http://10.255.0.5", "[]")), HttpSender()
    spoken = hub.targets.send

    def send(connection: Connection, request: Request, timeout_s: float, /) -> Response | NoResponse:
        return (http.send if connection.name == "wms" else spoken)(connection, request, timeout_s)

    hub.targets.send = send  # type: ignore[method-assign]
    hub.shows(parcels=LABELLED, orders=["#1", "#2"])
    hub.receive(**{"return": "R-1"})
    hub.run()
    assert set(hub.deliveries().values()) == {"waiting"}
    state = ledger.lane_state("wms")
    assert state.paused and state.because == (
        "10.255.0.5 is a private address; if that is meant, write `allow: [10.255.0.5]` at config/connections.yaml:5, "
        "restart the hub, then `backhaul resume wms`"
    )
    # Another look changes nothing and asks nobody.
    hub.later(3600)
    assert set(hub.deliveries().values()) == {"waiting"} and wms.requests == []
    # The kit allows this machine.
    hub.write(connections(wms.url, "[wms.internal]"))
    ledger.resume("wms", "a person")
    hub.later(3600)
    assert set(hub.deliveries().values()) == {"done"} and len(wms.requests) == 2
    http.close()
