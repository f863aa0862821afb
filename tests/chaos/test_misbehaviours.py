"""What the hub makes of each way to misbehave, by its real HTTP client: bounded, never hanging, nothing imagined."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.adapters.http import BODY_CAP, HttpSender
from app.model import NoResponse, Request, Response
from connectors.generic_wms.simulator import create_app
from connectors.simkit import TOKEN
from connectors.simserve import running
from tests.unit.http_kit import Sender, connection

_TIMEOUT_S = 1.5
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


@pytest.fixture
def sender() -> Iterator[HttpSender]:
    made = Sender()
    yield made
    made.close()


def misbehave(url: str, mode: str, **details: Any) -> None:
    plan = {"operation": "announce_return", "mode": mode, **details}
    assert requests.post(f"{url}/_sim/misbehave", json=plan, timeout=5).status_code == 200


def effects(url: str) -> list[str]:
    return list(requests.get(f"{url}/_sim/requests", timeout=5).json()["effects"])


def call(sender: HttpSender, url: str, body: Any = None) -> tuple[Response | NoResponse, float]:
    """The answer, and how long it took."""
    told = body or ANNOUNCED
    request = Request("wms", "announce_return", "POST", f"{url}/returns", {"Idempotency-Key": told["rmaNumber"]}, told)
    began = time.monotonic()
    answer = sender.send(connection(scheme="bearer", token=TOKEN), request, _TIMEOUT_S)
    return answer, time.monotonic() - began


def test_an_answer_cut_off_with_the_right_length_is_an_answer_without_a_body(wms: str, sender: HttpSender) -> None:
    misbehave(wms, "truncated")
    answer, _ = call(sender, wms)
    assert isinstance(answer, Response) and answer.status == 201 and answer.body is None
    assert len(effects(wms)) == 1


def test_an_answer_shorter_than_it_says_is_in_doubt(wms: str, sender: HttpSender) -> None:
    misbehave(wms, "too_short")
    answer, _ = call(sender, wms)
    assert isinstance(answer, NoResponse) and answer.kind == "broken" and answer.sent
    assert len(effects(wms)) == 1


def test_a_gigabyte_is_cut_off_and_costs_little_memory(wms: str, sender: HttpSender) -> None:
    misbehave(wms, "huge")
    tracemalloc.start()
    try:
        answer, took_s = call(sender, wms)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(answer, NoResponse) and answer.kind in ("too_large", "timeout") and answer.sent
    assert most < 6 * BODY_CAP
    assert took_s < _TIMEOUT_S * 4


def test_an_answer_in_drips_ends_with_the_time_of_the_whole_call(wms: str, sender: HttpSender) -> None:
    misbehave(wms, "drip")
    answer, took_s = call(sender, wms)
    assert isinstance(answer, NoResponse) and answer.kind == "timeout" and answer.sent
    assert took_s < _TIMEOUT_S * 4
    assert len(effects(wms)) == 1


def test_an_answer_after_the_time_out_is_none_and_its_connection_is_not_used_again(
    wms: str, sender: HttpSender
) -> None:
    misbehave(wms, "slow", seconds=_TIMEOUT_S * 2)
    answer, _ = call(sender, wms)
    assert isinstance(answer, NoResponse) and answer.kind == "timeout" and answer.sent
    after, _ = call(sender, wms, {**ANNOUNCED, "rmaNumber": "R-2/1"})
    assert isinstance(after, Response) and after.status == 201 and after.body["rmaNumber"] == "R-2/1"


@pytest.mark.parametrize("status", [418, 301])
def test_a_wrong_status_is_taken_for_what_it_says_and_no_redirect_followed(
    wms: str, sender: HttpSender, status: int
) -> None:
    misbehave(wms, "wrong_status", status=status)
    answer, _ = call(sender, wms)
    assert isinstance(answer, Response) and answer.status == status
    assert len(effects(wms)) == 1


def test_bytes_of_tls_instead_of_an_answer_leave_the_call_in_doubt(wms: str, sender: HttpSender) -> None:
    misbehave(wms, "garbage")
    answer, _ = call(sender, wms)
    assert isinstance(answer, NoResponse) and answer.kind == "broken" and answer.sent
    assert effects(wms) == []


def test_only_the_caller_of_the_poisonous_request_is_killed(wms: str, sender: HttpSender) -> None:
    misbehave(wms, "kill_caller", times=None, body_has="POISON")
    answer, _ = call(sender, wms)
    assert isinstance(answer, Response) and answer.status == 201
    code = f"""
import json, urllib.request
body = json.dumps({{"rmaNumber": "POISON/1", "lines": []}}).encode()
urllib.request.urlopen(urllib.request.Request({wms!r} + "/returns", body, {{"Authorization": "Bearer {TOKEN}"}}))
"""
    child = subprocess.run([sys.executable, "-c", code], timeout=30, env={"no_proxy": "*"})
    assert child.returncode == -9
    assert len(effects(wms)) == 1


def test_after_any_of_them_the_next_call_is_answered(wms: str, sender: HttpSender) -> None:
    for number, mode in enumerate(("truncated", "too_short", "huge", "garbage", "wrong_status", "drop")):
        misbehave(wms, mode)
        call(sender, wms, {**ANNOUNCED, "rmaNumber": f"A-{number}/1"})
        answer, _ = call(sender, wms, {**ANNOUNCED, "rmaNumber": f"B-{number}/1"})
        assert isinstance(answer, Response) and answer.status == 201, mode


def test_faults_of_one_kind_end_and_others_stay(wms: str, sender: HttpSender) -> None:
    misbehave(wms, "503", times=None)
    misbehave(wms, "429", times=None)
    told = {"operation": "announce_return", "mode": "503"}
    requests.delete(f"{wms}/_sim/misbehave", params=told, timeout=5)
    answer, _ = call(sender, wms)
    assert isinstance(answer, Response) and answer.status == 429


def test_what_came_is_read_page_by_page(wms: str, sender: HttpSender) -> None:
    for number in range(5):
        call(sender, wms, {**ANNOUNCED, "rmaNumber": f"P-{number}/1"})

    def page(**wanted: int) -> list[int]:
        answer = requests.get(f"{wms}/_sim/requests", params=wanted, timeout=5)
        return [one["number"] for one in answer.json()["requests"]]

    assert page(after=0, limit=2) == [1, 2]
    assert page(after=2, limit=2) == [3, 4]
    assert page(after=4, limit=2) == [5]
    assert page(after=5, limit=2) == []
    requests.delete(f"{wms}/_sim/requests", timeout=5)
    call(sender, wms)
    assert page(after=5) == page() == [6]
