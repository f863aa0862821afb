"""What all simulators share: recording, misbehaving and being served."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.generic_wms.simulator import create_app
from connectors.simkit import MODES, TOKEN
from connectors.simserve import running

ROOT = Path(__file__).parents[2]
ANNOUNCED = {
    "rmaNumber": "R-1/1004800",
    "salesOrder": "0000012E4",
    "parcels": [{"trackingNumber": "3SEXMP1"}],
    "lines": [{"sku": "TEE-RED-M", "quantity": 3}],
}


@pytest.fixture
def wms() -> Iterator[str]:
    with running(create_app()) as url:
        yield url


def announce(
    url: str, *, token: str = TOKEN, key: str = "k-1", timeout: float = 5, body: Any = None
) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return requests.post(f"{url}/returns", json=body or ANNOUNCED, headers=headers, timeout=timeout)


def seen(url: str) -> Any:
    return requests.get(f"{url}/_sim/requests", timeout=5).json()


def misbehave(url: str, mode: str, **details: Any) -> None:
    plan = {"operation": "announce_return", "mode": mode, **details}
    assert requests.post(f"{url}/_sim/misbehave", json=plan, timeout=5).status_code == 200


def test_a_request_is_recorded_with_what_it_changed_and_without_its_token(wms: str) -> None:
    announce(wms)
    (recorded,) = seen(wms)["requests"]
    assert recorded["operation"] == "announce_return"
    assert recorded["body"] == ANNOUNCED
    assert recorded["headers"]["Idempotency-Key"] == "k-1"
    assert recorded["headers"]["Authorization"] == "***"
    assert recorded["status"] == 201
    assert recorded["effect"] == "announced R-1/1004800 as WR-000001"
    assert recorded["at"] <= recorded["ended_at"]


def test_a_wrong_token_is_refused_and_changes_nothing(wms: str) -> None:
    assert announce(wms, token="other").status_code == 401
    assert seen(wms)["effects"] == []


@pytest.mark.parametrize(("mode", "status"), [("503", 503), ("429", 429), ("401", 401), ("html502", 502)])
def test_a_refusal_comes_as_often_as_planned_and_changes_nothing(wms: str, mode: str, status: int) -> None:
    misbehave(wms, mode, times=2)
    assert [announce(wms).status_code for _ in range(3)] == [status, status, 201]
    assert len(seen(wms)["effects"]) == 1


def test_a_refusal_may_say_when_to_come_back(wms: str) -> None:
    misbehave(wms, "429", retry_after=7)
    assert announce(wms).headers["Retry-After"] == "7"


def test_a_bad_gateway_answers_in_html(wms: str) -> None:
    misbehave(wms, "html502")
    answer = announce(wms)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<html>" in answer.text


def test_a_dropped_connection_gives_no_answer_although_it_took_effect(wms: str) -> None:
    misbehave(wms, "drop")
    with pytest.raises(requests.ConnectionError):
        announce(wms)
    assert seen(wms)["effects"] == ["announced R-1/1004800 as WR-000001"]


def test_a_connection_dropped_before_anything_changed_leaves_no_effect(wms: str) -> None:
    misbehave(wms, "drop_before_apply")
    with pytest.raises(requests.ConnectionError):
        announce(wms)
    assert seen(wms)["effects"] == []


@pytest.mark.parametrize(("mode", "effects"), [("timeout_after_apply", 1), ("timeout", 0)])
def test_a_time_out_says_nothing_of_whether_it_took_effect(wms: str, mode: str, effects: int) -> None:
    misbehave(wms, mode)
    with pytest.raises(requests.Timeout):
        announce(wms, timeout=0.3)
    assert len(seen(wms)["effects"]) == effects


def test_a_slow_answer_is_still_an_answer(wms: str) -> None:
    misbehave(wms, "slow", seconds=0.2)
    started = time.monotonic()
    assert announce(wms).status_code == 201
    assert time.monotonic() - started >= 0.2


def test_misbehaviour_without_a_count_lasts_until_it_is_cleared(wms: str) -> None:
    misbehave(wms, "503", times=None)
    assert {announce(wms).status_code for _ in range(5)} == {503}
    requests.delete(f"{wms}/_sim/misbehave", timeout=5)
    assert announce(wms).status_code == 201


def test_an_unknown_way_to_misbehave_is_refused_with_the_known_ones(wms: str) -> None:
    answer = requests.post(f"{wms}/_sim/misbehave", json={"mode": "explode"}, timeout=5)
    assert answer.status_code == 400
    assert all(mode in answer.json()["message"] for mode in MODES)


def test_what_was_recorded_can_be_forgotten(wms: str) -> None:
    announce(wms)
    requests.delete(f"{wms}/_sim/requests", timeout=5)
    assert seen(wms) == {"requests": [], "effects": []}


@pytest.mark.parametrize("name", ["returnista", "generic_erp", "generic_wms"])
def test_a_simulator_runs_as_a_program_and_tells_its_port(name: str, tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", f"connectors.{name}.simulator", "--port", "0", "--port-file", str(port_file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            assert url.endswith(f":{port_file.read_text(encoding='utf-8')}")
            assert requests.get(f"{url}/_sim/health", timeout=5).json() == {"simulator": name}
        finally:
            process.terminate()


def test_many_callers_at_once_are_served(wms: str) -> None:
    ports = [socket.create_connection(("127.0.0.1", int(wms.rsplit(":", 1)[1]))) for _ in range(50)]
    try:
        assert announce(wms).status_code == 201
    finally:
        for port in ports:
            port.close()
