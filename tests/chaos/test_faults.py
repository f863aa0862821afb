"""Each fault of the hub's own processes, once, on a real stage: the hub is ready again within 30 s."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from chaos import callers, faults
from chaos.faults import CATALOGUE, Planned
from chaos.plan import Options, Recorded
from chaos.stage import API_TOKEN, HUB, Stage
from chaos.stage_site import POISON_CALL, POISON_MAPPING

_ALL = tuple(CATALOGUE)
_RESUMED_S = 30.0


# --- the schedule ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [20.0, 60.0, 240.0])
def test_a_seed_makes_the_same_schedule_with_each_fault_in_it_and_all_ended_in_time(seconds: float) -> None:
    made = [faults.schedule(random.Random(7), _ALL, seconds) for _ in range(2)]
    assert made[0] == made[1]
    assert {one.fault for one in made[0]} == set(_ALL)
    assert all(one.at_s >= 0 and one.at_s + one.details["lasts_s"] <= seconds for one in made[0])
    assert [one.at_s for one in made[0]] == sorted(one.at_s for one in made[0])
    assert faults.schedule(random.Random(8), _ALL, seconds) != made[0]


@pytest.mark.parametrize("seed", range(20))
def test_faults_that_would_undo_each_other_never_overlap(seed: int) -> None:
    made = faults.schedule(random.Random(seed), _ALL, 90.0)
    for group in ("redis", "ledger", "clock"):
        spans = [(one.at_s, one.at_s + one.details["lasts_s"]) for one in made if CATALOGUE[one.fault].group == group]
        assert spans
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_run_on_sqlite_has_no_fault_of_postgresql() -> None:
    assert "postgres_restart" not in faults.named(["all"], postgres=False)
    assert set(faults.named(["all"], postgres=True)) == set(_ALL)
    assert faults.named(["kill_web"], postgres=False) == ("kill_web",)
    assert all(faults.about().values())


def test_the_process_behind_a_connection_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket, sys; c = socket.create_connection(('127.0.0.1', {port})); sys.stdin.read()"
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        try:
            connection, (_, its_port) = server.accept()
            assert callers.pid_of_peer(its_port, port) == child.pid
            assert callers.pid_of_peer(1, port) == 0
            connection.close()
        finally:
            child.kill()
            child.communicate()


# --- on the stage ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    options = Options(seed=1, events=0, seconds=0, faults=(), postgres=_POSTGRES)
    with Stage(tmp_path_factory.mktemp("stage"), options) as running:
        yield running


_OWN = ["kill_web", "kill_worker", "pause_worker", "kill_clock", "kill_all", "redis_flush", "redis_pause", "redis_kill"]
_OWN += ["ledger_lock", "disk_full", "clock_ahead", "clock_back"]
#: With this set the stage has a PostgreSQL.
_POSTGRES = bool(os.environ.get("CHAOS_POSTGRES"))
_OWN += ["postgres_restart"] if _POSTGRES else []


@pytest.mark.chaos
@pytest.mark.parametrize("name", _OWN)
def test_the_hub_works_again_after_the_fault(stage: Stage, name: str) -> None:
    details = CATALOGUE[name].choose(random.Random(3))
    fault = faults.make(Planned(0.0, name, details))
    starts = {one: stage.keeper.starts(one) for one in HUB}
    fault.begin(stage)
    if name in ("ledger_lock", "disk_full"):
        stage.until("messages are refused", lambda: not _send(stage, f"no-{time.time_ns()}")(), 10)
    elif CATALOGUE[name].shortest_s:
        time.sleep(3.0)  # while it lasts, whatever happens happens
    fault.end(stage)
    began = time.monotonic()
    if name.startswith("kill"):
        stage.until("what was killed is started again", lambda: _restarted(stage, starts), _RESUMED_S)
    stage.wait_ready(_RESUMED_S)
    stage.until("a new return is announced", _announcing(stage, f"{name}-{time.time_ns()}"), _RESUMED_S)
    print(f"{name}: works again after {time.monotonic() - began:.1f} s")
    assert fault.began_at is not None and fault.ended_at is not None and fault.began_at <= fault.ended_at


def _restarted(stage: Stage, before: dict[str, int]) -> bool:
    return any(stage.keeper.starts(one) > before[one] for one in HUB)


def _announcing(stage: Stage, number: str) -> Any:
    """A return with a label, sent until it is answered with 2xx; whether the warehouse knows it."""
    send = _send(stage, number)

    def announced() -> bool:
        return send() and any(
            one.effect and str(one.body.get("rmaNumber", "")).startswith(f"{number}/")
            for one in stage.recorded("warehouse")
            if one.operation == "announce_return"
        )

    return announced


def _send(stage: Stage, number: str) -> Any:
    order = f"O-{number}"
    stage.control("erp", "/_sim/seed", {"orders": [{"number": f"E-{order}", "externalNumber": order}]})
    made = {
        "id": number,
        "status": "Approved",
        "lines": [{"order": order, "sku": "TEE-RED-M"}],
        "parcels": [{"id": f"{number}-p1", "tracking_number": f"TRACK-{number}", "label": True}],
    }
    stage.control("platform", "/_sim/seed", {"build": [made]})
    told = {
        "event": "shipment.label_created",
        "id": f"{number}-p1",
        "url": f"{stage.hub_url}/webhooks/returnista_eu",
    }
    done: list[bool] = []

    def send() -> bool:
        if not done and stage.control("platform", "/_sim/send", told)["statuses"] == [200]:
            done.append(True)
        return bool(done)

    return send


def _deliveries(stage: Stage, **filters: Any) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = stage.http.get(f"{stage.hub_url}/api/deliveries", headers=headers, params=filters, timeout=10)
    return list(answer.json()["deliveries"])


def _is_done(stage: Stage, number: str) -> bool:
    return any(one["object_id"] == number for one in _deliveries(stage, state="done", limit=500))


@pytest.mark.chaos
@pytest.mark.parametrize("name", ["clock_ahead", "clock_back"])
def test_a_call_under_way_is_nobody_elses_when_the_clock_jumps(stage: Stage, name: str) -> None:
    number = f"under-way-{name}-{time.time_ns()}"

    def calls() -> list[Recorded]:
        return [one for one in stage.recorded("warehouse") if number in str(one.body)]

    stage.misbehave("warehouse", "announce_return", "slow", 1, seconds=2.5)
    stage.until("it is taken", _send(stage, number), 30)
    stage.until("the call is under way", lambda: bool(calls()), 30)
    fault = faults.make(Planned(0.0, name, {}))
    fault.begin(stage)
    try:
        stage.until("it is done", lambda: _is_done(stage, number), 15)
        stage.until("others go on", _announcing(stage, f"beside-{number}"), 30)
    finally:
        fault.end(stage)
    stage.until("others go on", _announcing(stage, f"after-{number}"), 30)
    assert len([one for one in calls() if "beside" not in str(one.body) and "after" not in str(one.body)]) == 1


@pytest.mark.chaos
def test_poison_is_set_aside_with_its_evidence_and_others_go_on(stage: Stage) -> None:
    poison = faults.make(Planned(0.0, "poison_call", CATALOGUE["poison_call"].choose(random.Random(1))))
    faults.make(Planned(0.0, "poison_mapping", {})).begin(stage)
    poison.begin(stage)
    try:
        for number in (POISON_MAPPING, POISON_CALL):
            stage.until(f"{number} is taken", _send(stage, number), 30)
        stage.until("others go on", _announcing(stage, "beside-poison"), 60)
        stage.until("both are dead", lambda: len(_deliveries(stage, state="dead")) == 2, 300)
        print(_deliveries(stage, state="dead"))
    finally:
        poison.end(stage)
    assert not [one for one in stage.recorded("warehouse") if one.effect and POISON_CALL in str(one.body)]
