"""What a real Tryton answers, and what the hub makes of it."""

from __future__ import annotations

import threading

import pytest

from tests.peer.hub import PeerHub, shipments
from tests.peer.tryton import Tryton

TEE = {"order": "#100001", "sku": "TEE-RED-M"}
GONE = 999_999


@pytest.mark.parametrize("operation", ["get_return", "receive_return", "get_sale", "quote_return_sale"])
def test_a_record_that_is_gone_is_rejected(hub: PeerHub, operation: str) -> None:
    outcome = hub.ask(operation, id=GONE).outcome
    assert (outcome.result, outcome.fault, outcome.status) == ("rejected", "data", 404)


def test_a_long_answer_is_read_as_it_is(hub: PeerHub) -> None:
    found = hub.ask("find_order", reference="100005").response
    assert found is not None
    answer = hub.ask("get_order", number=found.body[0]["number"]).response
    assert answer is not None and len(answer.body[0]["lines"]) == 20


def test_a_company_that_is_not_there_announces_nothing(hub: PeerHub, tryton: Tryton) -> None:
    hub.rewrite("config/connections.yaml", "company: 1", f"company: {GONE}")
    hub.label("R-1", TEE)
    told = hub.delivery("announce")
    assert told["state"] == "dead" and "User in companies" in told["because"]
    assert shipments(tryton, "R-1/#100001") == []


def test_a_database_that_is_locked_for_four_seconds_is_a_slow_success(hub: PeerHub, tryton: Tryton) -> None:
    hub.wire.before["announce_return"] = lambda: hold(tryton, threading.Event(), 4)
    hub.label("R-1", TEE)
    # At once, or after a look where this machine was slow beyond the time limit of a call.
    hub.later(61)
    assert hub.states() == {"announce #100001": "done"}
    assert len(hub.wire.sent("announce_return")) == len(shipments(tryton, "R-1/#100001")) == 1


def test_a_database_that_stays_locked_is_tried_again(hub: PeerHub, tryton: Tryton) -> None:
    free = threading.Event()
    hub.wire.before["announce_return"] = lambda: hold(tryton, free, None)
    hub.label("R-1", TEE)
    free.set()
    told = hub.delivery("announce")
    assert told["state"] == "waiting" and told["fault"] == "remote" and "503" in told["because"]
    hub.later(61)
    assert hub.states() == {"announce #100001": "done"}
    assert len(shipments(tryton, "R-1/#100001")) == 1


def hold(tryton: Tryton, free: threading.Event, seconds: float | None) -> None:
    """Lock the database for so long, or until `free`; returns once it is locked."""
    locked = threading.Event()

    def lock() -> None:
        with tryton.locked():
            locked.set()
            free.wait(seconds if seconds is not None else 120)

    threading.Thread(target=lock, daemon=True).start()
    assert locked.wait(60)


def test_the_database_is_put_back_beneath_the_running_server(hub: PeerHub, tryton: Tryton) -> None:
    hub.label("R-1", TEE)
    assert shipments(tryton, "R-1/#100001")
    tryton.reset()
    assert shipments(tryton, "R-1/#100001") == []
    answer = hub.ask("find_return", reference="R-1/#100001").response
    assert answer is not None and answer.body == []
